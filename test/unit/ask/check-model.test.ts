/** A check from its beginning to what the model does then. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bestReading } from "../../../engine/ask/self-check.ts";
import { Engine } from "../../../engine/engine.ts";
import { openModel } from "../../../engine/models/open-model.ts";
import { readGates, readReading } from "../../../engine/runtime/reading.ts";
import { testData } from "../../data.ts";
import { randomChatModel } from "../random-chat-model.ts";

process.env.LONGSIGHT_CACHE = mkdtempSync(join(tmpdir(), "longsight-check-"));
after(() => rmSync(process.env.LONGSIGHT_CACHE!, { recursive: true, force: true }));

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

test("a model with room for it has its heads told apart, and is checked with half of them streaming", async () => {
  const path = randomChatModel();
  const engine = new Engine();
  await assert.rejects(engine.generate({ model: path, prompt: "a", plan: "split" }), /run check-model on it first/);
  const { rows } = await engine.checkModel(path);
  assert.deepEqual(
    rows.slice(-2).map(({ way, plan }) => `${way} ${plan}`),
    ["packed split", "memory split"],
  );
  const model = await openModel(path);
  const gates = readGates(model.weights.fingerprint)!.flat();
  model.close();
  assert.equal(gates.filter((gate) => gate >= 0.5).length, gates.length / 2);
  assert.ok((await engine.generate({ model: path, prompt: "a", plan: "split", maxTokens: 2 })).nTokens <= 2);
  await engine.close();
  rmSync(path, { recursive: true });
});
