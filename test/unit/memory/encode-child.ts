/** Encodes files without end until it is killed: `node encode-child.ts DIR SEED`. Says on stdout which are on disk. */
import { writeSync } from "node:fs";
import { hashOf, sampleText, smallMemory } from "./small-memory.ts";

const [dir, seed] = process.argv.slice(2);
for (let round = 0; ; round++) {
  const files = new Map(
    Array.from({ length: 20 }, (_, i) => {
      const text = sampleText(1 + Number(seed) * 100_000 + round * 100 + i, 50 + 400 * (i % 5));
      return [`F/${i}.TS`, text];
    }),
  );
  const { memory, store, encoder, job } = await smallMemory(dir, files);
  await job().run({
    onProgress: () => {
      for (const [path, text] of files) {
        if (!memory.encodedAt(path)) continue;
        writeSync(1, `${store.idOf(hashOf(text))}\n`);
        files.delete(path);
      }
    },
  });
  await encoder.close();
}
