/**
 * The calls of tools in what a chat model writes. Models put them in the form their chat template shows them: Qwen and
 * Hermes between tags, Llama 3 as JSON that is the whole message; small ones also fence that JSON in.
 */

/** A tool that a chat model may call. */
export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  /** A JSON schema of the arguments. */
  readonly parameters?: object;
}

export interface ToolCall {
  /** Told to templates that pair calls and results by it. */
  readonly id: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

const OPEN = "<tool_call>";
const CLOSE = "</tool_call>";
/** What a message begins like as long as all of it may be one call in JSON, fenced in or not. */
const MAY_BE_BARE = /^\s*(?:`{0,3}|```(?:j|js|jso|json)?\s*(?:\{[\s\S]*)?|\{[\s\S]*|\[[\s\S]*)$/;
const BARE = /^\s*(?:```(?:json)?\s*)?([[{][\s\S]*[\]}])\s*(?:```)?\s*$/;

/** How a message begins that cannot help calling a tool: the one that there is, or any. */
export function callOpening(template: string | undefined, tools: readonly ToolDefinition[]): string {
  const isTagged = template?.includes(OPEN) ?? false;
  const name =
    tools.length === 1 ? `${JSON.stringify(tools[0].name)}, "${isTagged ? "arguments" : "parameters"}": ` : '"';
  return `${isTagged ? `${OPEN}\n` : ""}{"name": ${name}`;
}

/** Parts a message into text and calls while it comes. Text that turns out to be no call is given out, nothing is lost. */
export class ToolCallParser {
  readonly #names: ReadonlySet<string>;
  readonly #onText: (piece: string) => void;
  readonly #calls: ToolCall[] = [];
  #held = "";
  /** Whether all so far may be one call that no tag announces. */
  #mayBeBare = true;

  constructor(tools: readonly ToolDefinition[], onText: (piece: string) => void) {
    this.#names = new Set(tools.map(({ name }) => name));
    this.#onText = onText;
  }

  push(piece: string): void {
    this.#held += piece;
    this.#mayBeBare &&= MAY_BE_BARE.test(this.#held);
    if (this.#mayBeBare) return;
    for (let end = this.#held.indexOf(CLOSE); end >= 0; end = this.#held.indexOf(CLOSE)) {
      this.#take(end + CLOSE.length);
    }
    const open = this.#held.indexOf(OPEN);
    this.#give(open >= 0 ? open : this.#held.length - nPossible(this.#held));
  }

  /** The calls of the message, which is at its end. */
  end(): readonly ToolCall[] {
    const [, bare] = (this.#mayBeBare && BARE.exec(this.#held)) || [];
    const calls = bare === undefined ? undefined : this.#read(bare);
    if (calls) {
      this.#calls.push(...calls);
      this.#held = "";
    }
    // A message that was cut off may lack its last tag alone.
    this.#take(this.#held.length);
    return this.#calls;
  }

  /** Takes the held text up to `end`: a call in tags, or text. */
  #take(end: number): void {
    const part = this.#held.slice(0, end);
    const open = part.lastIndexOf(OPEN);
    const inside = part.slice(open + OPEN.length).replace(CLOSE, "");
    const calls = open < 0 ? undefined : this.#read(inside);
    this.#give(calls ? open : end);
    if (!calls) return;
    this.#calls.push(...calls);
    this.#held = this.#held.slice(end - open);
  }

  #give(nChars: number): void {
    const piece = this.#held.slice(0, nChars);
    this.#held = this.#held.slice(nChars);
    if (piece !== "") this.#onText(piece);
  }

  /** The calls that a JSON text holds; undefined where it holds something else, or no tool there is. */
  #read(json: string): ToolCall[] | undefined {
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch {
      return undefined;
    }
    const calls = (Array.isArray(value) ? value : [value]).map((one) => this.#call(one));
    return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined;
  }

  #call(value: unknown): ToolCall | undefined {
    const { name, arguments: given, parameters } = (value ?? {}) as Record<string, unknown>;
    const args = given ?? parameters ?? {};
    if (typeof name !== "string" || !this.#names.has(name)) return undefined;
    const parsed = typeof args === "string" ? parsedObject(args) : args;
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
    return { id: newId(), name, arguments: parsed as Record<string, unknown> };
  }
}

/** Nine letters and digits, as the templates that write ids want them. */
function newId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 9);
}

function parsedObject(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** The length of the longest end of a text that begins a tag. */
function nPossible(text: string): number {
  for (let n = Math.min(OPEN.length - 1, text.length); n > 0; n--) if (text.endsWith(OPEN.slice(0, n))) return n;
  return 0;
}
