/**
 * A user's model as the encoder of files: keys without positions and values of its retrieval heads, in int8. A file
 * is read in runs; each sees the file's first run and the latest ones, at positions from 0 on, so that a file of any
 * length is read within the model's context and at a constant rate. A file that is no longer than they are is read
 * exactly as a text of its own.
 */
import { createHash } from "node:crypto";
import type { AttentionPlan } from "../attention/plan.ts";
import { fromSlots } from "../attention/slots.ts";
import { LongsightError } from "../errors.ts";
import type { ModelTokenizer } from "../models/tokenizer/tokenizer.ts";
import type { DecoderConfig, Weights } from "../models/types.ts";
import type { Decoder, PlacelessRows } from "./decoder.ts";
import type { DecoderReader } from "./decoder-reader.ts";
import { unitLength } from "./hybrid.ts";
import type { EncodeOptions } from "./hybrid-encoder.ts";
import { quantiseRows, type StoredTokens } from "./hybrid-memory.ts";
import { asFloats, cacheArray } from "./kv-cache.ts";
import { type Looking, PlacedReader } from "./placed-reader.ts";
import type { PlacedMemory } from "./reader.ts";
import { betweenRuns } from "./session.ts";

/** Raised whenever the same file is encoded to other blocks. */
const ENCODING_VERSION = 1;

/** Tokens of a run. */
const RUN_TOKENS = 128;
/** Earlier runs that a run sees at most: 1,024 tokens cost little beside the weights, and more gain little in code. */
const SEEN_RUNS = 8;
const BLOCK_TOKENS = 64;

/** Sizes of what is stored. */
export interface PlacedShape {
  readonly headSize: number;
  readonly rowsPerToken: number;
  readonly routeSize: number;
  readonly blockSize: number;
}

export interface DecoderMemoryParts {
  readonly config: DecoderConfig;
  readonly weights: Weights;
  /** What the decoder attends by. */
  readonly plan: AttentionPlan;
  readonly decoder: Decoder;
  /** The reader whose decoder it is. */
  readonly reader: DecoderReader;
  readonly tokenizer: ModelTokenizer;
}

/** The layer whose queries find blocks. */
export const routeLayerOf = ({ nLayers }: Pick<DecoderConfig, "nLayers">) => Math.round(0.4 * nLayers);

export class DecoderMemory {
  readonly shape: PlacedShape;
  readonly fingerprint: string;
  /** The layer whose keys and queries find blocks; the plans that choose blocks do it here as well. */
  readonly routeLayer: number;
  readonly #parts: DecoderMemoryParts;
  readonly #seenRuns: number;
  /** Whether some heads stream: what they keep is not stored. */
  readonly #streams: boolean;
  /** Of the heads stored, the first one of the layer that finds blocks. */
  readonly #routeRow: number;
  /**
   * What the model adds to every key: [heads stored, headSize]. It is many times larger than what tells keys apart,
   * so it is left out of what is stored.
   */
  readonly #offsets: Float32Array;

