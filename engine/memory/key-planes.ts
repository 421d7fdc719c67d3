/**
 * Keys in two planes: the high four bits of each code, by which blocks are compared, and the low four, fetched only where
 * the high ones leave too much open (SpAtten, HPCA 2021, progressive quantisation; the bound is in attention/flatness.ts).
 * A plane packs two codes into a byte, the first one in its low half.
 */

/** Bytes of one plane of `nCodes` codes. */
export const planeBytes = (nCodes: number): number => Math.ceil(nCodes / 2);

/** The most by which a code made of its high bits alone is off. */
export const HIGH_ERROR = 8;

/** code = 16 * high + low, with low from 0 to 15 for negative codes too. */
export function splitCodes(codes: Int8Array): { high: Uint8Array; low: Uint8Array } {
  const [high, low] = [new Uint8Array(planeBytes(codes.length)), new Uint8Array(planeBytes(codes.length))];
  for (const [i, code] of codes.entries()) {
    const shift = 4 * (i % 2);
    high[i >> 1] |= ((code >> 4) & 15) << shift;
    low[i >> 1] |= (code & 15) << shift;
  }
  return { high, low };
}

/** The codes again; without a low plane each stands in the middle of what it may be. */
export function joinCodes(high: Uint8Array, low: Uint8Array | undefined, nCodes: number): Int8Array {
  const codes = new Int8Array(nCodes);
  for (let i = 0; i < nCodes; i++) {
    const shift = 4 * (i % 2);
    const lowBits = low === undefined ? HIGH_ERROR : (low[i >> 1] >> shift) & 15;
    // Int8Array wraps 8 .. 15 around to the negative high halves.
    codes[i] = (((high[i >> 1] >> shift) & 15) << 4) | lowBits;
  }
  return codes;
}
