/** A loaded model as the chat model that answering needs. */
import type { RepositoryMemory } from "../memory/repository-memory.ts";
import { encodeChat } from "../models/chat-template.ts";
import { generate } from "../runtime/generate.ts";
import type { LoadedModel } from "../runtime/loaded-model.ts";
import type { ChatModel } from "./grounded.ts";
import { Recollection } from "./recollection.ts";

/**
 * Undefined for a model that was not made for chat, such as the one that ships with the package. `memory` is what the
 * model has encoded of the folder, if it is to answer from that, of the files that are `isInside`.
 */
export function chatModelOf(
  model: LoadedModel,
  memory?: RepositoryMemory,
  isInside?: (path: string) => boolean,
): ChatModel | undefined {
  const { name, tokenizer, reader, encoder } = model;
  if (tokenizer.chatTemplate === undefined) return undefined;
  return {
    name,
    contextTokens: reader.contextLength,
    countTokens: (text) => tokenizer.encode(text).length,
    chat: async ({ messages, maxTokens, signal, onText }) => {
      await generate(reader, tokenizer, encodeChat(tokenizer, messages), { maxTokens, signal, onText });
    },
    recall: async (question, places, signal) => {
      if (!memory || !encoder) return undefined;
      const found = await Recollection.find({ ...model, encoder }, memory, { question, places, isInside }, signal);
      if (!found) return undefined;
      const { context } = found;
      return {
        contextTokens: reader.contextLength - context.nTokens,
        holds: context.holds,
        trace: () => context.trace(),
        chat: async ({ messages, maxTokens, signal, onText }) => {
          const ids = encodeChat(tokenizer, messages);
          await generate(found.readerFor(messages), tokenizer, ids, { maxTokens, signal, onText });
        },
      };
    },
  };
}
