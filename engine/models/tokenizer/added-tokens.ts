/** Finds tokens that are recognised in the raw text, before anything else is done with it. */

export interface AddedToken {
  readonly id: number;
  readonly text: string;
  /** Whether white space before or after the token belongs to it. */
  readonly stripLeft?: boolean;
  readonly stripRight?: boolean;
}

/** Cuts text at added tokens: leftmost first, the longest of several. */
export class AddedTokens {
  readonly #byText = new Map<string, AddedToken>();
  /** For each first UTF-16 unit of a token, the lengths of the tokens that start so, longest first. */
  readonly #lengths = new Map<string, number[]>();
  readonly #starts: RegExp | undefined;

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) {
      if (token.text === "" || this.#byText.has(token.text)) continue;
      this.#byText.set(token.text, token);
      const lengths = this.#lengths.get(token.text[0]) ?? [];
      if (!lengths.includes(token.text.length)) lengths.push(token.text.length);
      this.#lengths.set(token.text[0], lengths);
    }
    for (const lengths of this.#lengths.values()) lengths.sort((a, b) => b - a);
    const units = [...this.#lengths.keys()].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
    this.#starts = units.length > 0 ? new RegExp(`[${units.join("")}]`, "g") : undefined;
  }

  /** The text's parts in order: ids of added tokens and the text between them, which is never empty. */
  split(text: string): (string | number)[] {
    if (!this.#starts) return text === "" ? [] : [text];
    const parts: (string | number)[] = [];
    let end = 0;
    for (let at = this.#nextStart(text, 0); at >= 0; ) {
      const token = this.#tokenAt(text, at);
      if (!token) {
        at = this.#nextStart(text, at + 1);
        continue;
      }
      const before = text.slice(end, at);
      const kept = token.stripLeft ? before.trimEnd() : before;
      if (kept !== "") parts.push(kept);
      parts.push(token.id);
      end = at + token.text.length;
      while (token.stripRight && end < text.length && text[end].trim() === "") end++;
      at = this.#nextStart(text, end);
    }
    if (end < text.length) parts.push(text.slice(end));
    return parts;
  }

  #nextStart(text: string, from: number): number {
    const starts = this.#starts as RegExp;
    starts.lastIndex = from;
    return starts.exec(text)?.index ?? -1;
  }

  #tokenAt(text: string, at: number): AddedToken | undefined {
    for (const length of this.#lengths.get(text[at]) ?? []) {
      const token = this.#byText.get(text.slice(at, at + length));
      if (token) return token;
    }
    return undefined;
  }
}
