/**
 * The file of converted weights: a header, the parts of every weight in the layout the runtime maps, then a JSON index.
 *
 *   bytes 0-7    "LSWEIGHT"
 *   bytes 8-11   format version; 12-15 the index's length in bytes; 16-23 its offset (little-endian)
 *   bytes 24-55  SHA-256 of the index
 *
 * Every part starts at a multiple of 64 and carries a CRC-32 in the index.
 */
import type { Conversion } from "./convert.ts";
import type { ErrorSums } from "./quantise.ts";

export const MAGIC = "LSWEIGHT";
export const HEADER_BYTES = 64;

/** Part of every fingerprint: raise it whenever the layout or the arithmetic of the conversion changes. */
export const FORMAT_VERSION = 2;

const ALIGNMENT = 64;

/** A stretch of the file. */
export interface Part {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly crc32: number;
}

/** One converted weight. Vectors have one row; `scales` is there for 4 and 8 bits. */
export interface StoredWeight {
  readonly name: string;
  readonly isVector: boolean;
  readonly rows: number;
  readonly cols: number;
  readonly bits: 4 | 8 | 32;
  /** The weights: float32, or packed integers. */
  readonly data: Part;
  readonly scales?: Part;
  /** The rounding error against the model file's own values; all 0 where the conversion is exact. */
  readonly rounding: ErrorSums;
}

/** The sizes of a converted weight's parts, in bytes. */
export function partSizes({ rows, cols, target }: Conversion): { data: number; scales: number } {
  if (target === "f32") return { data: rows * cols * 4, scales: 0 };
  const nBlocks = rows * Math.ceil(cols / 32);
  return { data: nBlocks * 4 * target, scales: nBlocks * 4 };
}

/** Where the parts of every weight begin, and where the last one ends. */
export interface Placement {
  readonly offsets: ReadonlyMap<string, { readonly data: number; readonly scales: number }>;
  readonly end: number;
}

/** Matrices that share their input lie side by side, so that they can be mapped as one taller matrix. */
const GROUPS = [
  ["attn_q", "attn_k", "attn_v"],
  ["ffn_gate", "ffn_up"],
];

/** Places all parts: group by group, first the group's data, then its scales. */
export function place(conversions: readonly Conversion[]): Placement {
  const offsets = new Map<string, { data: number; scales: number }>();
  let end = HEADER_BYTES;
  const take = (sizeBytes: number) => {
    const start = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    end = start + sizeBytes;
    return start;
  };
  for (const group of grouped(conversions)) {
    const data = group.map((conversion) => take(partSizes(conversion).data));
    const scales = group.map((conversion) => take(partSizes(conversion).scales));
    group.forEach(({ name }, i) => {
      offsets.set(name, { data: data[i], scales: scales[i] });
    });
  }
  return { offsets, end };
}

function grouped(conversions: readonly Conversion[]): Conversion[][] {
  const groups = new Map<string, Conversion[]>();
  for (const conversion of conversions) {
    const cut = conversion.name.lastIndexOf(".") + 1;
    const group = GROUPS.findIndex((names) => names.includes(conversion.name.slice(cut)));
    const key = group < 0 ? conversion.name : conversion.name.slice(0, cut) + group;
    groups.set(key, [...(groups.get(key) ?? []), conversion]);
  }
  return [...groups.values()];
}
