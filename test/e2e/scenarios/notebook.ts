/** Inline completions in the cells of a notebook. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

/** The beginning of a line that stands in loans.py. */
const TYPED = "return self.start_day + LOAN_D";

export async function notebook(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();
  await workbench.openNotebook("periods.ipynb");
  await workbench.clickCell(2);

  await context.test("ghost text in a cell goes on as the repository does elsewhere, and Tab takes it", async () => {
    await page.keyboard.type(TYPED, { delay: 40 });
    const ghost = await workbench.waitForGhostText();
    const loans = readFileSync(join(workbench.folders[0], "loans.py"), "utf8");
    assert.ok(loans.split("\n").includes(`        ${TYPED}${ghost}`), ghost);
    await page.keyboard.press("Tab");
    assert.equal(await workbench.editorText(), `def due_day(self):\n    ${TYPED}${ghost}`);
  });

  await context.test("the cells before count as text before the cursor", async () => {
    await workbench.clickCell(3);
    await page.keyboard.type('\nprint("shelf", FIRST_SH', { delay: 40 });
    assert.match(await workbench.waitForGhostText(), /^ELF_NUMBER/);
  });
}
