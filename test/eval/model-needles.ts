/**
 * Needles: functions with made-up names hidden in real files, and call sites that ask for the value one returns. Found
 * means that the routing has the needle's block among those it chooses.
 */

import { ExactIndex } from "../../engine/memory/block-index.ts";
import type { RepositoryMemory } from "../../engine/memory/repository-memory.ts";
import { type HybridConfig, MEMORY_CLASSES } from "../../engine/models/hybrid-config.ts";
import type { ModelTokenizer } from "../../engine/models/tokenizer/tokenizer.ts";
import { groupQuery, type HybridDecoder } from "../../engine/runtime/hybrid.ts";
import type { HybridEncoder } from "../../engine/runtime/hybrid-encoder.ts";
import { type MemoryBlock, memoryTokens, type StoredTokens } from "../../engine/runtime/hybrid-memory.ts";
import { type Repository, randomNumbers, shuffled } from "./memory.ts";

interface Form {
  readonly test: string;
  readonly definition: (name: string, value: string) => string;
  readonly use: (name: string) => string;
}

/** By a file's ending. */
const FORMS: Readonly<Record<string, Form>> = {
  py: {
    test: "tests/test_values.py",
    definition: (name, value) => `\n\ndef ${name}():\n    return "${value}"\n\n`,
    use: (name) => `from values import ${name}\n\n\ndef test_value():\n    assert ${name}() == "`,
  },
  ts: {
    test: "test/values.test.ts",
    definition: (name, value) => `\nexport function ${name}() {\n  return "${value}";\n}\n\n`,
    use: (name) => `import { ${name} } from "../values";\n\ntest("value", () => {\n  expect(${name}()).toBe("`,
  },
  go: {
    test: "values_test.go",
    definition: (name, value) => `\nfunc ${name}() string {\n\treturn "${value}"\n}\n\n`,
    use: (name) => `func TestValue(t *testing.T) {\n\trequire.Equal(t, ${name}(), "`,
  },
};

const FILE_TOKENS = 1024;
const OTHER = MEMORY_CLASSES.indexOf("other");

interface Needle {
  readonly form: Form;
  readonly name: string;
  readonly value: string;
  readonly tokens: StoredTokens;
  readonly landmark: Float32Array;
}

function madeUp(random: () => number): { name: string; value: string } {
  const word = (n: number) => {
    const pick = (letters: string) => letters[Math.floor(random() * letters.length)];
    return Array.from({ length: n }, () => pick("bdfgklmnprstvz") + pick("aeiou")).join("");
  };
  return { name: `get_${word(3)}_${word(2)}`, value: word(3) };
}

/** Hides a needle in each of `n` files and encodes the block that holds its value. */
async function hide(
  encoder: HybridEncoder,
  tokenizer: ModelTokenizer,
  repositories: readonly Repository[],
  n: number,
): Promise<Needle[]> {
  const random = randomNumbers(7);
  const files = repositories.flatMap(({ files }) => [...files.values()]);
  const needles: Needle[] = [];
  for (const { path, text } of shuffled(files, random)) {
    if (needles.length === n) break;
    const form = FORMS[path.slice(path.lastIndexOf(".") + 1)];
    const shown = text.slice(0, FILE_TOKENS * 2);
    const lineEnds = [...shown.matchAll(/\n/g)].map(({ index }) => index + 1);
    if (!form || lineEnds.length < 10) continue;
    const { name, value } = madeUp(random);
    const at = lineEnds[Math.floor(random() * lineEnds.length)];
    const hidden = `${shown.slice(0, at)}${form.definition(name, value)}${shown.slice(at)}`;
    const ids = encoder.fileIds(path, hidden).slice(0, FILE_TOKENS);
    const block = blockOf(ids, tokenizer, value, encoder.config);
    if (block === undefined) continue;
    const encoded = await encoder.encode(ids);
    const end = Math.min((block + 1) * encoder.config.blockSize, ids.length);
    const start = block * encoder.config.blockSize;
    needles.push({ form, name, value, tokens: encoded.stored(start, end), landmark: encoded.landmark(start, end) });
  }
  return needles;
}

