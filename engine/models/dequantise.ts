/**
 * Stored weights to float32, exactly as ggml computes them: each result is one rounding of an exact value, because the
 * products of half-precision scales and small integers fit into 24 bits. Source: ggml's block formats.
 */
import { LAYOUTS } from "./files/tensor-types.ts";
import type { TensorType } from "./types.ts";

/** float32 values of all half-precision bit patterns. */
const HALF = new Float32Array(65_536);
for (let bits = 0; bits < 65_536; bits++) {
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  const size = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
  const value = exponent < 31 ? size : mantissa === 0 ? Infinity : Number.NaN;
  HALF[bits] = bits & 0x8000 ? -value : value;
}

/** The half-precision number at a byte offset. */
export const halfAt = (bytes: Uint8Array, at: number): number => HALF[bytes[at] | (bytes[at + 1] << 8)];

/** Decodes the block that starts at byte `at` into `out` from index `to` on. */
type BlockDecoder = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

/** 32 weights of 4 bits: byte j holds weight j (low nibble) and weight j + 16 (high nibble). */
function nibbles(bytes: Uint8Array, at: number, out: Float32Array, to: number, scale: number, min: number): void {
  for (let j = 0; j < 16; j++) {
    const byte = bytes[at + j];
    out[to + j] = (byte & 15) * scale + min;
    out[to + j + 16] = (byte >> 4) * scale + min;
  }
}

/** 32 weights of 5 bits: nibbles as above, and bit j of a little-endian word is weight j's fifth bit. */
function fiveBits(
  bytes: Uint8Array,
  [highAt, at]: [number, number],
  out: Float32Array,
  to: number,
  scale: number,
  min: number,
): void {
  for (let j = 0; j < 16; j++) {
    const byte = bytes[at + j];
    const low = (byte & 15) | (((bytes[highAt + (j >> 3)] >> (j & 7)) & 1) << 4);
    const high = (byte >> 4) | (((bytes[highAt + 2 + (j >> 3)] >> (j & 7)) & 1) << 4);
    out[to + j] = low * scale + min;
    out[to + j + 16] = high * scale + min;
  }
}

/** The j-th 6-bit scale of a Q4_K or Q5_K block's 12 scale bytes; the minimum is `offset` 4. */
function scale6(bytes: Uint8Array, at: number, j: number, offset: 0 | 4): number {
  if (j < 4) return bytes[at + j + offset] & 63;
  const low = offset === 0 ? bytes[at + j + 4] & 15 : bytes[at + j + 4] >> 4;
  return low | ((bytes[at + j - 4 + offset] >> 6) << 4);
}

/** Q4_K and Q5_K: eight runs of 32 weights, each with its own 6-bit scale and minimum. */
function kBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number, highAt: number, quantsAt: number): void {
  const d = halfAt(bytes, at);
  const dMin = halfAt(bytes, at + 2);
  for (let run = 0; run < 8; run++) {
    const scale = d * scale6(bytes, at + 4, run, 0);
    const min = dMin * scale6(bytes, at + 4, run, 4);
    const shift = (run & 1) * 4;
    const from = quantsAt + (run >> 1) * 32;
    for (let l = 0; l < 32; l++) {
      const fifth = highAt < 0 ? 0 : ((bytes[highAt + l] >> run) & 1) << 4;
      out[to + run * 32 + l] = (((bytes[from + l] >> shift) & 15) | fifth) * scale - min;
    }
  }
}

const DECODERS: Record<Exclude<TensorType, "F32">, BlockDecoder> = {
  F16: (bytes, at, out, to) => {
    out[to] = halfAt(bytes, at);
  },
  BF16: (bytes, at, out, to) => {
    FLOAT_BITS[0] = (bytes[at] << 16) | (bytes[at + 1] << 24);
    out[to] = FLOAT[0];
  },
  I8: (bytes, at, out, to) => {
    out[to] = (bytes[at] << 24) >> 24;
  },
  Q4_0: (bytes, at, out, to) => {
    const d = halfAt(bytes, at);
    nibbles(bytes, at + 2, out, to, d, -8 * d);
  },
  Q4_1: (bytes, at, out, to) => nibbles(bytes, at + 4, out, to, halfAt(bytes, at), halfAt(bytes, at + 2)),
  Q5_0: (bytes, at, out, to) => {
    const d = halfAt(bytes, at);
    fiveBits(bytes, [at + 2, at + 6], out, to, d, -16 * d);
  },
  Q5_1: (bytes, at, out, to) => fiveBits(bytes, [at + 4, at + 8], out, to, halfAt(bytes, at), halfAt(bytes, at + 2)),
  Q8_0: (bytes, at, out, to) => {
    const d = halfAt(bytes, at);
    for (let j = 0; j < 32; j++) out[to + j] = ((bytes[at + 2 + j] << 24) >> 24) * d;
  },
  Q4_K: (bytes, at, out, to) => kBlock(bytes, at, out, to, -1, at + 16),
  Q5_K: (bytes, at, out, to) => kBlock(bytes, at, out, to, at + 16, at + 48),
  Q6_K: (bytes, at, out, to) => {
    const d = halfAt(bytes, at + 208);
    for (let i = 0; i < 256; i++) {
      const half = i >> 7;
      const within = i & 127;
      const low = bytes[at + half * 64 + (within & 63)] >> ((within >> 6) * 4);
      const high = bytes[at + 128 + half * 32 + (i & 31)] >> ((within >> 5) * 2);
      const scale = (bytes[at + 192 + (i >> 4)] << 24) >> 24;
      out[to + i] = d * scale * (((low & 15) | ((high & 3) << 4)) - 32);
    }
  },
};

const FLOAT = new Float32Array(1);
const FLOAT_BITS = new Uint32Array(FLOAT.buffer);

/** Decodes whole blocks: `bytes` must hold exactly `out.length` weights of this type. */
export function dequantise(type: TensorType, bytes: Uint8Array, out: Float32Array): void {
  const { blockSize, blockBytes } = LAYOUTS[type];
  const nBlocks = out.length / blockSize;
  if (bytes.length !== nBlocks * blockBytes)
    throw new RangeError(`${bytes.length} bytes for ${nBlocks} ${type} blocks`);
  if (type === "F32") {
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
    return;
  }
  const decode = DECODERS[type];
  for (let block = 0; block < nBlocks; block++) decode(bytes, block * blockBytes, out, block * blockSize);
}
