import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { completeAt } from "../../../engine/complete/complete.ts";
import { aroundOffset } from "../../../engine/complete/context.ts";
import { Copier } from "../../../engine/complete/copier.ts";
import { CopyIndex } from "../../../engine/complete/copy-index.ts";
import { NameIndex } from "../../../engine/complete/name-index.ts";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { loadTokenizerFolder } from "../../../engine/models/tokenizer/folder.ts";
import { defaultModelDir, packageRoot } from "../../../engine/paths.ts";
import { HybridDecoder } from "../../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../../engine/runtime/hybrid-reader.ts";
import type { DraftReader } from "../../../engine/runtime/reader.ts";

const tokenizer = loadTokenizerFolder(defaultModelDir);
const utf8 = (text: string) => new TextEncoder().encode(text);
const indexOf = (files: Record<string, string>) => {
  const index = new CopyIndex();
  for (const [name, text] of Object.entries(files)) index.set(name, utf8(text));
  return index;
};
const propose = (index: CopyIndex, text: string, suffix = "") =>
  new Copier(tokenizer, { path: "open.ts", prefix: text, suffix }, index).propose(utf8(text));
const textOf = (proposal: ReturnType<typeof propose>) => tokenizer.decode([...(proposal?.ids ?? [])]);

test("what followed the longest agreeing text is proposed, in the middle of a word too", () => {
  const index = indexOf({
    "a.ts": "export function parse(text: string) {\n  return JSON.parse(text);\n}\n",
    "b.ts": "  return Number.parseFloat(text);\n",
  });
  assert.match(textOf(propose(index, "function twice() {\n  return JSON.")), /^parse\(text\)/);
  assert.match(textOf(propose(index, "  return Number.par")), /^seFloat\(text\)/);
  assert.equal(propose(index, "something else "), undefined);
  assert.equal(propose(index, ""), undefined);
});

test("places that disagree are trusted less, and the most frequent of them wins", () => {
  const [one, other] = ["const value = compute(1);\n", "const value = await load(2);\n"];
  const agreed = propose(indexOf({ a: one, b: one }), "x;\nconst value =");
  const divided = propose(indexOf({ a: one, b: one, c: other }), "x;\nconst value =");
  assert.ok(agreed && divided && agreed.share > 2 * divided.share, `${agreed?.share} ${divided?.share}`);
  assert.match(textOf(divided), /^ compute/);
});

test("the open file is copied from as it is in the editor, not as it was indexed", () => {
  const index = indexOf({ "open.ts": "const answer = stale;\n", "other.ts": "nothing of the kind\n" });
  assert.equal(propose(index, "x;\nconst answer ="), undefined);
  assert.match(textOf(propose(index, "x;\nconst answer =", " y;\n\nconst answer = fresh;\n")), /^ fresh/);
});

test("characters of several bytes are never cut", () => {
  const word = "\u65e5\u672c\u8a9e\u00e9".repeat(20);
  const proposal = propose(indexOf({ a: `let label = "${word}";\n` }), "\nlet label =");
  assert.ok(word.startsWith(textOf(proposal).slice(2)));
  // A context that ends inside a character has no proposal rather than half of one.
  const bytes = utf8(`let label = "${word}`);
  const copier = new Copier(tokenizer, { path: "x", prefix: "", suffix: "" }, indexOf({ a: `let label = "${word}";` }));
  assert.equal(copier.propose(bytes.subarray(0, bytes.length - 7)), undefined);
});

test("reading copied text ahead changes no completion, and needs fewer runs", async (context) => {
  const decoder = await HybridDecoder.open(openHybrid(defaultModelDir), { nThreads: 1 });
  context.after(() => decoder.close());
  const folder = join(packageRoot, "engine", "memory");
  const texts = new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith(".ts"))
      .map((name) => [name, readFileSync(join(folder, name), "utf8")] as const),
  );
  const copies = indexOf(Object.fromEntries(texts));
  const names = new NameIndex();
  for (const [name, text] of texts) names.set(name, text);
  const complete = async (drafts: boolean) => {
    const reader = new HybridReader(decoder);
    let nRuns = 0;
    const counting: DraftReader = {
      contextLength: reader.contextLength,
      readText: (ids, options) => reader.readText(ids, options),
      readDraft: (ids, draft, options) => {
        nRuns++;
        return reader.readDraft(ids, draft, options);
      },
    };
    const results: { text: string; nTokens: number; stoppedBy: string }[] = [];
    for (const [path, text] of [...texts].slice(0, 5)) {
      for (const share of [0.3, 0.6]) {
        const place = { path: `copy-of-${path}`, ...aroundOffset(text, Math.round(share * text.length)) };
        const completion = await completeAt(counting, tokenizer, place, { maxTokens: 24, copies, names, drafts });
        results.push({ text: completion.text, nTokens: completion.nTokens, stoppedBy: completion.stoppedBy });
      }
    }
    return { results, nRuns };
  };
  const [ahead, oneByOne] = [await complete(true), await complete(false)];
  assert.deepEqual(ahead.results, oneByOne.results);
  assert.ok(ahead.nRuns < 0.7 * oneByOne.nRuns, `${ahead.nRuns} of ${oneByOne.nRuns}`);
});
