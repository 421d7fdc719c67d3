/**
 * `npm run bench -- quick|full [--json]`: the figures of speed and size, as a table or as {rows}. Quick ends within five
 * minutes and leaves out the memory of a million tokens. `npm run bench -- editor REPOSITORY... [--json]`: those of the
 * extension, where the edits of the repositories' histories are typed. `npm run bench -- large FOLDER [--json]`: those of a
 * folder of any size that is encoded as a whole. Each writes its section of docs/benchmarks.md.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { packageRoot } from "../../engine/paths.ts";
import { testData } from "../data.ts";
import { benchEncoding } from "./encoding.ts";
import { benchExternal } from "./external.ts";
import { benchIndex } from "./index.ts";
import { benchLarge } from "./large.ts";
import { benchLongFile } from "./long-file.ts";
import { benchMemory } from "./memory.ts";
import { benchmarksPage, machine } from "./page.ts";
import { benchPlaced } from "./placed.ts";
import { formatRows, type Row } from "./rows.ts";

const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } });
const [mode = "quick", ...repositories] = positionals;
if (mode !== "quick" && mode !== "full" && mode !== "editor" && mode !== "large") {
  console.error(`There is no benchmark ${mode}; use quick, full, editor or large.`);
  process.exit(1);
}
if (mode === "large" && repositories.length !== 1) {
  console.error("Name one folder to encode: npm run bench -- large FOLDER");
  process.exit(1);
}

const where = machine();
const rows: Row[] = [];
if (mode === "editor") {
  const { benchEditor } = await import("./editor.ts");
  rows.push(...(await benchEditor(repositories)));
} else if (mode === "large") {
  rows.push(...benchLarge(resolve(repositories[0])));
} else {
  rows.push(...(await benchIndex()));
  const tokenizer = testData("tokenizers/qwen2");
  if (tokenizer.skip) console.error(`Skipped the external model: ${tokenizer.skip}.`);
  else {
    rows.push(...(await benchExternal(mode)));
    if (mode === "full") rows.push(...benchEncoding(), ...benchPlaced());
  }
  if (mode === "full") rows.push(...(await benchMemory()), ...(await benchLongFile()));
}

const page = join(packageRoot, "docs", "benchmarks.md");
writeFileSync(page, benchmarksPage(existsSync(page) ? readFileSync(page, "utf8") : "", mode, where, rows));
console.log(values.json ? JSON.stringify({ rows }, null, 2) : formatRows(rows));
// llama.cpp's library keeps threads of its own.
process.exit(0);
