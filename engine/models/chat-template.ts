/**
 * Chat templates: from messages to the text a model was trained on. Templates come with models and are untrusted.
 * They run in @huggingface/jinja, which interprets them without access to anything but the values given here; what
 * remains to be bounded is work. Time: see bounded.ts. Memory: every value that an expression yields
 * is counted against a budget, and range() is limited, since it builds its whole list at once.
 */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { LongsightError } from "../errors.ts";
import { withinTime } from "./bounded.ts";
import { clipped } from "./messages.ts";
import type { ModelTokenizer } from "./tokenizer/tokenizer.ts";
import type { ToolCall, ToolDefinition } from "./tool-calls.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  /** The assistant's calls of tools. */
  readonly toolCalls?: readonly ToolCall[];
  /** Which call a tool's message is the result of. */
  readonly toolCallId?: string;
}

export interface ChatTemplateOptions {
  /** The texts of the model's first and last token, for templates that write them. */
  readonly bos?: string;
  readonly eos?: string;
  /** Whether the text ends where the assistant's answer begins (default true). */
  readonly addGenerationPrompt?: boolean;
  /** What the model may call; templates that know no tools say nothing of them. */
  readonly tools?: readonly ToolDefinition[];
}

const TIMEOUT_MS = 2000;
const MAX_TEMPLATE_LENGTH = 1 << 20;
const MAX_RANGE = 100_000;
/** How many characters and list entries all expressions may yield together: a flat sum, and so many times the input. */
const FLAT_BUDGET = 1 << 25;
const BUDGET_PER_CHARACTER = 64;

/**
 * Renders `messages` with a Jinja template. Messages of unknown origin are better left to encodeChat.
 * Throws bad-model where the template is missing, malformed, refuses the messages, or exceeds its bounds.
 */
export function renderChat(
  template: string | undefined,
  messages: readonly ChatMessage[],
  options: ChatTemplateOptions = {},
): string {
  if (template === undefined) {
    throw new LongsightError("bad-model", "The model has no chat template; choose a model made for chat.");
  }
  if (template.length > MAX_TEMPLATE_LENGTH) throw failed("it is too long");
  const { tools = [] } = options;
  const values = {
    messages: messages.map(templateMessage),
    // Templates ask whether there is such a value at all.
    ...(tools.length > 0 ? { tools: tools.map((tool) => ({ type: "function", function: tool })) } : {}),
    // Whoever waits for an answer does not want to wait for the thoughts before it, which small models never end.
    enable_thinking: false,
    bos_token: options.bos ?? "",
    eos_token: options.eos ?? "",
    add_generation_prompt: options.addGenerationPrompt ?? true,
  };
  const inputLength = JSON.stringify([messages, tools]).length;
  const budget = FLAT_BUDGET + BUDGET_PER_CHARACTER * inputLength;
  try {
    return withinTime(() => render(template, values, budget), TIMEOUT_MS);
  } catch (error) {
    throw failed(clipped(String((error as { message?: unknown }).message), 200), error);
  }
}

/** A message in the form that templates expect, which is that of OpenAI's interface. */
function templateMessage({ role, content, toolCalls, toolCallId }: ChatMessage): Record<string, unknown> {
  const calls = toolCalls?.map(({ id, ...call }) => ({ id, type: "function", function: call }));
  return {
    role,
    content,
    ...(calls && calls.length > 0 ? { tool_calls: calls } : {}),
    ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
  };
}

/** Whether a template tells the model of its tools. */
export function knowsTools(template: string | undefined): boolean {
  if (!template?.includes("tools")) return false;
  const probe = { name: "probe_of_tools", description: "", parameters: { type: "object", properties: {} } };
  try {
    return renderChat(template, [{ role: "user", content: "" }], { tools: [probe] }).includes(probe.name);
  } catch {
    return false;
  }
}

/** The package's declarations do not resolve in ES modules; these are the parts used here. */
interface JinjaInterpreter {
  run(program: unknown): { value: unknown };
  evaluate(node: unknown, environment: unknown): { value: unknown };
}
const TypedInterpreter: new (environment: unknown) => JinjaInterpreter = Interpreter;

/** An interpreter that stops when its values have grown past a budget. */
class BoundedInterpreter extends TypedInterpreter {
  #budget: number;

