import assert from "node:assert/strict";
import { test } from "node:test";
import { completeAt, type RepositoryContext } from "../../../engine/complete/complete.ts";
import { LongsightError } from "../../../engine/errors.ts";
import type { CompletionPlace } from "../../../engine/memory/memory-context.ts";
import type { DraftReader } from "../../../engine/runtime/reader.ts";
import { grammarOf } from "../../../engine/workspace/grammars.ts";
import { languageOf } from "../../../engine/workspace/languages.ts";
import { bytesTokenizer } from "./bytes-tokenizer.ts";

const MARKERS = ["<|eot|>", "<|file|>", "<|suf|>", "<|pre|>"];
const tokenizer = bytesTokenizer(MARKERS);

/** A model that answers with a fixed text, and what it was asked. */
function model(answer: string, contextLength = 512) {
  const ids = [...tokenizer.encode(answer), 0];
  const prompts: string[] = [];
  let prompt: readonly number[] = [];
  const reader: DraftReader = {
    contextLength,
    readDraft: async (text, draft, options) => {
      // What does not go on from the last prompt is another one; its last word comes as a guess.
      const whole = [...text, ...draft];
      if (prompt.length === 0 || text.length <= prompt.length || prompt.some((id, at) => id !== text[at])) {
        prompt = whole;
        prompts.push(whole.map((id) => (id < MARKERS.length ? MARKERS[id] : tokenizer.decode([id]))).join(""));
      }
      return await Promise.all([...draft, 0].map((_, n) => reader.readText([...text, ...draft.slice(0, n)], options)));
    },
    readText: async (text, { signal } = {}) => {
      if (signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
      assert.ok(text.length <= contextLength);
      const logits = new Float32Array(tokenizer.vocabSize);
      logits[text.length < prompt.length ? prompt[text.length] : ids[text.length - prompt.length]] = 20;
      return logits;
    },
  };
  return { reader, prompts };
}

const at = (prefix: string, suffix: string) => ({ path: "src/a.ts", prefix, suffix });

test("the middle is asked for suffix first and ends where the model ends it", async () => {
  const { reader, prompts } = model("b + c");
  const seen: string[] = [];
  const result = await completeAt(reader, tokenizer, at("a = ", ";\n"), {
    maxTokens: 20,
    onText: (text) => seen.push(text),
  });
  assert.deepEqual(prompts, ["<|file|>src/a.ts<|suf|>;\n<|pre|>\na = "]);
  assert.equal(result.text, "b + c");
  assert.equal(result.nTokens, 5);
  assert.ok(result.confidence > 0.99 && result.confidence <= 1, `${result.confidence}`);
  assert.equal(result.stoppedBy, "model");
  assert.deepEqual(seen, ["b", "b ", "b +", "b + ", "b + c"]);
  assert.ok(result.timingsMs.prompt <= result.timingsMs.total);
});

test("an empty file and a cursor in the middle of a word are completed", async () => {
  const empty = model("import x");
  assert.equal((await completeAt(empty.reader, tokenizer, at("", ""), { maxTokens: 20 })).text, "import x");
  assert.deepEqual(empty.prompts, ["<|file|>src/a.ts<|suf|><|pre|>\n"]);
  const word = model("gth");
  assert.equal((await completeAt(word.reader, tokenizer, at("x.len", "+ 1"), { maxTokens: 20 })).text, "gth");
});

test("where the path does not tell the language, the model is told a path that does", async () => {
  const shown = async (path: string, languageId: string) => {
    const { reader, prompts } = model("x");
    await completeAt(reader, tokenizer, { path, languageId, prefix: "", suffix: "" }, { maxTokens: 20 });
    return prompts[0].replace(/<\|suf.*/s, "").replace("<|file|>", "");
  };
  assert.equal(await shown("notes/periods.ipynb", "python"), "notes/periods.py");
  assert.equal(await shown("Untitled-1", "typescript"), "Untitled-1.ts");
  assert.equal(await shown("src/a.ts", "python"), "src/a.ts");
  assert.equal(await shown("Untitled-1", "plaintext"), "Untitled-1");
});

test("a new text's block ends by the syntax of its language", async () => {
  await grammarOf(languageOf("a.rb") ?? assert.fail());
  const body = "text = <<SQL\nselect (\nfrom t\nSQL\n  run(text)";
  const completed = async (languageId?: string) => {
    const { reader } = model(`${body}\nend\n\ndef other\nend\n`);
    const context = { path: "Untitled-1", languageId, prefix: "def sql\n  ", suffix: "" };
    return (await completeAt(reader, tokenizer, context, { maxTokens: 90, copies: false })).text;
  };
  assert.equal(await completed("ruby"), body);
  assert.notEqual(await completed(), body);
});

test("a completion ends with its line, and leaves out what stands behind the cursor", async () => {
  const line = await completeAt(model("1)\nmore").reader, tokenizer, at("f(", ")\n"), { maxTokens: 20 });
  assert.equal(line.text, "1");
  assert.equal(line.stoppedBy, "end");
});

test("a name goes on behind whole characters only", async () => {
  const { reader } = model("\u00e9ve");
  const { text } = await completeAt(reader, tokenizer, at("na\u00e9ve = 1\nx = na", "\n"), {
    maxTokens: 20,
    drafts: false,
  });
  assert.equal(text, "\u00e9ve");
});

test("a completion that reaches the limit is cut there, never inside a character", async () => {
  const { reader } = model("a\u00e9b");
  const cut = await completeAt(reader, tokenizer, at("", ""), { maxTokens: 2 });
  assert.deepEqual([cut.text, cut.nTokens, cut.stoppedBy], ["a", 2, "length"]);
  assert.equal((await completeAt(reader, tokenizer, at("", ""), { maxTokens: 3 })).text, "a\u00e9");
});

test("CRLF files are shown with plain line ends and get theirs back", async () => {
  const { reader, prompts } = model("\n  return 1;\n}");
  const result = await completeAt(reader, tokenizer, at("x;\r\nfunction f() {", "\r\ny;\r\n"), { maxTokens: 40 });
  assert.deepEqual(prompts, ["<|file|>src/a.ts<|suf|>\ny;\n<|pre|>\nx;\nfunction f() {"]);
  assert.equal(result.text, "\r\n  return 1;\r\n}");
});

test("long text around the cursor is cut to the model's length at line starts", async () => {
  const { reader, prompts } = model("x", 256);
  const lines = Array.from({ length: 1000 }, (_, i) => `line ${i};`).join("\n");
  await completeAt(reader, tokenizer, at(lines, lines), { maxTokens: 20 });
  assert.match(prompts[0], /<\|pre\|>\nline \d+;\nline /);
  assert.match(prompts[0], /line 999;$/);
  assert.match(prompts[0], /<\|suf\|>line 0;/);
});

test("the repository's memory is asked for the place with the lines that the prompt shows", async () => {
  const { reader } = model("x", 256);
  const memory = {
    select: () => assert.fail("the model decides what it sees"),
    trace: () => ({ nBlocks: 1, nTokens: 64, layers: [], bytesRead: 0, selectMs: 0 }),
  };
  let asked: CompletionPlace | undefined;
  const repository: RepositoryContext = {
    memoryFor: (place) => {
      asked = place;
      return memory;
    },
  };
  const lines = (first: number, last: number) =>
    Array.from({ length: last - first + 1 }, (_, i) => `line ${first + i};`).join("\n");
  const context = at(lines(1, 500), `\n${lines(501, 1000)}`);
  const given: unknown[] = [];
  const watched: DraftReader = {
    ...reader,
    readDraft: (ids, draft, options) => {
      given.push(options?.memory);
      return reader.readDraft(ids, draft, options);
    },
  };
  const result = await completeAt(watched, tokenizer, context, { maxTokens: 20, repository });
  assert.deepEqual(result.memory, memory.trace());
  assert.deepEqual(new Set(given), new Set([memory]));
  assert.equal(asked?.path, "src/a.ts");
  assert.equal(asked.cursorLine, 500);
  assert.ok(asked.head.startsWith("line 1;\n") && asked.head.length > 3000);
  // The prompt has room for some lines before the cursor and for 128 tokens behind it.
  assert.ok(asked.firstLine > 480 && asked.firstLine < 500, `${asked.firstLine}`);
  assert.ok(asked.lastLine > 508 && asked.lastLine < 520, `${asked.lastLine}`);
  assert.equal((await completeAt(reader, tokenizer, context, { maxTokens: 20 })).memory, null);
  // A prefix that begins in the middle of the file.
  const { firstLine } = asked;
  await completeAt(reader, tokenizer, { ...context, startLine: 101 }, { maxTokens: 20, repository });
  assert.deepEqual([asked.cursorLine, asked.firstLine], [600, firstLine + 100]);
});

test("what cannot be done is one sentence", async () => {
  const { reader } = model("x", 64);
  for (const maxTokens of [64, 0, -1, 1.5, Number.NaN]) {
    await assert.rejects(completeAt(reader, tokenizer, at("a", ""), { maxTokens }), { code: "bad-input" });
  }
  await assert.rejects(completeAt(reader, bytesTokenizer(["<|eot|>"]), at("a", ""), { maxTokens: 8 }), {
    code: "unsupported",
  });
  const signal = AbortSignal.abort();
  await assert.rejects(completeAt(reader, tokenizer, at("a", ""), { maxTokens: 8, signal }), { code: "cancelled" });
});
