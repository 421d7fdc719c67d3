import assert from "node:assert/strict";
import { test } from "node:test";
import { openHybrid } from "../../engine/models/hybrid.ts";
import { MEMORY_CLASSES } from "../../engine/models/hybrid-config.ts";
import { HybridReference, type ReferenceMemory } from "../../engine/reference-hybrid.ts";
import { argmax, assertClose } from "./close.ts";
import { goldenModels } from "./hybrid-golden.ts";

for (const { name, folder, skip, cases } of goldenModels) {
  test(`${name}: the reference equals the training code`, { skip }, () => {
    const { config, weights } = openHybrid(folder);
    // The reference is quadratic in the text's length; a long text is for the fast path.
    for (const golden of cases().filter(({ ids }) => ids.length < 300)) {
      const files = (golden.memory?.files ?? []).map((file) => {
        const reference = new HybridReference(config, weights);
        reference.read(file.ids);
        return { ...reference.memory, class: MEMORY_CLASSES.indexOf(file.class) };
      });
      const memory: ReferenceMemory = {
        keys: files.flatMap((file) => file.keys),
        values: files.flatMap((file) => file.values),
        classes: files.flatMap((file) => file.keys.map(() => file.class)),
      };
      const landmarks = files.flatMap((file) => file.landmarks);
      for (const [i, landmark] of (golden.memory?.landmarks ?? []).entries()) {
        assertClose(landmarks[i], landmark, 1e-4, `${golden.name}: landmark ${i}`);
      }

      const reference = new HybridReference(config, weights, memory);
      let logits = reference.read(golden.ids);
      assertClose(logits, golden.logits, 1e-3, `${golden.name}: logits`);
      if (golden.memory) {
        const query = reference.query(config.memoryLayer, config.routeGroup);
        assertClose(query, golden.memory.query, 1e-4, `${golden.name}: query`);
      }
      const greedy: number[] = [];
      while (greedy.length < golden.greedy.length) {
        greedy.push(argmax(logits));
        logits = reference.read(greedy.slice(-1));
      }
      assert.deepEqual(greedy, golden.greedy, golden.name);
    }
  });
}
