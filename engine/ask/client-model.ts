/** A chat model on the client's side, such as a server the user has configured: the engine only sees what it writes. */
import type { ChatModel } from "./grounded.ts";

/** About: characters of code in one token, on the careful side, as nobody here knows the model's tokens. */
const CHARS_PER_TOKEN = 3;

/** The model as answering needs it; `write` has the client write. */
export function clientChatModel(
  { name, contextTokens }: { readonly name: string; readonly contextTokens: number },
  write: ChatModel["chat"],
): ChatModel {
  return { name, contextTokens, countTokens: (text) => Math.ceil(text.length / CHARS_PER_TOKEN), chat: write };
}
