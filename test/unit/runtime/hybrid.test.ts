import assert from "node:assert/strict";
import { test } from "node:test";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { MEMORY_CLASSES } from "../../../engine/models/hybrid-config.ts";
import { HybridReference } from "../../../engine/reference-hybrid.ts";
import { groupQuery, HybridDecoder, type MemoryTokens } from "../../../engine/runtime/hybrid.ts";
import { argmax, assertClose } from "../close.ts";
import { type GoldenMemory, goldenModels } from "../hybrid-golden.ts";

const options = { nThreads: 1 };

for (const { name, folder, skip, cases } of goldenModels) {
  test(`${name}: logits, routing queries and greedy text equal the training code`, { skip }, async () => {
    const model = openHybrid(folder);
    const decoder = await HybridDecoder.open(model, options);
    const memoryOf = ({ files }: GoldenMemory): MemoryTokens => {
      const encoded = files.map((file) => {
        const reference = new HybridReference(model.config, model.weights);
        reference.read(file.ids);
        return reference.memory;
      });
      return {
        keys: Float32Array.from(encoded.flatMap((file) => file.keys.flatMap((key) => [...key]))),
        values: Float32Array.from(encoded.flatMap((file) => file.values.flatMap((value) => [...value]))),
        classes: Uint8Array.from(files.flatMap((file) => file.ids.map(() => MEMORY_CLASSES.indexOf(file.class)))),
      };
    };
    for (const golden of cases()) {
      const memory = golden.memory && memoryOf(golden.memory);
      const state = decoder.start();
      const { logits, queries } = await decoder.read(state, golden.ids, { memory });
      assertClose(logits, golden.logits, 1e-3, `${golden.name}: logits`);
      for (const [layer, query] of Object.entries(golden.memory?.queries ?? {})) {
        const { routeSize, routeGroup } = model.config;
        const ours = groupQuery(queries.get(Number(layer)) ?? new Float32Array(), routeSize, routeGroup);
        assertClose(ours, query, 1e-4, `${golden.name}: query ${layer}`);
      }
      const greedy = [argmax(logits)];
      while (greedy.length < golden.greedy.length) {
        const next = await decoder.read(state, [greedy[greedy.length - 1]], { memory });
        greedy.push(argmax(next.logits));
      }
      assert.deepEqual(greedy, golden.greedy, golden.name);
    }
    await decoder.close();
  });
}
