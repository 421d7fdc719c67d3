/** Bits per byte of held-out files: the model's, the copier's and their mixture's, with and without memory. */
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { Copier } from "../../engine/complete/copier.ts";
import type { CopyIndex } from "../../engine/complete/copy-index.ts";
import type { HybridConfig } from "../../engine/models/hybrid-config.ts";
import type { ModelTokenizer } from "../../engine/models/tokenizer/tokenizer.ts";
import type { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import type { RoutedMemory } from "../../engine/runtime/hybrid-routing.ts";

/** Tokens that are read in one run. */
const RUN_TOKENS = 16;
/** With a memory, whose blocks a run chooses once. Completions choose for every token they generate, which takes too long here. */
export const CHOOSING_TOKENS = 4;

/** A piece of a file with its header. */
export interface Window {
  readonly path: string;
  /** The header, then the text. */
  readonly ids: readonly number[];
  readonly nHeader: number;
}

/** The first `maxTokens` tokens of a file. */
export function windowOf(
  { specialTokens }: HybridConfig,
  tokenizer: ModelTokenizer,
  path: string,
  text: string,
  maxTokens: number,
): Window {
  const header = [specialTokens.file, ...tokenizer.encode(path)];
  // No token stands for more than a few characters on average: the rest need not be encoded.
  const ids = [...header, ...tokenizer.encode(`\n${text.slice(0, maxTokens * 8)}`)].slice(0, maxTokens);
  return { path, ids, nHeader: header.length };
}

/** The natural logarithm of the probability of every token behind the header, given those before it. */
export async function logProbabilities(
  decoder: HybridDecoder,
  { ids, nHeader }: Window,
  memory?: RoutedMemory,
): Promise<Float64Array> {
  const reader = new HybridReader(decoder);
  const result = new Float64Array(ids.length - nHeader);
  const nRun = memory ? CHOOSING_TOKENS : RUN_TOKENS;
  for (let start = nHeader; start < ids.length; start += nRun) {
    const end = Math.min(start + nRun, ids.length);
    // Reading a text with what follows as a guess gives the logits before each of its tokens.
    const rows = await reader.readDraft(ids.slice(0, start), ids.slice(start, end - 1), { memory });
    for (const [n, logits] of rows.entries()) result[start - nHeader + n] = logProbability(logits, ids[start + n]);
  }
  return result;
}

export function logProbability(logits: Float32Array, id: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  return logits[id] - max - Math.log(sum);
}

/**
 * What the copier proposes before each token behind the header: how sure it is, and whether it is right. As while typing,
 * it copies from what stood before the run.
 */
export function copied(tokenizer: ModelTokenizer, { path, ids, nHeader }: Window, repository: CopyIndex) {
  const pieces = ids.slice(nHeader).map((id) => tokenizer.bytes(id));
  const text = Buffer.concat(pieces);
  let at = 0;
  let copier: Copier | undefined;
  return pieces.map((piece, n) => {
    if (n % RUN_TOKENS === 0 || !copier) {
      const prefix = text.subarray(0, at).toString("utf8");
      copier = new Copier(tokenizer, { path, prefix, suffix: "" }, repository);
    }
    const proposal = copier.propose(text.subarray(0, at));
    at += piece.length;
    return { share: proposal?.share ?? 0, isRight: proposal?.ids[0] === ids[nHeader + n] };
  });
}

/** Bits of a window: the model alone, the mixture, and the copier mixed with all tokens alike. */
export function bitsOf(
  logP: Float64Array,
  proposals: readonly { share: number; isRight: boolean }[],
  vocabSize: number,
): { model: number; mixture: number; copier: number } {
  const bits = { model: 0, mixture: 0, copier: 0 };
  for (const [i, { share, isRight }] of proposals.entries()) {
    const mixed = (p: number) => -Math.log2((1 - share) * p + (isRight ? share : 0));
    bits.model -= logP[i] / Math.LN2;
    bits.mixture += mixed(Math.exp(logP[i]));
    bits.copier += mixed(1 / vocabSize);
  }
  return bits;
}

export const nBytesOf = (tokenizer: ModelTokenizer, { ids, nHeader }: Window) =>
  ids.slice(nHeader).reduce((sum, id) => sum + tokenizer.bytes(id).length, 0);

/** Bits that general compressors need for the same text, all windows one after another. */
export function compressedBits(tokenizer: ModelTokenizer, windows: readonly Window[]): { gzip: number; zstd: number } {
  const text = Buffer.concat(
    windows.flatMap(({ ids, nHeader }) => ids.slice(nHeader).map((id) => tokenizer.bytes(id))),
  );
  const params = { [constants.ZSTD_c_compressionLevel]: 19 };
  return { gzip: 8 * gzipSync(text, { level: 9 }).length, zstd: 8 * zstdCompressSync(text, { params }).length };
}