/** The block where a text begins; undefined where it is not among the ids. */
function blockOf(ids: readonly number[], tokenizer: ModelTokenizer, text: string, { blockSize }: HybridConfig) {
  const bytes = ids.map((id) => tokenizer.bytes(id));
  const place = Buffer.concat(bytes).indexOf(text);
  if (place < 0) return undefined;
  let [token, end] = [0, bytes[0].length];
  while (end <= place) end += bytes[++token].length;
  return Math.floor(token / blockSize);
}

/** A repository with its memory and the index that this memory uses. */
export interface Remembered {
  readonly repository: Repository;
  readonly memory: RepositoryMemory;
  readonly index: ExactIndex;
}

export interface NeedleResult {
  readonly nTokens: number;
  readonly recall: number;
  /** The share of needles whose value is written out right. */
  readonly copied: number;
}

/** Needles among growing parts of real memories. Sizes are in tokens; those beyond what there is are left out. */
export async function needleRecall(
  encoder: HybridEncoder,
  decoder: HybridDecoder,
  tokenizer: ModelTokenizer,
  sources: readonly Remembered[],
  { nNeedles, sizes }: { readonly nNeedles: number; readonly sizes: readonly number[] },
): Promise<NeedleResult[]> {
  const { routeSize, routeGroup, routeTopBlocks, blockSize, headSize, specialTokens } = decoder.config;
  const repositories = sources.map(({ repository }) => repository);
  const needles = await hide(encoder, tokenizer, repositories, nNeedles);
  const real = shuffled(
    sources.flatMap(({ memory, index }) => [...memory.blocks()].map((block) => ({ memory, index, block }))),
    randomNumbers(8),
  );
  const results: NeedleResult[] = [];
  for (const size of sizes) {
    const others = real.slice(0, Math.ceil(size / blockSize) - needles.length);
    if (others.length + needles.length < Math.ceil(size / blockSize)) continue;
    const haystack = new ExactIndex(routeSize);
    for (const { landmark } of needles) haystack.add(landmark);
    for (const { index, block } of others) haystack.add(index.table.row(block));
    const stored = (block: number): MemoryBlock[] => {
      const other = others[block - needles.length];
      const tokens = needles[block]?.tokens ?? other.memory.read(other.block);
      return tokens ? [{ tokens, start: 0, end: tokens.keys.scales.length, class: OTHER }] : [];
    };
    let [nFound, nCopied] = [0, 0];
    for (const [own, { form, name, value }] of needles.entries()) {
      const prompt = [specialTokens.file, ...tokenizer.encode(form.test), ...tokenizer.encode(`\n${form.use(name)}`)];
      // As the engine reads a first piece: once for its queries, then with what they ask for.
      const { queries } = await decoder.read(decoder.start(), prompt);
      const hits = haystack.top(groupQuery(queries, routeSize, routeGroup), routeTopBlocks);
      if (hits.some(({ block }) => block === own)) nFound++;
      const memory = memoryTokens(
        hits.flatMap(({ block }) => stored(block)),
        headSize,
      );
      const state = decoder.start();
      let ids: number[] = [];
      let next = prompt;
      while (ids.length < value.length && tokenizer.decode(ids).length < value.length) {
        const { logits } = await decoder.read(state, next, { memory });
        next = [best(logits)];
        ids = [...ids, ...next];
      }
      if (tokenizer.decode(ids).startsWith(value)) nCopied++;
    }
    results.push({ nTokens: size, recall: nFound / needles.length, copied: nCopied / needles.length });
  }
  return results;
}

function best(logits: Float32Array): number {
  let id = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[id]) id = i;
  return id;
}
