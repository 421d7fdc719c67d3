/** A document as the editor's API shows it, and what typing does to it. */
import { Position, type Range } from "./editor.ts";

export class TextDocument {
  readonly uri: { scheme: string; path: string; fsPath: string };
  version = 1;
  /** Characters that were asked for. */
  nRead = 0;
  #text: string;
  #starts: number[];

  constructor(text: string, path: string, scheme = "file") {
    const uri = { scheme, path, fsPath: path, toString: () => `${scheme}://${path}` };
    this.uri = uri;
    this.#text = text;
    this.#starts = lineStarts(text);
  }

  /** Puts a text in place of some characters. */
  replace(offset: number, length: number, text: string): void {
    this.#text = this.#text.slice(0, offset) + text + this.#text.slice(offset + length);
    this.#starts = lineStarts(this.#text);
    this.version++;
  }

  offsetAt({ line, character }: Position): number {
    return this.#starts[line] + character;
  }

  positionAt(offset: number): Position {
    const at = Math.min(Math.max(0, offset), this.#text.length);
    let [low, high] = [0, this.#starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle] <= at) low = middle;
      else high = middle;
    }
    return new Position(low, at - this.#starts[low]);
  }

  getText(range?: Range): string {
    const part = range ? this.#text.slice(this.offsetAt(range.start), this.offsetAt(range.end)) : this.#text;
    this.nRead += part.length;
    return part;
  }

  lineAt(line: number): { text: string } {
    const end = this.#starts[line + 1] ?? this.#text.length + 1;
    return { text: this.#text.slice(this.#starts[line], end - 1) };
  }
}

const lineStarts = (text: string) => [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
