/** One turn of a chat: the messages by the model's template, the answer as text and calls of tools. */
import { LongsightError } from "../errors.ts";
import { type ChatMessage, encodeChat } from "../models/chat-template.ts";
import type { ModelTokenizer } from "../models/tokenizer/tokenizer.ts";
import { callOpening, type ToolCall, ToolCallParser, type ToolDefinition } from "../models/tool-calls.ts";
import { type Generated, type GenerateOptions, generate } from "./generate.ts";
import type { TextReader } from "./reader.ts";

export interface ChatOptions extends Omit<GenerateOptions, "stopIds"> {
  readonly tools?: readonly ToolDefinition[];
  /** Whether the model has to call one of the tools instead of answering. */
  readonly mustCallTool?: boolean;
}

export interface ChatTurn extends Generated {
  /** `text` is what is said besides them. */
  readonly toolCalls: readonly ToolCall[];
}

/** Answers a chat. Errors: those of encodeChat and generate; unsupported where a tool had to be called and was not. */
export async function chat(
  reader: TextReader,
  tokenizer: ModelTokenizer,
  messages: readonly ChatMessage[],
  { tools = [], mustCallTool = false, ...options }: ChatOptions,
): Promise<ChatTurn> {
  const ids = encodeChat(tokenizer, messages, { tools });
  if (tools.length === 0) return { ...(await generate(reader, tokenizer, ids, options)), toolCalls: [] };
  let text = "";
  const parser = new ToolCallParser(tools, (piece) => {
    text += piece;
    options.onText?.(piece);
  });
  if (mustCallTool) {
    const opening = callOpening(tokenizer.chatTemplate, tools);
    parser.push(opening);
    ids.push(...tokenizer.encode(opening, { special: true, continues: true }));
  }
  const generated = await generate(reader, tokenizer, ids, { ...options, onText: (piece) => parser.push(piece) });
  const toolCalls = parser.end();
  if (mustCallTool && toolCalls.length === 0) {
    throw new LongsightError(
      "unsupported",
      "The model was to call a tool and wrote something else; use a larger model.",
    );
  }
  return { ...generated, text, toolCalls };
}
