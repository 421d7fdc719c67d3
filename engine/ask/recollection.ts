/** What a model that reads from memory has before it while it writes: blocks that fit a question. */

import { type PlacedChoice, PlacedContext } from "../memory/placed-context.ts";
import type { RepositoryMemory } from "../memory/repository-memory.ts";
import { type ChatMessage, encodeChat } from "../models/chat-template.ts";
import type { ToolDefinition } from "../models/tool-calls.ts";
import type { PlacelessRows } from "../runtime/decoder.ts";
import type { LoadedModel } from "../runtime/loaded-model.ts";
import type { PlacedReader } from "../runtime/placed-reader.ts";
import { commonPrefix } from "../runtime/reader.ts";

/** As many tokens of memory as of passages where there is none: 48 blocks. */
const MEMORY_TOKENS = 3072;
/** The prompt and the answer have the rest of a small model's context to themselves. */
const MEMORY_SHARE = 0.5;

/** A model that encodes files. */
export type RecallingModel = LoadedModel & { readonly encoder: NonNullable<LoadedModel["encoder"]> };

export class Recollection {
  readonly context: PlacedContext;
  readonly #model: RecallingModel;
  readonly #rows: readonly PlacelessRows[];

  /** Looks for the blocks of the places, and others that fit; undefined where there are none. Errors: cancelled. */
  static async find(
    model: RecallingModel,
    memory: RepositoryMemory,
    { question, places, isInside }: Pick<PlacedChoice, "places" | "isInside"> & { readonly question: string },
    signal?: AbortSignal,
  ): Promise<Recollection | undefined> {
    if (memory.nBlocks === 0) return undefined;
    const { encoder, tokenizer, reader } = model;
    const query = await encoder.query(tokenizer.encode(question, { bos: true }), signal);
    const maxTokens = Math.min(MEMORY_TOKENS, Math.floor(MEMORY_SHARE * reader.contextLength));
    const context = new PlacedContext(memory, { places, query, isInside, maxTokens, layer: encoder.routeLayer });
    return context.nBlocks === 0 ? undefined : new Recollection(model, context);
  }

  private constructor(model: RecallingModel, context: PlacedContext) {
    this.context = context;
    this.#model = model;
    this.#rows = context.rows((tokens, isStart) => model.encoder.rows(tokens, isStart));
  }

  /** Reads a chat in which the blocks stand where the last message's own text begins. */
  readerFor(messages: readonly ChatMessage[], tools: readonly ToolDefinition[] = []): PlacedReader {
    const { encoder, tokenizer } = this.#model;
    const others = [...messages.slice(0, -1), { ...messages[messages.length - 1], content: "\n" }];
    const [ids, otherIds] = [messages, others].map((chat) => encodeChat(tokenizer, chat, { tools }));
    const placed = { at: commonPrefix(ids, otherIds), nTokens: this.context.nTokens, rows: this.#rows };
    return encoder.readerOf(placed, (shares) => this.context.look(shares));
  }
}
