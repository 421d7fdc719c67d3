/** How well blocks are chosen by their keys: part of `npm run eval -- methods`, on the shipped model. */
import { treeSearch } from "../../engine/attention/hierarchy.ts";
import type { BlockHit } from "../../engine/memory/block-index.ts";
import { rankBlocks } from "../../engine/memory/block-scan.ts";
import type { RepositoryMemory } from "../../engine/memory/repository-memory.ts";
import { groupQuery, type HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { type MemoryQuery, Routing } from "../../engine/runtime/hybrid-routing.ts";
import { atLeast, type Row, told } from "../bench/rows.ts";
import { mean, meanOverHeads, someBlocks, sum } from "./memory.ts";

/** As the product has them (engine/memory/memory-context.ts). */
const CANDIDATES = 3;
const TOLERANCE = 0.1;
const TREE_KEYS = 128;
const bestOf = (scores: ArrayLike<number>, k: number) =>
  Array.from(scores, (_, i) => i)
    .sort((a, b) => scores[b] - scores[a] || a - b)
    .slice(0, k);

/**
 * The attention of a group of tokens to the blocks that are chosen with the queries of the group before it, over that to
 * the best as many; and how much of the chosen blocks' keys is read.
 */
export async function scanMethods(
  decoder: HybridDecoder,
  memory: RepositoryMemory,
  texts: readonly number[][],
): Promise<Row[]> {
  const { routeSize, routeGroup, routeTopBlocks: k, nHeads, headSize } = decoder.config;
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
    for (let at = 0; at + routeGroup <= ids.length; at += routeGroup) {
      const asked: MemoryQuery[] = [];
      routing.expire();
      if (!routing.isEmpty) {
        routing.tokens({
          select: (one) => {
            asked.push(one);
            return dense;
          },
        });
      }
      const group = ids.slice(at, at + routeGroup);
      const result = await decoder.read(state, group, { memory: dense });
      routing.push(result, group);
      for (const { query, heads, tokens } of asked) {
        const weights = meanOverHeads(result.attention, nHeads);
        const masses = blocks.map(({ end }, i) => sum(weights.subarray(starts[i], starts[i] + end)));
        const most = sum(bestOf(masses, k).map((i) => masses[i]));
        const score = (name: string, chosen: readonly number[]) => note(name, sum(chosen.map((i) => masses[i])) / most);
        const placesOf = (found: readonly BlockHit[]) => found.map(({ block }) => places.get(block) ?? 0);
        const byLandmark = placesOf(memory.top(query, CANDIDATES * k, (block) => places.has(block)));
        const byToken = placesOf(memory.topByTokens(tokens, CANDIDATES * k, (block) => places.has(block)));
        const hits = [...new Set([...byLandmark, ...byToken])];
        score("landmarks", byLandmark.slice(0, k));
        score("tokens", byToken.slice(0, k));
        const candidates = hits.map((i) => ({ keys: keys[i], biases: new Float32Array(nHeads) }));
        const { best, rough } = rankBlocks(heads, candidates, k, TOLERANCE);
        const chosen = best.map((i) => hits[i]);
        score("keys", chosen);
        note("low planes", 1 - rough.size / best.length);
        score("tree", hits.length > 0 ? treeChoice(heads, hits) : []);
        score("bounds", bestOf(boundShares(heads), k));
        const now = groupQuery(result.queries, routeSize, routeGroup);
        score("own landmarks", placesOf(memory.top(now, k, (block) => places.has(block))));
      }
    }
  }

  function treeChoice(heads: Float32Array, hits: readonly number[]): number[] {
    const pooled = new Float64Array(hits.length);
    const owners = hits.flatMap((block, i) => Array.from({ length: blocks[block].end }, (_, token) => ({ i, token })));
    const ends = hits.map((_, i) => sum(hits.slice(0, i + 1).map((block) => blocks[block].end)));
    const chunks = ends.map((end, i) => ({ first: ends[i - 1] ?? 0, end }));
    for (let at = 0; at < heads.length; at += headSize) {
      const q = heads.subarray(at, at + headSize);
      const tree = treeSearch(chunks, TREE_KEYS, (key) => dot(q, decodedKey(hits[owners[key].i], owners[key].token)));
      note("tree scored", tree.nScored / owners.length);
      const max = Math.max(...tree.scores);
      const all = sum(tree.scores.map((s) => Math.exp(s - max)));
      for (const [rank, key] of tree.keys.entries()) pooled[owners[key].i] += Math.exp(tree.scores[rank] - max) / all;
    }
    return bestOf(pooled, k).map((i) => hits[i]);
  }

  function boundShares(heads: Float32Array): Float64Array {
    const pooled = new Float64Array(blocks.length);
    for (let at = 0; at < heads.length; at += headSize) {
      const q = heads.subarray(at, at + headSize);
      const scores = bounds.map(({ low, high }) => sum(q.map((x, c) => Math.max(x * low[c], x * high[c]))));
      const max = Math.max(...scores);
      const all = sum(scores.map((s) => Math.exp(s - max)));
      for (const [i, s] of scores.entries()) pooled[i] += Math.exp(s - max) / all;
    }
    return pooled;
  }

  const of = (name: string) => mean(found.get(name) ?? []);
  const over = "attention of the chosen blocks over the best";
  return [
    atLeast(`SpAtten: ${over}, by the high planes of ${2 * CANDIDATES * k} candidates' keys`, of("keys"), "", 0.9),
    told("SpAtten: the same by landmarks alone", of("landmarks"), ""),
    told("SpAtten: the same by shared rare tokens alone", of("tokens"), ""),
    told("Landmark Attention: the same by the tokens' own routing queries", of("own landmarks"), ""),
    told("Landmark Attention: the same by the bounds of keys (Quest)", of("bounds"), ""),
    told(`HiP: the same by a tree search that finds ${TREE_KEYS} keys`, of("tree"), ""),
    told("HiP: keys scored of the candidates'", of("tree scored"), ""),
    told("SpAtten: low planes that the bound demands, of the chosen blocks'", of("low planes"), ""),
  ];
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((total, x, i) => total + x * b[i], 0);
