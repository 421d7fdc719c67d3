/** A loaded model as the chat model that answering needs. */
import { encodeChat } from "../models/chat-template.ts";
import { generate } from "../runtime/generate.ts";
import type { LoadedModel } from "../runtime/loaded-model.ts";
import type { ChatModel } from "./grounded.ts";

/** Undefined for a model that was not made for chat, such as the one that ships with the package. */
export function chatModelOf(model: LoadedModel): ChatModel | undefined {
  const { name, tokenizer, reader } = model;
  if (tokenizer.chatTemplate === undefined) return undefined;
  return {
    name,
    contextTokens: reader.contextLength,
    countTokens: (text) => tokenizer.encode(text).length,
    chat: async ({ messages, maxTokens, signal, onText }) => {
      await generate(reader, tokenizer, encodeChat(tokenizer, messages), { maxTokens, signal, onText });
    },
  };
}
