/**
 * The methods that the repository memory is made of, each measured on the shipped model with this repository's own
 * sources in memory: part of `npm run eval -- methods`.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlockHit, ExactIndex } from "../../engine/memory/block-index.ts";
import { ClusteredIndex } from "../../engine/memory/clustered-index.ts";
import { RecycledHits } from "../../engine/memory/recycled-hits.ts";
import type { RepositoryMemory } from "../../engine/memory/repository-memory.ts";
import { packageRoot } from "../../engine/paths.ts";
import { groupQuery, HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import { Routing } from "../../engine/runtime/hybrid-routing.ts";
import { atLeast, atMost, type Row, told } from "../bench/rows.ts";
import { encodeSources } from "../own-sources.ts";
import { type Dense, denseAttention, mean, meanOverHeads, someBlocks, sum } from "./memory.ts";
import { scanMethods } from "./scan-methods.ts";

/** Texts that are not in memory. */
const TEXTS = ["test/architecture.test.ts", "test/eval/metrics.ts", "test/eval/snapshot.ts", "test/data.ts"];
const TEXT_TOKENS = 320;
/** Tokens that are read one by one, as while generating. */
const STEPS = 96;

/** Measures the methods; takes about a minute. */
export async function evaluateMemoryMethods(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), "longsight-methods-"));
  const { model, store, memory, encoder, files } = await encodeSources(dir);
  const landmarks = files.flatMap(({ contentHash }) => store.open(store.idOf(contentHash))?.landmarks ?? []);
  // Exact: int8 inputs are rounded run by run, and so differ with how a text is split.
  const decoder = await HybridDecoder.open(model, { nThreads: 2, accuracy: "float" });
  try {
    const texts = TEXTS.map((path) => {
      const ids = encoder.fileIds(path, readFileSync(join(packageRoot, path), "utf8"));
      return ids.slice(0, TEXT_TOKENS);
    });
    return [
      ...(await landmarkAttention(decoder, memory, texts)),
      ...(await scanMethods(decoder, memory, texts)),
      ...(await recycledAttention(decoder, memory, texts)),
      await routingTransformer(decoder, landmarks, texts),
    ].map((row) => ({ ...row, name: `${row.name} (default model, ${model.config.name})` }));
  } finally {
    await encoder.close();
    await decoder.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function landmarkAttention(decoder: HybridDecoder, memory: RepositoryMemory, texts: number[][]): Promise<Row[]> {
  const { dense } = someBlocks(memory);
  const [ids] = texts;
  const routed = await new HybridReader(decoder).readText(ids, { memory: { select: () => dense } });
  const own = routed.slice();
  const { logits } = await decoder.read(decoder.start(), ids, { memory: dense });
  const worst = logits.reduce((max, logit, i) => Math.max(max, Math.abs(logit - own[i])), 0);
  const found: Dense[] = [];
  for (const text of texts) found.push(await denseAttention(decoder, memory, text));
  const of = (what: keyof Dense) => mean(found.map((one) => one[what]));
  return [
    atMost("Landmark Attention: all blocks chosen against dense, largest difference of a logit", worst, "", 1e-3),
    atLeast("Landmark Attention: attention of the routed blocks over the best", of("recall"), "", 0.9),
    atMost("ACT: attention to blocks' first tokens over an even share", of("firstTokens"), "x", 2),
  ];
}

/** What landmarks propose, kept while the query stays close, against what they propose for every token. */
async function recycledAttention(decoder: HybridDecoder, memory: RepositoryMemory, texts: number[][]): Promise<Row[]> {
  const { routeTopBlocks } = decoder.config;
  const { places, blocks, dense } = someBlocks(memory);
  const starts = blocks.map((_, i) => sum(blocks.slice(0, i).map(({ end }) => end)));
  const choose = (query: Float32Array) => memory.top(query, routeTopBlocks, (block) => places.has(block));
  const kept: number[] = [];
  let nSearches = 0;
  for (const ids of texts) {
    const state = decoder.start();
    const cut = ids.length - STEPS;
    const routing = new Routing(decoder.config);
    routing.push(await decoder.read(state, ids.slice(0, cut), { memory: dense }), ids.slice(0, cut));
    const recycled = new RecycledHits(choose);
    for (const id of ids.slice(cut)) {
      let [current, best]: (readonly BlockHit[])[] = [[], []];
      routing.tokens({
        select: ({ query }) => {
          [current, best] = [recycled.of(query), choose(query)];
          return dense;
        },
      });
      const step = await decoder.read(state, [id], { memory: dense });
      routing.push(step, [id]);
      const weights = meanOverHeads(step.attention, decoder.config.nHeads);
      const massOf = ({ block }: BlockHit) => {
        const at = places.get(block) ?? 0;
        return sum(weights.subarray(starts[at], starts[at] + blocks[at].end));
      };
      kept.push(sum(current.map(massOf)) / sum(best.map(massOf)));
    }
    nSearches += recycled.nSearches;
  }
  return [
    atLeast(
      "Recycled Attention: attention of what landmarks proposed before over what they do now",
      mean(kept),
      "",
      0.94,
    ),
    told("Recycled Attention: searches among landmarks for each token", nSearches / kept.length, ""),
  ];
}

/** What k-means lists find of the best blocks, asked with the routing queries of real texts. */
async function routingTransformer(decoder: HybridDecoder, landmarks: Float32Array[], texts: number[][]): Promise<Row> {
  const { routeSize, routeGroup, routeTopBlocks } = decoder.config;
  const exact = new ExactIndex(routeSize);
  const clustered = new ClusteredIndex(routeSize, { minBlocks: 500 });
  for (const one of landmarks) {
    exact.add(one);
    clustered.add(one);
  }
  await clustered.settled();
  let [found, all] = [0, 0];
  for (const ids of texts) {
    const state = decoder.start();
    for (let start = 0; start + routeGroup <= ids.length; start += routeGroup) {
      const { queries } = await decoder.read(state, ids.slice(start, start + routeGroup));
      const query = groupQuery(queries, routeSize, routeGroup);
      const hits = new Set(clustered.top(query, routeTopBlocks).map(({ block }) => block));
      const best = exact.top(query, routeTopBlocks);
      found += best.filter(({ block }) => hits.has(block)).length;
      all += best.length;
    }
  }
  const name = `Routing Transformer: recall@${routeTopBlocks}, a tenth of the clusters of ${exact.nBlocks} landmarks probed`;
  return atLeast(name, found / all, "", 0.9);
}