  constructor(environment: unknown, budget: number) {
    super(environment);
    this.#budget = budget;
  }

  override evaluate(node: unknown, environment: unknown): { value: unknown } {
    const result = super.evaluate(node, environment);
    const { value } = result;
    if (typeof value === "string" || Array.isArray(value)) this.#budget -= value.length;
    if (this.#budget < 0) throw new Error("its values grow without bounds");
    return result;
  }
}

/** A noncharacter: never part of a text, so it can mark places in one. */
const MARK = "\u{fdd0}";

/**
 * The ids of a chat by the model's own template. Control tokens that the messages spell out, as a repository's files
 * may, stay ordinary text: they are marked before rendering and cut there when encoding. Throws as renderChat does.
 */
export function encodeChat(
  tokenizer: ModelTokenizer,
  messages: readonly ChatMessage[],
  options: Pick<ChatTemplateOptions, "addGenerationPrompt" | "tools"> = {},
): number[] {
  const [harmless, tools] = markedStrings([messages, options.tools ?? []] as const, tokenizer);
  const { bosId, eosId, chatTemplate } = tokenizer;
  const bos = bosId === undefined ? undefined : tokenizer.token(bosId);
  const eos = eosId === undefined ? undefined : tokenizer.token(eosId);
  const parts = renderChat(chatTemplate, harmless, { ...options, tools, bos, eos }).split(MARK);
  return parts.flatMap((part, i) => tokenizer.encode(part, { special: true, continues: i > 0 }));
}

/** The value with every string in it marked, however deep: results of tools and what they are called with included. */
function markedStrings<T>(value: T, tokenizer: ModelTokenizer): T {
  if (typeof value === "string") return markControls(value, tokenizer) as T;
  if (Array.isArray(value)) return value.map((item) => markedStrings(item, tokenizer)) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [
    markControls(key, tokenizer),
    markedStrings(item, tokenizer),
  ]);
  return Object.fromEntries(entries) as T;
}

function markControls(content: string, { controlTexts }: ModelTokenizer): string {
  let marked = content.replaceAll(MARK, "\u{fffd}");
  for (const text of controlTexts) {
    if (marked.includes(text)) marked = marked.replaceAll(text, () => `${text[0]}${MARK}${text.slice(1)}`);
  }
  return marked;
}

function render(template: string, values: Record<string, unknown>, budget: number): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...GLOBALS, ...values })) environment.set(name, value);
  const program = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
  return String(new BoundedInterpreter(environment, budget).run(program).value);
}

/** What transformers gives every template, as far as models use it. */
const GLOBALS = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  raise_exception: (message: unknown): never => {
    throw new Error(String(message));
  },
  range: (start: number, stop?: number, step?: number): number[] => boundedRange(start, stop, step),
  strftime_now: (format: unknown): string => formatDate(new Date(), String(format)),
};

function boundedRange(start: number, stop: number | undefined, step = 1): number[] {
  const [from, to] = typeof stop === "number" ? [start, stop] : [0, start];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= MAX_RANGE)) throw new Error(`range() over more than ${MAX_RANGE} numbers`);
  return Array.from({ length }, (_, i) => from + i * step);
}

/** The few fields of strftime that chat templates write dates with. */
function formatDate(date: Date, format: string): string {
  const padded = (value: number): string => String(value).padStart(2, "0");
  const fields: Record<string, () => string> = {
    Y: () => String(date.getFullYear()),
    m: () => padded(date.getMonth() + 1),
    d: () => padded(date.getDate()),
    b: () => date.toLocaleString("en-US", { month: "short" }),
    B: () => date.toLocaleString("en-US", { month: "long" }),
    A: () => date.toLocaleString("en-US", { weekday: "long" }),
    H: () => padded(date.getHours()),
    M: () => padded(date.getMinutes()),
    S: () => padded(date.getSeconds()),
  };
  return format.replace(/%([a-zA-Z])/g, (all, field: string) => fields[field]?.() ?? all);
}

function failed(what: string, cause?: unknown): LongsightError {
  return new LongsightError(
    "bad-model",
    `The model's chat template cannot be used (${what.replaceAll(/\s+/g, " ")}); choose another model.`,
    { cause },
  );
}
