/** The models on this machine, in the folders the user has named: GGUF files, and folders with safetensors. */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";

export interface LocalModel {
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
}

/** Folders deeper than this below a named one are not looked into. */
const MAX_DEPTH = 3;
const MAX_MODELS = 200;

/** The models below `folders`, by name. What cannot be read is left out. */
export async function findModels(folders: readonly string[]): Promise<LocalModel[]> {
  const found: LocalModel[] = [];
  for (const folder of folders) await look(folder, 0, found);
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function look(folder: string, depth: number, found: LocalModel[]): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  const weights = names.filter((name) => name.endsWith(".safetensors"));
  if (weights.length > 0 && names.includes("config.json")) {
    found.push({ name: basename(folder), path: folder, sizeBytes: await sizeOf(folder, weights) });
  }
  // The later parts of a split file belong to its first.
  for (const name of names.filter((one) => /\.gguf$/i.test(one) && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(one))) {
    found.push({
      name: name.replace(/\.gguf$/i, ""),
      path: join(folder, name),
      sizeBytes: await sizeOf(folder, [name]),
    });
  }
  if (depth === MAX_DEPTH || found.length >= MAX_MODELS) return;
  for (const entry of entries) if (entry.isDirectory()) await look(join(folder, entry.name), depth + 1, found);
}

async function sizeOf(folder: string, names: readonly string[]): Promise<number> {
  let size = 0;
  for (const name of names) {
    size += await stat(join(folder, name)).then(
      (stats) => stats.size,
      () => 0,
    );
  }
  return size;
}