  constructor(parts: DecoderMemoryParts) {
    const { config, weights, plan, tokenizer } = parts;
    const { headSize, contextLength, qkvBias } = config;
    const stored = plan.layers.map(({ heads }) => [...heads.keys()].filter((head) => heads[head] === "retrieval"));
    this.#parts = parts;
    this.#seenRuns = Math.min(SEEN_RUNS, Math.max(Math.floor(contextLength / RUN_TOKENS) - 1, 1));
    this.routeLayer = routeLayerOf(config);
    const routeSize = stored[this.routeLayer].length * headSize;
    this.shape = { headSize, rowsPerToken: stored.flat().length, routeSize, blockSize: BLOCK_TOKENS };
    this.#routeRow = stored.slice(0, this.routeLayer).flat().length;
    this.#offsets = new Float32Array(this.shape.rowsPerToken * headSize);
    let row = 0;
    for (const [layer, heads] of stored.entries()) {
      const bias = qkvBias ? weights.vector(`blk.${layer}.attn_k.bias`) : undefined;
      for (const head of heads) {
        if (bias) this.#offsets.set(bias.subarray(head * headSize, (head + 1) * headSize), row * headSize);
        row++;
      }
    }
    this.#streams = plan.layers.some(({ heads }) => heads.includes("streaming"));
    const { sinks, window } = plan;
    const attention = JSON.stringify(this.#streams ? { stored, sinks, window } : "all");
    const hash = createHash("sha256");
    hash.update(`decoder ${ENCODING_VERSION} ${weights.fingerprint} ${this.#seenRuns} ${attention}`);
    for (let id = 0; id < tokenizer.vocabSize; id++) hash.update(`${tokenizer.token(id)}\n`);
    this.fingerprint = hash.digest("hex");
  }

  /** The ids of a file as memory sees it. */
  fileIds(path: string, text: string): number[] {
    return this.#parts.tokenizer.encode(`${path}\n${text.replaceAll("\r\n", "\n")}`, { bos: true });
  }

  /** Reads a file, one run after another. Errors: cancelled, observed between two runs. */
  async *encodeParts(ids: readonly number[], options: EncodeOptions<RunState> = {}) {
    const { signal, turn = (run) => run(), from, onState } = options;
    // What later runs see: the first one, and the latest.
    const runs = from?.seen().map((blocks) => blocks.map((block) => this.rows(block))) ?? [];
    const seen: Seen = { runs, borrower: {} };
    for (let start = from?.nTokens ?? 0; start < ids.length; start += RUN_TOKENS) {
      await betweenRuns(signal);
      const rows = await turn(() => this.#encodeRun(ids.slice(start, start + RUN_TOKENS), start, seen));
      runs.push([rows]);
      if (runs.length > this.#seenRuns) runs.splice(1, 1);
      // Streaming heads could not go on behind stored blocks.
      if (rows.n === RUN_TOKENS && !this.#streams) onState?.(new RunState(start + RUN_TOKENS, this.#seenRuns));
      yield new DecodedPart(rows, this.#offsets, this.shape, this.#routeRow);
    }
  }

  /** The state behind the first `nTokens` of a file: its blocks are all it needs. Errors: bad-input. */
  restore(nTokens: number, saved: Float32Array): RunState {
    if (saved.length === 0 && nTokens % RUN_TOKENS === 0 && !this.#streams)
      return new RunState(nTokens, this.#seenRuns);
    throw new LongsightError("bad-input", "The saved state is not one of this model; read the text again.");
  }

  /** A block as it is placed into a text: its own file's, or another one, and whether it begins its file then. */
  rows({ keys, values }: StoredTokens, isStart?: boolean): PlacelessRows {
    const { headSize, rowsPerToken } = this.shape;
    const n = keys.scales.length / rowsPerToken;
    const [placedKeys, placedValues] = [0, 1].map(() => cacheArray(this.#parts.decoder.cacheType, keys.values.length));
    const [toKeys, toValues] = [asFloats(placedKeys), asFloats(placedValues)];
    for (let row = 0; row < keys.scales.length; row++) {
      const [keyScale, valueScale] = [keys.scales[row], values.scales[row]];
      const offset = Math.floor(row / n) * headSize;
      for (let i = 0, at = row * headSize; i < headSize; i++, at++) {
        toKeys[at] = keys.values[at] * keyScale + this.#offsets[offset + i];
        toValues[at] = values.values[at] * valueScale;
      }
    }
    return { n, keys: placedKeys, values: placedValues, isStart };
  }

  /**
   * The query [routeSize], of unit length, that the model has behind a question: close to the landmarks of blocks it would
   * attend to. Undefined where the model's plan chooses no blocks. Errors: those of readText.
   */
  async query(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array | undefined> {
    const { reader, decoder, config } = this.#parts;
    const { headSize, nHeads, nKvHeads, rope } = config;
    // Only a run of a single token tells its queries.
    if (ids.length > 1) await reader.readText(ids.slice(0, -1), { signal });
    await reader.readText(ids, { signal });
    const queries = decoder.queriesOf(this.routeLayer).slice();
    if (queries.length === 0) return undefined;
    fromSlots(queries, 1, headSize, rope, ids.length - 1);
    const query = new Float32Array(this.shape.routeSize);
    const groupSize = (nHeads / nKvHeads) * headSize;
    for (const [i, value] of queries.entries()) query[Math.floor(i / groupSize) * headSize + (i % headSize)] += value;
    return unitLength(query);
  }

  /** A reader of texts with something placed in them; `onLook` as in Looking. */
  readerOf(placed: PlacedMemory, onLook: Looking["onLook"]): PlacedReader {
    return new PlacedReader(this.#parts.reader, this.#parts.decoder, placed, { layer: this.routeLayer, onLook });
  }

  async #encodeRun(ids: readonly number[], start: number, seen: Seen): Promise<PlacelessRows> {
    const { reader, decoder } = this.#parts;
    const earlier = seen.runs.flat();
    const nSeen = earlier.reduce((sum, { n }) => sum + n, 0);
    // While all earlier runs are seen they stand in the cache already, unless others have used it.
    if (!reader.lend(seen.borrower) || nSeen < start) {
      let at = 0;
      for (const rows of earlier) {
        decoder.place(at, rows);
        at += rows.n;
      }
    }
    await decoder.run(ids, nSeen, []);
    return decoder.takeAll(nSeen, ids.length);
  }
}

/** What one reading of a file has read that the next run sees, and for whom it lends the decoder. */
interface Seen {
  readonly runs: PlacelessRows[][];
  readonly borrower: object;
}

/** Where reading a file can go on: it needs the stored blocks of the runs that the next one sees. */
export class RunState {
  readonly nTokens: number;
  /** Its blocks lie in the store. */
  readonly sizeBytes = 0;
  readonly #seenRuns: number;
  /** By run. */
  readonly #blocks = new Map<number, StoredTokens[]>();

  constructor(nTokens: number, seenRuns: number) {
    this.nTokens = nTokens;
    this.#seenRuns = seenRuns;
  }

  fork(): RunState {
    return new RunState(this.nTokens, this.#seenRuns);
  }

  save(): Float32Array {
    return new Float32Array(0);
  }

  take(block: number, tokens: StoredTokens): void {
    const run = Math.floor((block * BLOCK_TOKENS) / RUN_TOKENS);
    const isSeen = run === 0 || run > this.nTokens / RUN_TOKENS - this.#seenRuns;
    if (isSeen) this.#blocks.set(run, [...(this.#blocks.get(run) ?? []), tokens]);
  }

  /** The blocks of each run that the next one sees. */
  seen(): StoredTokens[][] {
    return [...this.#blocks.values()];
  }
}

/** What the model made of some consecutive tokens of a file. */
export class DecodedPart {
  readonly rows: PlacelessRows;
  readonly #offsets: Float32Array;
  readonly #shape: PlacedShape;
  readonly #routeRow: number;

  constructor(rows: PlacelessRows, offsets: Float32Array, shape: PlacedShape, routeRow: number) {
    this.rows = rows;
    this.#offsets = offsets;
    this.#shape = shape;
    this.#routeRow = routeRow;
  }

  get nTokens(): number {
    return this.rows.n;
  }

  /** Keys and values of tokens start .. end - 1 in their stored form, head after head. */
  stored(start: number, end: number): StoredTokens {
    const { headSize } = this.#shape;
    const keys = this.#cut(this.rows.keys, start, end);
    for (let at = 0; at < keys.length; at++) {
      const row = Math.floor(at / (headSize * (end - start)));
      keys[at] -= this.#offsets[row * headSize + (at % headSize)];
    }
    return {
      keys: quantiseRows(keys, headSize),
      values: quantiseRows(this.#cut(this.rows.values, start, end), headSize),
    };
  }

  /** The mean of the keys of tokens start .. end - 1 in the layer that finds blocks, of unit length. */
  landmark(start: number, end: number): Float32Array {
    const { headSize, routeSize } = this.#shape;
    const keys = asFloats(this.rows.keys);
    const landmark = new Float32Array(routeSize);
    for (let i = 0; i < routeSize; i++) {
      const row = this.#routeRow + Math.floor(i / headSize);
      const column = i % headSize;
      const offset = this.#offsets[row * headSize + column];
      for (let token = start; token < end; token++) {
        landmark[i] += keys[(row * this.rows.n + token) * headSize + column] - offset;
      }
    }
    return unitLength(landmark);
  }

  /** Rows of some tokens: [heads, end - start, headSize]. */
  #cut(rows: PlacelessRows["keys"], start: number, end: number): Float32Array {
    const { headSize, rowsPerToken } = this.#shape;
    const floats = asFloats(rows);
    const length = (end - start) * headSize;
    const cut = new Float32Array(rowsPerToken * length);
    for (let row = 0; row < rowsPerToken; row++) {
      const from = (row * this.rows.n + start) * headSize;
      cut.set(floats.subarray(from, from + length), row * length);
    }
    return cut;
  }
}
