/** Reads texts in which something of the repository stands, and looks at how much attention it gets. */
import type { Decoder } from "./decoder.ts";
import type { DecoderReader } from "./decoder-reader.ts";
import type { PlacedMemory, ReadTextOptions, TextReader } from "./reader.ts";

/** A look costs about a tenth of a token: one at every so many tokens. */
const LOOK_TOKENS = 8;

export interface Looking {
  /** A layer that chooses blocks; others tell no queries. */
  readonly layer: number;
  /** Gets the shares of attention that each placed token got, [heads, nTokens], now and then while a text is written. */
  readonly onLook: (shares: Float32Array) => void;
}

export class PlacedReader implements TextReader {
  readonly contextLength: number;
  readonly #reader: DecoderReader;
  readonly #decoder: Pick<Decoder, "queriesOf" | "attentionOf">;
  readonly #placed: PlacedMemory;
  readonly #looking: Looking;
  #lastLength = 0;
  #sinceLook = LOOK_TOKENS;

  constructor(
    reader: DecoderReader,
    decoder: Pick<Decoder, "queriesOf" | "attentionOf">,
    placed: PlacedMemory,
    looking: Looking,
  ) {
    this.contextLength = reader.contextLength - placed.nTokens;
    this.#reader = reader;
    this.#decoder = decoder;
    this.#placed = placed;
    this.#looking = looking;
  }

  async readText(ids: readonly number[], options: ReadTextOptions = {}): Promise<Float32Array> {
    const logits = await this.#reader.readText(ids, { ...options, placed: this.#placed });
    // A prompt is read in runs of many tokens, which tell no queries.
    if (ids.length === this.#lastLength + 1) this.#look(ids.length);
    this.#lastLength = ids.length;
    return logits;
  }

  #look(nRead: number): void {
    const { layer, onLook } = this.#looking;
    if (this.#sinceLook++ < LOOK_TOKENS || this.#decoder.queriesOf(layer).length === 0) return;
    this.#sinceLook = 1;
    const { at, nTokens } = this.#placed;
    onLook(this.#decoder.attentionOf(layer, at, nTokens, nRead + nTokens));
  }
}
