/** Inline completions in the editor: what the repository says elsewhere is suggested, typed through, and accepted. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

/** The beginning of a line that stands in loans.py, typed into practice.py. */
const TYPED = "return self.start_day + LOAN_D";

export async function completions(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();
  await workbench.openFile("practice.py");
  await workbench.goTo(10, 5);
  let ghost = "";

  await context.test("ghost text goes on as the repository does elsewhere", async () => {
    await page.keyboard.type(TYPED, { delay: 40 });
    ghost = await workbench.waitForGhostText();
    const loans = readFileSync(join(workbench.folders[0], "src", "loans.py"), "utf8");
    assert.ok(loans.split("\n").includes(`        ${TYPED}${ghost}`), ghost);
  });

  await context.test("typing on shows the rest of it, deleting shows all of it again", async () => {
    await page.keyboard.type(ghost[0]);
    await page.waitForTimeout(500);
    assert.equal(await workbench.ghostText(), ghost.slice(1));
    await page.keyboard.press("Backspace");
    await page.waitForTimeout(500);
    assert.equal(await workbench.ghostText(), ghost);
  });

  await context.test("the editor's own keys accept one word of it", async () => {
    await page.keyboard.press("Control+ArrowRight");
    await page.waitForTimeout(300);
    const rest = await workbench.ghostText();
    assert.ok(rest.length < ghost.length && ghost.endsWith(rest), rest);
  });

  await context.test("Tab takes it into the file", async () => {
    await page.keyboard.press("Tab");
    const text = await workbench.editorText();
    assert.equal(text.split("\n")[9], `    ${TYPED}${ghost}`);
  });

  await context.test("in a file with CRLF the text stays whole", async () => {
    await workbench.command("Change End of Line Sequence", true);
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "CRLF" }).click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type(`\n    ${TYPED}`, { delay: 40 });
    assert.equal(await workbench.waitForGhostText(), ghost);
    await page.keyboard.press("Tab");
    const text = await workbench.editorText();
    assert.ok(
      text
        .split(/\r?\n/)
        .at(-1)
        ?.endsWith(TYPED + ghost),
      text,
    );
  });

  await context.test("beside the editor's own list the suggestion goes on from the entry selected there", async () => {
    await page.keyboard.press("Control+End");
    await page.keyboard.type(`\n    ${TYPED}`, { delay: 40 });
    await page.keyboard.press("Control+Space");
    await page.locator(".suggest-widget.visible .monaco-list-row.focused", { hasText: "LOAN_DAYS" }).waitFor();
    const shown = `${TYPED}${ghost}`.replaceAll(" ", "\u00a0");
    // The entry's own rest and the suggestion's stand in pieces of their own.
    await page.locator(".monaco-editor .view-line", { hasText: shown }).last().waitFor();
    assert.ok(!(await workbench.editorText()).endsWith(ghost));
    await page.keyboard.press("Control+End");
  });

  await context.test(
    "typing something else stops the engine's work, and the diagnostics panel says how soon",
    async () => {
      await page.keyboard.press("Control+End");
      await page.keyboard.type("\nwhile other_things(remaining) and not all_of(them): ", { delay: 45 });
      await workbench.command("Longsight: Show Diagnostics");
      const panel = workbench.webview();
      const cancelled = panel.locator("table.requests tbody tr.status-cancelled", {
        hasText: "complete src/practice.py",
      });
      await cancelled.first().waitFor();
      const times: number[] = [];
      for (const row of await cancelled.all()) {
        await row.click();
        const stage = panel.locator(".details .legend li", { hasText: "stopping" });
        times.push(Number(/stopping ?([\d.]+) ms/.exec((await stage.textContent()) ?? "")?.[1]));
      }
      assert.ok(times.every(Number.isFinite), times.join(" "));
      times.sort((a, b) => a - b);
      const [median, slowest] = [times[times.length >> 1], times[times.length - 1]];
      context.diagnostic(`${times.length} cancelled: stopped after ${median} ms (median), ${slowest} ms (slowest)`);
      await workbench.openFile("practice.py");
    },
  );

  await context.test("an untitled document has suggestions too", async () => {
    await workbench.command("File: New Untitled Text File");
    await page.keyboard.type(
      "first_value = compute(first_key)\nsecond_value = compute(second_key)\nfirst_value = comp",
      { delay: 10 },
    );
    assert.match(await workbench.waitForGhostText(), /^ute\(/);
  });
}
