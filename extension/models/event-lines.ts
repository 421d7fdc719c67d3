/** The data of server-sent events out of a stream of bytes, however it is cut. */
export class EventLines {
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** The data of the lines that `bytes` completes. */
  push(bytes: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split(/\r?\n/);
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => (line.startsWith("data:") ? [line.slice(5).trim()] : []));
  }
}
