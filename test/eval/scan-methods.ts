/** How well blocks are chosen by their keys: part of `npm run eval -- methods`, on the shipped model. */
import { treeSearch } from "../../engine/attention/hierarchy.ts";
import type { BlockHit } from "../../engine/memory/block-index.ts";
import { BlockScan, candidateOf } from "../../engine/memory/block-scan.ts";
import type { RepositoryMemory } from "../../engine/memory/repository-memory.ts";
import type { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { type MemoryQuery, Routing } from "../../engine/runtime/hybrid-routing.ts";
import { atLeast, type Row, told } from "../bench/rows.ts";
import { mean, meanOverHeads, someBlocks, sum } from "./memory.ts";

/** As the product has them (engine/memory/memory-context.ts). */
const CANDIDATES = 3;
const TOLERANCE = 0.1;
const TREE_KEYS = 128;
/** Of each text every so many tokens are looked at, behind its first ones. */
const EVERY = 8;
const MIN_TOKENS = 16;
const bestOf = (scores: ArrayLike<number>, k: number) =>
  Array.from(scores, (_, i) => i)
    .sort((a, b) => scores[b] - scores[a] || a - b)
    .slice(0, k);

/** What a text asks for where it has come to. */
function askedBy(routing: Routing): MemoryQuery {
  let asked: MemoryQuery | undefined;
  routing.tokens({
    select: (one) => {
      asked = one;
      return { keys: new Float32Array(), values: new Float32Array(), classes: new Uint8Array() };
    },
  });
  if (!asked) throw new Error("nothing was asked for");
  return asked;
}

/** As in the product, every second of so many last tokens asks (engine/runtime/hybrid-routing.ts). */
const ASKING_TOKENS = 8;

/**
 * The attention to the blocks that are chosen over that to the best as many: of the tokens that ask, and of the next one, for
 * which the choice is made; and how much of the chosen blocks' keys is read.
 */
export async function scanMethods(
  decoder: HybridDecoder,
  memory: RepositoryMemory,
  texts: readonly number[][],
): Promise<Row[]> {
  const { routeTopBlocks: k, nHeads, headSize } = decoder.config;
  const { places, blocks, dense } = someBlocks(memory);
  const numbers = [...places.keys()];
  const keys = numbers.map((block) => memory.scan(block) ?? { values: new Int8Array(), scales: new Float16Array() });
  const found = new Map<string, number[]>();
  const note = (name: string, value: number) => found.set(name, [...(found.get(name) ?? []), value]);
  const decodedKey = (block: number, token: number) =>
    dense.keys.subarray((starts[block] + token) * headSize, (starts[block] + token + 1) * headSize);
  const starts = blocks.map((_, i) => sum(blocks.slice(0, i).map(({ end }) => end)));
  const bounds = blocks.map(({ end }, i) => {
    const channel = (c: number) => Array.from({ length: end }, (_, token) => decodedKey(i, token)[c]);
    const all = Array.from({ length: headSize }, (_, c) => channel(c));
    return { low: all.map((x) => Math.min(...x)), high: all.map((x) => Math.max(...x)) };
  });
  for (const ids of texts) {
    const state = decoder.start();
    const routing = new Routing(decoder.config);
    let asked: MemoryQuery | undefined;
    /** Of the tokens read last, newest first, the attention to each block. */
    let attended: number[][] = [];
    for (const [at, id] of ids.entries()) {
      const result = await decoder.read(state, [id], { memory: dense });
      const weights = meanOverHeads(result.attention, nHeads);
      const masses = blocks.map(({ end }, i) => sum(weights.subarray(starts[i], starts[i] + end)));
      const score = (name: string, chosen: readonly number[], of = masses) =>
        note(name, sum(chosen.map((i) => of[i])) / sum(bestOf(of, k).map((i) => of[i])));
      if (asked && at >= MIN_TOKENS && at % EVERY === 0) {
        const { byLandmark, byToken, hits } = proposedFor(asked);
        const { chosen, rough } = byKeys(asked.heads, hits);
        const asking = attended.filter((_, i) => i % 2 === 0);
        const ofAsking = blocks.map((_, block) => mean(asking.map((one) => one[block])));
        score("asking tokens", chosen, ofAsking);
        score(
          "asking tokens' candidates",
          bestOf(
            hits.map((i) => ofAsking[i]),
            k,
          ).map((i) => hits[i]),
          ofAsking,
        );
        score("next token", chosen);
        score("next token, best of the one before", bestOf(attended[0], k));
        score("landmarks", byLandmark.slice(0, k));
        score("tokens", byToken.slice(0, k));
        note("low planes", 1 - rough.size / chosen.length);
        score("tree", hits.length > 0 ? treeChoice(asked.heads, hits) : []);
        score("bounds", bestOf(boundShares(asked.heads), k));
      }
      routing.push(result, [id]);
      asked = askedBy(routing);
      attended = [masses, ...attended].slice(0, ASKING_TOKENS);
    }
  }

  function placesOf(found: readonly BlockHit[]): number[] {
    return found.map(({ block }) => places.get(block) ?? 0);
  }

  function queriesOf(heads: readonly Float32Array[]): Float32Array[] {
    return heads.flatMap((token) =>
      Array.from({ length: nHeads }, (_, head) => token.subarray(head * headSize, (head + 1) * headSize)),
    );
  }

  function proposedFor({ query, tokens }: MemoryQuery) {
    const byLandmark = placesOf(memory.top(query, CANDIDATES * k, (block) => places.has(block)));
    const byToken = placesOf(memory.topByTokens(tokens, CANDIDATES * k, (block) => places.has(block)));
    return { byLandmark, byToken, hits: [...new Set([...byLandmark, ...byToken])] };
  }

  function byKeys(heads: readonly Float32Array[], hits: readonly number[]) {
    const candidates = hits.map((i) => candidateOf(keys[i], new Float32Array(nHeads)));
    const { best, rough } = new BlockScan().rank(heads, candidates, k, TOLERANCE);
    return { chosen: best.map((i) => hits[i]), rough };
  }

  function treeChoice(heads: readonly Float32Array[], hits: readonly number[]): number[] {
    const pooled = new Float64Array(hits.length);
    const owners = hits.flatMap((block, i) => Array.from({ length: blocks[block].end }, (_, token) => ({ i, token })));
    const ends = hits.map((_, i) => sum(hits.slice(0, i + 1).map((block) => blocks[block].end)));
    const chunks = ends.map((end, i) => ({ first: ends[i - 1] ?? 0, end }));
    for (const q of queriesOf(heads)) {
      const tree = treeSearch(chunks, TREE_KEYS, (key) => dot(q, decodedKey(hits[owners[key].i], owners[key].token)));
      note("tree scored", tree.nScored / owners.length);
      const max = Math.max(...tree.scores);
      const all = sum(tree.scores.map((s) => Math.exp(s - max)));
      for (const [rank, key] of tree.keys.entries()) pooled[owners[key].i] += Math.exp(tree.scores[rank] - max) / all;
    }
    return bestOf(pooled, k).map((i) => hits[i]);
  }

  function boundShares(heads: readonly Float32Array[]): Float64Array {
    const pooled = new Float64Array(blocks.length);
    for (const q of queriesOf(heads)) {
      const scores = bounds.map(({ low, high }) => sum(q.map((x, c) => Math.max(x * low[c], x * high[c]))));
      const max = Math.max(...scores);
      const all = sum(scores.map((s) => Math.exp(s - max)));
      for (const [i, s] of scores.entries()) pooled[i] += Math.exp(s - max) / all;
    }
    return pooled;
  }

  const of = (name: string) => mean(found.get(name) ?? []);
  const over = "attention to the chosen blocks over that to the best";
  const next = "attention of the next token to the chosen blocks over that to the best";
  return [
    atLeast(
      `SpAtten: ${over}, of the tokens that asked, by the high planes of ${2 * CANDIDATES * k} candidates' keys`,
      of("asking tokens"),
      "",
      0.9,
    ),
    told("SpAtten: the same by the candidates' own attention", of("asking tokens' candidates"), ""),
    told(`SpAtten: ${next}`, of("next token"), ""),
    told("SpAtten: the same by the attention of the token before", of("next token, best of the one before"), ""),
    told("SpAtten: the same by landmarks alone", of("landmarks"), ""),
    told("SpAtten: the same by shared rare tokens alone", of("tokens"), ""),
    told(`Landmark Attention: ${next}, by the bounds of keys (Quest)`, of("bounds"), ""),
    told(`HiP: ${next}, by a tree search that finds ${TREE_KEYS} keys`, of("tree"), ""),
    told("HiP: keys scored of the candidates'", of("tree scored"), ""),
    told("SpAtten: low planes that the bound demands, of the chosen blocks'", of("low planes"), ""),
  ];
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((total, x, i) => total + x * b[i], 0);
