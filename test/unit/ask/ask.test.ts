import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { type AskOptions, ask, type Citation, EXTRACTIVE } from "../../../engine/ask/ask.ts";
import { type ChatModel, citedNumbers } from "../../../engine/ask/grounded.ts";
import { LongsightError } from "../../../engine/errors.ts";
import type { Catalogue } from "../../../engine/memory/catalogue.ts";
import type { ChatMessage } from "../../../engine/models/chat-template.ts";
import { indexed, SERVER } from "./indexed.ts";

const QUESTIONS = [
  "Where does the trie router match the handlers of a path?",
  "How does csrf refuse requests of another site?",
  "Which function splits a path at slashes?",
  "How are expired sessions removed from memory?",
  "splitPath",
];

/** Every citation names a file of the catalogue, lines in it, and exactly the text on them. */
function checkCitations(citations: readonly Citation[], files: Record<string, string>): void {
  for (const { file, startLine, endLine, text } of citations) {
    const lines = files[file].split("\n");
    assert.ok(startLine >= 1 && endLine >= startLine && endLine <= lines.length, `${file}:${startLine}-${endLine}`);
    assert.equal(text, lines.slice(startLine - 1, endLine).join("\n"));
  }
}

test("every part of an answer cites a place that exists", async (t) => {
  const catalogue = await indexed(t, SERVER);
  for (const question of QUESTIONS) {
    const { found, answer, citations, model, timingsMs } = await ask(question, { catalogue, folderName: "server" });
    assert.ok(found, question);
    assert.equal(model, EXTRACTIVE);
    assert.ok(citations.length >= 1 && citations.length <= 8);
    checkCitations(citations, SERVER);
    const marks = citedNumbers(answer);
    assert.ok(marks.length >= 1 && marks.every((n) => n >= 1 && n <= citations.length), answer);
    assert.ok(/\[\d+\]$/.test(answer), `ends without a mark: ${answer}`);
    assert.ok(timingsMs.citations >= 0 && timingsMs.total >= timingsMs.citations);
  }
});

test("citations fall in score and carry signature and documentation", async (t) => {
  const catalogue = await indexed(t, SERVER);
  const { citations } = await ask("splitPath", { catalogue, folderName: "server" }, { maxCitations: 2 });
  assert.ok(citations.length <= 2);
  assert.equal(citations[0].file, "src/url/split-path.ts");
  assert.equal(citations[0].signature, "export function splitPath(path: string): string[]");
  assert.equal(citations[0].doc, "Splits a path at its slashes; empty parts are dropped.");
  for (const [i, { score }] of citations.entries()) assert.ok(score <= (citations[i - 1]?.score ?? Infinity));
});

test("where nothing fits the answer says so and cites nothing", async (t) => {
  const catalogue = await indexed(t, SERVER);
  for (const question of [
    "How does the Kubernetes operator reconcile a StatefulSet?",
    "Which tensor kernels are compiled for the GPU?",
    "zebra unicorn",
  ]) {
    const pieces: string[] = [];
    const onText = (piece: string) => pieces.push(piece);
    const result = await ask(question, { catalogue, folderName: "server" }, { onText });
    assert.deepEqual([result.found, result.citations], [false, []], question);
    assert.equal(result.answer, "I did not find this in server.");
    assert.equal(pieces.join(""), result.answer);
  }
});

test("where little fits the nearest places are named, not cited", async (t) => {
  const catalogue = await indexed(t, SERVER);
  const question = "Which Kubernetes scheduler picks the cheapest pod for a tensor path?";
  const { found, answer, citations } = await ask(question, { catalogue, folderName: "server" });
  assert.deepEqual([found, citations], [false, []]);
  const [, list] =
    /^I did not find this in server\. Nearest, but perhaps about something else: (.+)\.$/.exec(answer) ?? [];
  for (const place of list.split(", ")) {
    const [, file, start, end] = /^(.+):(\d+)-(\d+)$/.exec(place) ?? [];
    assert.ok(1 <= Number(start) && Number(end) <= SERVER[file].split("\n").length, place);
  }
});

test("a folder of three files answers what it holds, and nothing else", async (t) => {
  const shop = {
    "cart.ts": `/** Sum of the items' prices with tax and discount. */
export function total(items: Item[], discount = 0): number {
  return applyTax(items.reduce((sum, item) => sum + item.price * item.quantity, 0) * (1 - discount));
}

export class Cart {
  remove(name: string) {
    this.items = this.items.filter((item) => item.name !== name);
  }
}
`,
    "tax.ts": "export const rate = 0.19;\nexport const applyTax = (amount: number) => amount * (1 + rate);\n",
    "README.md": "# Shop\n\nA small shop with a cart.\n",
  };
  const catalogue = await indexed(t, shop);
  const asked = async (question: string) => (await ask(question, { catalogue, folderName: "shop" })).citations[0]?.file;
  assert.equal(await asked("How is the tax rate applied?"), "tax.ts");
  assert.equal(await asked("How do I compute the total price with a discount?"), "cart.ts");
  assert.equal(await asked("How does the cart remove an item?"), "cart.ts");
  for (const question of QUESTIONS) assert.equal(await asked(question), undefined, question);
});

