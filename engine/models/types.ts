/**
 * The contracts between model files, tokenizers, the compiler and the runtime.
 * Weight names follow GGUF ("token_embd", "blk.0.attn_q", "output_norm" ...), without the ".weight" ending;
 * biases end in ".bias". Matrices are [rows, cols] = [outputs, inputs], row-major. Query and key rows are always
 * in rotate-half (NeoX) order, whatever order the file used.
 */

/** How a file stores a tensor's weights. I8 has no scale of its own; only the model that defines it can read it. */
export type TensorType =
  | ("F32" | "F16" | "BF16" | "I8")
  | ("Q4_0" | "Q4_1" | "Q5_0" | "Q5_1" | "Q8_0" | "Q4_K" | "Q5_K" | "Q6_K");

/** One tensor of a model file: shape [rows, cols] or [n], and where its bytes lie. */
export interface TensorInfo {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** RoPE: base frequency and the scaling rule a model was trained with. Sources: RoFormer, YaRN, Llama 3.1. */
export interface RopeConfig {
  readonly theta: number;
  readonly scaling?:
    | { readonly kind: "linear"; readonly factor: number }
    | {
        readonly kind: "llama3";
        readonly factor: number;
        readonly lowFreqFactor: number;
        readonly highFreqFactor: number;
        readonly originalContextLength: number;
      }
    | {
        readonly kind: "yarn";
        readonly factor: number;
        readonly originalContextLength: number;
        readonly betaFast: number;
        readonly betaSlow: number;
        readonly attentionFactor: number;
      }
    /** Per-dimension divisors of the frequencies, as GGUF's rope_freqs tensor holds them. [headSize / 2] */
    | { readonly kind: "factors"; readonly factors: readonly number[] };
}

/** A decoder-only transformer with grouped-query attention, RMS norm and a SwiGLU feed-forward. */
export interface DecoderConfig {
  readonly architecture: "llama" | "qwen2" | "qwen3";
  readonly nLayers: number;
  readonly hiddenSize: number;
  readonly ffnSize: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headSize: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly normEps: number;
  /** Whether the output matrix is the embedding matrix. */
  readonly tiedEmbeddings: boolean;
  /** Whether q, k and v have biases (Qwen2). */
  readonly qkvBias: boolean;
  /** Whether q and k are RMS-normalised per head (Qwen3). */
  readonly qkNorm: boolean;
  readonly rope: RopeConfig;
}

/** A stretch of a file that holds weights as they are in memory, so that the runtime can map it instead of copying. */
export interface FileSlice {
  readonly path: string;
  /** A multiple of 64. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** A float32 matrix, row-major [rows, cols]. `dataAt` says where it lies on disk; `data` is then read when touched. */
export interface FloatMatrix {
  readonly kind: "f32";
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array;
  readonly dataAt?: FileSlice;
}

/**
 * A block-quantised matrix in the layout of com.microsoft.MatMulNBits: rows = N, cols = K, blocks of 32 along K
 * (K padded to whole blocks), symmetric: weight = (stored - zeroPoint) * scale with zeroPoint 8 (4 bits) or 128 (8 bits).
 * packed: [rows, blocks, 32 * bits / 8] bytes (4 bits: low nibble first); scales: [rows, blocks].
 * `packedAt` and `scalesAt` say where they lie on disk; `packed` and `scales` are then read only when touched. Matrices
 * that share their input lie one after another on disk, packed parts and scales each without a gap (attn_q, attn_k,
 * attn_v; ffn_gate, ffn_up), so that they can be mapped as one taller matrix.
 */
export interface QuantMatrix {
  readonly kind: "quant";
  readonly bits: 4 | 8;
  readonly rows: number;
  readonly cols: number;
  readonly packed: Uint8Array;
  readonly scales: Float32Array;
  readonly packedAt?: FileSlice;
  readonly scalesAt?: FileSlice;
}

export type Matrix = FloatMatrix | QuantMatrix;

/** A model's weights, converted and ready for the compiler. Buffers stay valid until close(). */
export interface Weights {
  /** Identifies these converted weights: hex SHA-256 of source content and conversion settings. */
  readonly fingerprint: string;
  has(name: string): boolean;
  /** A linear layer's or embedding's matrix; throws bad-model where it is missing. */
  matrix(name: string): Matrix;
  /** A norm, bias or other vector; throws bad-model where it is missing. */
  vector(name: string): Float32Array;
  close(): void;
}

/** Text to token ids and back. Ids are positions in the model's vocabulary. */
export interface Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  /** Ids that end a generation (eos, eot, <|im_end|> ...). */
  readonly stopIds: readonly number[];
  /** Encodes text. `special`: recognise special tokens written in the text (default false); `bos`: add the model's
   * own beginning-of-text token where the model asks for it (default false); `continues`: the text goes on after other
   * text, so that SentencePiece writes no space of its own before it (default false). */
  encode(text: string, options?: { special?: boolean; bos?: boolean; continues?: boolean }): number[];
  /** The bytes a token stands for; control tokens give an empty array. */
  bytes(id: number): Uint8Array;
  /** Decodes ids to text; malformed UTF-8 becomes U+FFFD. */
  decode(ids: readonly number[]): string;
  /** The id of a token by its exact text, special tokens included. */
  id(token: string): number | undefined;
}
