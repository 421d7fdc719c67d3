/**
 * The texts that the extension shows at run time, as they stand in its sources. `npm run l10n` writes them to
 * l10n/bundle.l10n.json, every text under itself: what a translation (bundle.l10n.de.json) starts from.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageRoot } from "../engine/paths.ts";

/** A call, and its first argument where that is a literal between double quotes. */
const CALL = /\bl10n\.t\(\s*("(?:[^"\\\n]|\\.)*")?/g;

/** All of them, sorted. Throws where a call has anything but a literal: nobody could translate that. */
export function l10nTexts(): string[] {
  const texts = new Set<string>();
  for (const name of readdirSync(join(packageRoot, "extension"), { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    for (const [, literal] of readFileSync(join(packageRoot, "extension", name), "utf8").matchAll(CALL)) {
      if (literal === undefined) throw new Error(`extension/${name}: l10n.t takes a literal between double quotes`);
      texts.add(JSON.parse(literal) as string);
    }
  }
  return [...texts].sort();
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const folder = join(packageRoot, "l10n");
  mkdirSync(folder, { recursive: true });
  const bundle = Object.fromEntries(l10nTexts().map((text) => [text, text]));
  writeFileSync(join(folder, "bundle.l10n.json"), `${JSON.stringify(bundle, null, 2)}\n`);
}