test("an empty folder has no answer", async (t) => {
  const { found, citations } = await ask("Where is the router?", { catalogue: await indexed(t, {}), folderName: "e" });
  assert.deepEqual([found, citations], [false, []]);
});

test("an empty question is refused, one of 100,000 characters is answered", async (t) => {
  const catalogue = await indexed(t, SERVER);
  const refused = (error: unknown) => error instanceof LongsightError && error.code === "bad-input";
  await assert.rejects(ask("", { catalogue, folderName: "server" }), refused);
  await assert.rejects(ask("  \n", { catalogue, folderName: "server" }), refused);
  const pasted = `How does csrf refuse requests of another site?\n\n${SERVER["src/middleware/csrf.ts"].repeat(200)}`;
  const { found, citations } = await ask(pasted.slice(0, 100_000), { catalogue, folderName: "server" });
  assert.ok(found);
  assert.equal(citations[0].file, "src/middleware/csrf.ts");
  for (const piece of ["a", "a/", '"', "中", "\ud800", "OR ", "NEAR("]) {
    const question = `router ${piece.repeat(100_000 / piece.length)}`.slice(0, 100_000);
    assert.equal(typeof (await ask(question, { catalogue, folderName: "server" })).found, "boolean");
  }
});

/** A chat model that says `pieces`, and remembers what it was asked. */
class FakeModel implements ChatModel {
  readonly name = "fake";
  readonly contextTokens: number;
  readonly asked: (readonly ChatMessage[])[] = [];
  readonly #pieces: readonly string[];

  constructor(pieces: readonly string[], contextTokens = 8192) {
    this.#pieces = pieces;
    this.contextTokens = contextTokens;
  }

  countTokens(text: string): number {
    return Math.ceil(text.length / 4);
  }

  async chat({ messages, signal, onText }: Parameters<ChatModel["chat"]>[0]): Promise<void> {
    this.asked.push(messages);
    for (const piece of this.#pieces) {
      await setImmediate();
      if (signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
      onText(piece);
    }
  }
}

async function askWith(context: TestContext, chatModel: ChatModel, options: AskOptions = {}, catalogue?: Catalogue) {
  const deps = { catalogue: catalogue ?? (await indexed(context, SERVER)), folderName: "server", chatModel };
  return ask("How does csrf refuse requests of another site?", deps, options);
}

test("a chat model's answer streams after the citations, with marks of given passages only", async (t) => {
  const model = new FakeModel(["It compares ", "origins [", "1", "]. It never [", "97] sleeps [1,", " 98]."]);
  const events: string[] = [];
  const result = await askWith(t, model, {
    onCitations: (citations) => events.push(`citations ${citations[0].file}`),
    onText: (piece) => events.push(piece),
  });
  assert.equal(events[0], "citations src/middleware/csrf.ts");
  assert.equal(result.answer, "It compares origins [1]. It never sleeps [1].");
  assert.equal(events.slice(1).join(""), result.answer);
  assert.ok(events.length > 2, "came in one piece");
  assert.deepEqual([result.found, result.model], [true, "fake"]);
  checkCitations(result.citations, SERVER);
  assert.match(model.asked[0][1].content, /\[1\] src\/middleware\/csrf\.ts, lines \d+ to \d+\n/);
});

test("only what the model was given is cited", async (t) => {
  const { citations } = await askWith(t, new FakeModel(["Yes [1]."], 900));
  assert.ok(citations.length >= 1 && citations.length < 8);
});

test("a chat model is not asked where nothing was found, and stops when cancelled", async (t) => {
  const catalogue = await indexed(t, SERVER);
  const model = new FakeModel(["Yes [1]."]);
  const { found } = await ask("zebra unicorn", { catalogue, folderName: "server", chatModel: model });
  assert.deepEqual([found, model.asked.length], [false, 0]);
  const stop = new AbortController();
  const stopping = askWith(t, new FakeModel(["a ", "b ", "c "]), { signal: stop.signal, onText: () => stop.abort() });
  await assert.rejects(stopping, (error: unknown) => error instanceof LongsightError && error.code === "cancelled");
});
