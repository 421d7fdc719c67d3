/**
 * The editor's messages to a language model as the engine's. Parts are known by what they hold, not by their class, so
 * that parts this version of the editor does not name yet are read as far as they are text.
 */
import type { ChatMessage, ToolCall, ToolDefinition } from "../../engine/protocol.ts";

/** vscode.LanguageModelChatRequestMessage; its roles are 1 for the user and 2 for the assistant, and 3 for the system. */
export interface EditorMessage {
  readonly role: number;
  readonly content: readonly unknown[];
}

/** vscode.LanguageModelChatTool. */
export interface EditorTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema?: object;
}

const ROLES: Readonly<Record<number, ChatMessage["role"]>> = { 1: "user", 2: "assistant", 3: "system" };

/** What a part of a message or of a tool's result may hold. */
interface Part {
  readonly value?: unknown;
  readonly callId?: string;
  readonly name?: string;
  readonly input?: object;
  readonly content?: readonly unknown[];
  readonly data?: Uint8Array;
  readonly mimeType?: string;
}

/** Results of tools become messages of their own; texts of one role that follow each other become one. */
export function engineMessages(messages: readonly EditorMessage[]): ChatMessage[] {
  const all: ChatMessage[] = [];
  for (const { role: number, content } of messages) {
    const role = ROLES[number] ?? "user";
    const parts = content as readonly Part[];
    for (const { callId, content: result } of parts) {
      if (callId !== undefined && result) all.push({ role: "tool", content: textOf(result), toolCallId: callId });
    }
    const toolCalls = parts.flatMap(({ callId, name, input }): ToolCall[] =>
      callId !== undefined && name !== undefined
        ? [{ id: callId, name, arguments: (input ?? {}) as Record<string, unknown> }]
        : [],
    );
    const text = textOf(parts);
    if (text === "" && toolCalls.length === 0) continue;
    const last = all.at(-1);
    if (last?.role === role && !last.toolCalls && toolCalls.length === 0) {
      all[all.length - 1] = { role, content: `${last.content}\n\n${text}` };
    } else all.push({ role, content: text, ...(toolCalls.length > 0 ? { toolCalls } : {}) });
  }
  return all;
}

export function engineTools(tools: readonly EditorTool[] = []): ToolDefinition[] {
  return tools.map(({ name, description, inputSchema }) => ({ name, description, parameters: inputSchema }));
}

/** The text of the parts: of those that are text, that are data in the form of text, and that are any other value. */
export function textOf(parts: readonly unknown[]): string {
  return (parts as readonly Part[])
    .map(({ value, data, mimeType, callId }) => {
      if (callId !== undefined) return "";
      if (typeof value === "string") return value;
      if (data && /^text\/|json$/.test(mimeType ?? "")) return new TextDecoder().decode(data);
      return value === undefined ? "" : JSON.stringify(value);
    })
    .join("");
}
