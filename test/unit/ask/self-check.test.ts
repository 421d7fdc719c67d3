/** How a model reads best: the made-up files, the choice, and what answers are written from. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { madeUpFiles } from "../../../engine/ask/check-files.ts";
import { bestReading, CANDIDATES, type CheckRow } from "../../../engine/ask/self-check.ts";
import { Engine } from "../../../engine/engine.ts";
import { openModel } from "../../../engine/models/open-model.ts";
import { readReading, writeReading } from "../../../engine/runtime/reading.ts";
import { testData } from "../../data.ts";
import { randomChatModel } from "../random-chat-model.ts";
import { folderWith, PROJECT } from "../run-cli.ts";

process.env.LONGSIGHT_CACHE = mkdtempSync(join(tmpdir(), "longsight-check-"));
after(() => rmSync(process.env.LONGSIGHT_CACHE!, { recursive: true, force: true }));

test("every question's answer stands in the files once, beside wrong ones that stand there too", () => {
  for (const maxTokens of [300, 1000, 3000]) {
    const { files, questions } = madeUpFiles(maxTokens, (text) => text.length / 3);
    const all = files.map(({ text }) => text).join("");
    assert.ok(all.length / 3 <= maxTokens, `${all.length / 3} of ${maxTokens}`);
    assert.equal(questions.length, 2 * files.length);
    for (const { kind, prompt, answers } of questions) {
      assert.equal(new Set(answers).size, CANDIDATES);
      assert.equal(all.split(` = ${answers[0]};`).length, 2);
      const [, about, name] = /The (limit|quota) of the (\w+)/.exec(prompt)!;
      assert.equal(about, kind === "needle" ? "limit" : "quota");
      const source = kind === "needle" ? name : new RegExp(`${name}Quota = (\\w+)Limit`).exec(all)![1];
      assert.ok(all.includes(`${source}Limit = ${answers[0]};`));
    }
  }
});

test("what answers more is chosen, of equals what answers sooner, and nothing where all guess", () => {
  const row = (right: number, firstTokenMs: number, way: CheckRow["way"] = "memory"): CheckRow => ({
    ...{ way, plan: "balanced", needles: { right, total: 8 }, crossFile: { right: 0, total: 8 } },
    ...{ firstTokenMs, tokenMs: 10, rssBytes: 1 },
  });
  assert.equal(bestReading([row(8, 900, "packed"), row(7, 10)])?.way, "packed");
  assert.equal(bestReading([row(7, 900, "packed"), row(7, 10)])?.way, "memory");
  assert.equal(bestReading([row(5, 900, "packed"), row(2, 10)]), undefined);
});

test("a check says what it found and has the model do so", { skip: testData("models/stories260K").skip }, async () => {
  const engine = new Engine();
  const path = join(testData("models/stories260K").path, "stories260K.gguf");
  const phases = new Set<string>();
  const onProgress = (progress: { kind: string; phase?: string }) => phases.add(progress.phase ?? "");
  const { rows, chosen, isGuessing } = await engine.checkModel(path, { onProgress });
  assert.ok(phases.has("checking"));
  const names = rows.map(({ way, plan }) => `${way} ${plan}`);
  assert.deepEqual(
    names,
    ["exact", "balanced", "fast"].flatMap((plan) => [`packed ${plan}`, `memory ${plan}`]),
  );
  for (const { firstTokenMs, needles } of rows) assert.ok(firstTokenMs > 0 && needles.total > 1);
  assert.equal(isGuessing, bestReading(rows) === undefined);
  const model = await openModel(path);
  assert.deepEqual(readReading(model.weights.fingerprint), { ...chosen, isChecked: true });
  model.close();
  await engine.close();
});

test("a model that reads from memory answers from blocks, names them and shows where it looked", async (context) => {
  const [folder, path] = [folderWith(PROJECT), randomChatModel()];
  context.after(() => {
    for (const one of [folder, path]) rmSync(one, { recursive: true });
  });
  const model = await openModel(path);
  const engine = new Engine();
  context.after(() => engine.close());
  const params = { folder, question: "who takes the oldest job from the queue?", model: path };
  assert.equal((await engine.ask(params)).memory, undefined);
  await engine.close();

  writeReading(model.weights.fingerprint, { way: "memory", plan: "balanced" });
  model.close();
  const again = new Engine();
  context.after(() => again.close());
  // Nothing is encoded yet: text serves.
  assert.equal((await again.ask(params)).memory, undefined);
  assert.equal((await again.encode(folder, {}, path))?.filesEncoded, Object.keys(PROJECT).length);
  const { memory, citations } = await again.ask(params);
  assert.equal(citations[0].file, "src/queue.ts");
  const [{ blocks, looks }] = memory!.layers;
  assert.ok(looks > 0);
  assert.ok(blocks.some((block) => block.path === "src/queue.ts" && block.mass > 0));
  const mass = blocks.reduce((sum, block) => sum + block.mass, 0);
  assert.ok(mass > 0 && mass < 1);
  for (const { file, text } of citations) assert.ok(PROJECT[file].includes(text));
  // Where the user has said where to look, nothing else is brought in.
  assert.equal((await again.ask({ ...params, paths: ["src/queue.ts"] })).memory, undefined);
  const chat = { model: path, folder, maxTokens: 12 };
  const turn = await again.generate({ ...chat, prompt: [{ role: "user", content: params.question }] });
  assert.ok(turn.memory?.layers[0].blocks.some((block) => block.path === "src/queue.ts"));
  assert.equal((await again.generate({ ...chat, prompt: [{ role: "user", content: "and?" }] })).memory, undefined);
  await assert.rejects(again.generate({ model: path, prompt: "a", plan: "quick" }), { code: "bad-input" });
  assert.ok((await again.generate({ model: path, prompt: "a", plan: "fast", maxTokens: 2 })).nTokens <= 2);
});
