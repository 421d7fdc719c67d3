/**
 * Needles: functions with made-up names hidden in real files, and call sites that ask for the value one returns. They are
 * read as a completion reads: found means that the needle's block is among those in sight when the value is asked for.
 */
import { createHash } from "node:crypto";
import { ExactIndex } from "../../engine/memory/block-index.ts";
import { Checkpoints } from "../../engine/memory/checkpoints.ts";
import { EncodingJob } from "../../engine/memory/encoding-job.ts";
import type { MemoryContext } from "../../engine/memory/memory-context.ts";
import { type RepositoryFile, RepositoryMemory } from "../../engine/memory/repository-memory.ts";
import type { SegmentStore } from "../../engine/memory/segment-store.ts";
import type { HybridModel } from "../../engine/models/hybrid.ts";
import type { ModelTokenizer } from "../../engine/models/tokenizer/tokenizer.ts";
import type { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import type { HybridEncoder } from "../../engine/runtime/hybrid-encoder.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import type { RoutedMemory } from "../../engine/runtime/hybrid-routing.ts";
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

/** About so many tokens of a file are kept around a needle. */
const FILE_CHARS = 2048;

interface Needle {
  readonly form: Form;
  readonly name: string;
  readonly value: string;
  readonly path: string;
  readonly text: string;
  /** Where the value stands, from 1. */
  readonly line: number;
}

function madeUp(random: () => number): { name: string; value: string } {
  const word = (n: number) => {
    const pick = (letters: string) => letters[Math.floor(random() * letters.length)];
    return Array.from({ length: n }, () => pick("bdfgklmnprstvz") + pick("aeiou")).join("");
  };
  return { name: `get_${word(3)}_${word(2)}`, value: word(3) };
}

/** Hides a needle in each of `n` files. */
function hide(repositories: readonly Repository[], n: number): Needle[] {
  const random = randomNumbers(7);
  const files = repositories.flatMap(({ files }) => [...files.values()]);
  const needles: Needle[] = [];
  for (const { path, text } of shuffled(files, random)) {
    if (needles.length === n) break;
    const form = FORMS[path.slice(path.lastIndexOf(".") + 1)];
    const shown = text.slice(0, FILE_CHARS);
    const lineEnds = [...shown.matchAll(/\n/g)].map(({ index }) => index + 1);
    if (!form || lineEnds.length < 10) continue;
    const { name, value } = madeUp(random);
    const at = lineEnds[Math.floor(random() * lineEnds.length)];
    const hidden = `${shown.slice(0, at)}${form.definition(name, value)}${shown.slice(at)}`;
    const line = hidden.slice(0, hidden.indexOf(`"${value}"`)).split("\n").length;
    needles.push({ form, name, value, path: `needle-${needles.length}/${path}`, text: hidden, line });
  }
  return needles;
}

export interface NeedleResult {
  readonly nTokens: number;
  readonly recall: number;
  /** The share of needles whose value is written out right. */
  readonly copied: number;
}

export interface NeedleDeps {
  readonly model: HybridModel;
  readonly encoder: HybridEncoder;
  readonly decoder: HybridDecoder;
  readonly tokenizer: ModelTokenizer;
  readonly store: SegmentStore;
}

/** Needles among growing parts of real repositories. Sizes are in tokens; those beyond what there is are left out. */
export async function needleRecall(
  { model, encoder, decoder, tokenizer, store }: NeedleDeps,
  repositories: readonly Repository[],
  { nNeedles, sizes }: { readonly nNeedles: number; readonly sizes: readonly number[] },
): Promise<NeedleResult[]> {
  const needles = hide(repositories, nNeedles);
  const texts = new Map<string, string>();
  const files: RepositoryFile[] = [];
  const add = (path: string, text: string) => {
    texts.set(path, text);
    const contentHash = createHash("sha256").update(text).digest("hex");
    files.push({ path, contentHash, sizeBytes: Buffer.byteLength(text) });
  };
  for (const { path, text } of needles) add(path, text);
  const memory = new RepositoryMemory(model, store, new ExactIndex(model.config.routeSize));
  const encodeAll = async () => {
    await memory.update(files);
    const read = async ({ path }: RepositoryFile) => texts.get(path);
    const log = (line: string) => console.error(line);
    const deps = { memory, store, encoder, tokenizer, checkpoints: new Checkpoints(store, encoder), read, log };
    await new EncodingJob({ ...deps, turn: (run) => run() }).run();
  };
  const others = shuffled(
    repositories.flatMap(({ name, files }) =>
      [...files.values()].map(({ path, text }) => ({ path: `${name}/${path}`, text })),
    ),
    randomNumbers(8),
  );
  const results: NeedleResult[] = [];
  for (const size of sizes) {
    await encodeAll();
    while (memory.nTokens < size && others.length > 0) {
      for (const { path, text } of others.splice(0, 1 + Math.floor((size - memory.nTokens) / 2000))) add(path, text);
      await encodeAll();
    }
    if (memory.nTokens < size) break;
    let [nFound, nCopied] = [0, 0];
    for (const needle of needles) {
      const { isFound, written } = await ask(memory, decoder, tokenizer, needle);
      if (isFound) nFound++;
      if (written.startsWith(needle.value)) nCopied++;
    }
    results.push({ nTokens: memory.nTokens, recall: nFound / needles.length, copied: nCopied / needles.length });
  }
  return results;
}

/** Reads a needle's call site, and as many characters on as its value has. */
async function ask(memory: RepositoryMemory, decoder: HybridDecoder, tokenizer: ModelTokenizer, needle: Needle) {
  const { form, name, value, path, line } = needle;
  const text = form.use(name);
  const nLines = text.split("\n").length;
  const place = { path: form.test, head: text, cursorLine: nLines, firstLine: 1, lastLine: nLines };
  /** A context for each choice, so that its trace tells of this choice alone. */
  let last: MemoryContext | undefined;
  const routed: RoutedMemory = {
    select: (asked) => {
      last = memory.memoryFor(place);
      if (!last) throw new Error("the memory is empty");
      return last.select(asked);
    },
  };
  const reader = new HybridReader(decoder);
  const { file } = decoder.config.specialTokens;
  const ids = [file, ...tokenizer.encode(form.test), ...tokenizer.encode(`\n${text}`)];
  const nPrompt = ids.length;
  let isFound: boolean | undefined;
  for (let written = ""; ; written = tokenizer.decode(ids.slice(nPrompt))) {
    if (isFound !== undefined && written.length >= value.length) return { isFound, written };
    if (ids.length > nPrompt + value.length) return { isFound: isFound ?? false, written };
    ids.push(best(await reader.readText(ids, { memory: routed })));
    isFound ??= (last?.trace().layers[0]?.blocks ?? []).some(
      (block) => block.path === path && block.startLine <= line && block.endLine >= line,
    );
  }
}

function best(logits: Float32Array): number {
  let id = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[id]) id = i;
  return id;
}
