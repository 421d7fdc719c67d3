/** Encodes versions of one long file without end until it is killed: `node edit-child.ts DIR SEED`. Says on stdout which are done. */
import { writeSync } from "node:fs";
import { editedVersions, LONG_PATH, STORED } from "./long-file.ts";
import { smallMemory } from "./small-memory.ts";

const [dir, seed] = process.argv.slice(2);
const files = new Map<string, string>();
for (const text of editedVersions(Number(seed))) {
  files.set(LONG_PATH, text);
  // A new memory for each: no state is at hand but those on disk.
  const { encoder, job, log } = await smallMemory(dir, files, { checkpoints: STORED });
  await job().run();
  await encoder.close();
  writeSync(1, `${[...log, "done"].join(" ")}\n`);
}
