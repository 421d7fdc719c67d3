/** How the tensor types of GGUF and safetensors lie in bytes: whole blocks along a row. Source: ggml's block layouts. */
import type { TensorType } from "../types.ts";

interface Layout {
  /** Weights in a block. */
  readonly blockSize: number;
  readonly blockBytes: number;
}

export const LAYOUTS: Readonly<Record<TensorType, Layout>> = {
  F32: { blockSize: 1, blockBytes: 4 },
  F16: { blockSize: 1, blockBytes: 2 },
  BF16: { blockSize: 1, blockBytes: 2 },
  I8: { blockSize: 1, blockBytes: 1 },
  Q4_0: { blockSize: 32, blockBytes: 18 },
  Q4_1: { blockSize: 32, blockBytes: 20 },
  Q5_0: { blockSize: 32, blockBytes: 22 },
  Q5_1: { blockSize: 32, blockBytes: 24 },
  Q8_0: { blockSize: 32, blockBytes: 34 },
  Q4_K: { blockSize: 256, blockBytes: 144 },
  Q5_K: { blockSize: 256, blockBytes: 176 },
  Q6_K: { blockSize: 256, blockBytes: 210 },
};

/** GGUF's type numbers; those without a layout above are named only so that an error can name them. */
export const GGUF_TYPE_NAMES: readonly (string | undefined)[] = [
  ...["F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1"],
  ...["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S"],
  ...["IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M"],
  ...["BF16", "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4"],
];

/** Whether a type name is one Longsight reads. */
export function isTensorType(name: string | undefined): name is TensorType {
  return name !== undefined && Object.hasOwn(LAYOUTS, name);
}

/** The bytes of `nWeights` weights, a whole number of blocks. */
export function byteLengthOf(type: TensorType, nWeights: number): number {
  const { blockSize, blockBytes } = LAYOUTS[type];
  return (nWeights / blockSize) * blockBytes;
}
