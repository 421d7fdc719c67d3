/** A loaded model as the chat model that answering needs. */
import { PlacedContext } from "../memory/placed-context.ts";
import type { RepositoryMemory } from "../memory/repository-memory.ts";
import { encodeChat } from "../models/chat-template.ts";
import { generate } from "../runtime/generate.ts";
import type { LoadedModel } from "../runtime/loaded-model.ts";
import { commonPrefix } from "../runtime/reader.ts";
import type { ChatModel } from "./grounded.ts";

/** As many tokens of memory as of passages where there is none: 48 blocks. */
const MEMORY_TOKENS = 3072;
/** The prompt and the answer have this share of a small model's context to themselves. */
const PROMPT_SHARE = 0.5;

/**
 * Undefined for a model that was not made for chat, such as the one that ships with the package. `memory` is what the
 * model has encoded of the folder, if it is to answer from that.
 */
export function chatModelOf(model: LoadedModel, memory?: RepositoryMemory): ChatModel | undefined {
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
      if (!memory || !encoder || memory.nBlocks === 0) return undefined;
      const query = await encoder.query(tokenizer.encode(question, { bos: true }), signal);
      const maxTokens = Math.min(MEMORY_TOKENS, Math.floor(PROMPT_SHARE * reader.contextLength));
      const context = new PlacedContext(memory, { places, query, maxTokens, layer: encoder.routeLayer });
      if (context.nBlocks === 0) return undefined;
      const rows = context.rows((tokens) => encoder.rows(tokens));
      return {
        contextTokens: reader.contextLength - context.nTokens,
        holds: context.holds,
        trace: () => context.trace(),
        chat: async ({ messages, maxTokens, signal, onText }) => {
          const ids = encodeChat(tokenizer, messages);
          // Blocks stand where the last message's own text begins.
          const others = [...messages.slice(0, -1), { ...messages[messages.length - 1], content: "\n" }];
          const at = commonPrefix(ids, encodeChat(tokenizer, others));
          const placed = { at, nTokens: context.nTokens, rows };
          const withMemory = encoder.readerOf(placed, (shares) => context.look(shares));
          await generate(withMemory, tokenizer, ids, { maxTokens, signal, onText });
        },
      };
    },
  };
}
