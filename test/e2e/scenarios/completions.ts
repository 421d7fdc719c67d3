/** Inline completions in the editor. What the engine says at a place is asked of it directly; the editor must show just that. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Engine } from "../../../engine/engine.ts";
import { filtered } from "../../../extension/completion/filters/index.ts";
import type { Workbench } from "../workbench.ts";

/** A place where the model has something to say: the line up to the cursor, and what it says. */
interface Spot {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly before: string;
  readonly text: string;
}

const FILES = ["src/loans.py", "src/members.py", "src/fines.py"];

export async function completions(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();
  const spot = await findSpot(workbench.folders[0]);
  const lastKey = spot.before.at(-1)!;
  await workbench.openFile(spot.file.split("/").at(-1)!);
  await workbench.goTo(spot.line, spot.before.length);
  await page.keyboard.press("Shift+End");
  await page.keyboard.press("Delete");

  await context.test("ghost text is what the engine says at that place", async () => {
    await page.keyboard.type(lastKey);
    assert.equal(await workbench.waitForGhostText(), spot.text);
  });

  await context.test("typing on shows the rest of it, deleting shows all of it again", async () => {
    await page.keyboard.type(spot.text[0]);
    await page.waitForTimeout(500);
    assert.equal(await workbench.ghostText(), spot.text.slice(1));
    await page.keyboard.press("Backspace");
    await page.waitForTimeout(500);
    assert.equal(await workbench.ghostText(), spot.text);
  });

  await context.test("Tab takes it into the file", async () => {
    await page.keyboard.press("Tab");
    const text = await workbench.editorText();
    assert.equal(text.split("\n")[spot.line - 1], spot.before + spot.text);
  });
}

/** Looks for a place where the model suggests the rest of one line. */
async function findSpot(folder: string): Promise<Spot> {
  const engine = new Engine();
  try {
    for (const [file, share] of FILES.flatMap((one) => [0.3, 0.5, 0.7, 0.9].map((part) => [one, part] as const))) {
      const lines = readFileSync(join(folder, file), "utf8").split("\n");
      for (const [index, line] of lines.entries()) {
        const before = line.slice(0, Math.ceil(line.length * share));
        // Keys that make the editor type more of its own would change the place.
        if (!/\w$/.test(before)) continue;
        const place = {
          path: file,
          prefix: [...lines.slice(0, index), before].join("\n"),
          suffix: `\n${lines.slice(index + 1).join("\n")}`,
        };
        const { text } = await engine.complete({ ...place, maxTokens: 64 });
        const shown = filtered(text, place);
        if (/^\S.{2,60}$/.test(shown)) return { file, line: index + 1, before, text: shown };
      }
    }
  } finally {
    await engine.close();
  }
  throw new Error("The model suggests nothing anywhere in the fixture.");
}
