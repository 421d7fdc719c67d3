/** The diagnostics panel shows what really happened, and the built-in chat's participant answers without a sign-in. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

export async function diagnostics(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();

  await context.test("@longsight answers in the built-in chat, without a sign-in, and cites", async () => {
    await workbench.command("Chat: Open Chat (Ask)");
    await page.locator(".interactive-session .interactive-input-part .monaco-editor").first().waitFor();
    await page.keyboard.type("@longsight How often can a loan be renewed?");
    await page.waitForTimeout(500);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Enter");
    const answer = page.locator(".interactive-response").last();
    await answer.locator("text=/renewed too often/").waitFor();
    await answer.locator("text=/loans\\.py:/").first().waitFor();
    await workbench.command("View: Hide Secondary Side Bar");
  });

  // The repository's memory is encoded while nothing else is asked of the engine.
  await page.waitForTimeout(3000);
  await workbench.openFile("practice.py");
  await workbench.goTo(10, 5);
  await page.keyboard.type("return first ", { delay: 60 });
  await workbench.waitForGhostText();
  await workbench.command("Longsight: Show Diagnostics");
  const panel = workbench.webview();
  const requests = panel.locator("table.requests tbody tr");

  await context.test("lists the requests with their times, the last one first", async () => {
    await requests.filter({ hasText: "complete src/practice.py" }).first().waitFor();
    const texts = await requests.allTextContents();
    assert.match(texts[0], /complete src\/practice\.py.*done/);
    assert.ok(
      texts.some((text) => /ask How often can a loan be renewed\?.*ms/.test(text)),
      texts.join("\n"),
    );
    assert.match(texts.at(-1) ?? "", /index library.*done.*ms/);
  });

  await context.test("draws the timeline: there are points in the plot", async () => {
    const drawn = await panel.locator(".timeline canvas").evaluate(paintedPixels);
    assert.ok(drawn > 100, `${drawn} pixels are painted`);
  });

  await context.test("says where the time of a request went and what its context was spent on", async () => {
    const parts = (await panel.locator(".details .legend li").allTextContents()).join("\n");
    assert.match(parts, /prompt ?[\d.]+ ms/);
    assert.match(parts, /before the cursor ?\d+/);
  });

  await context.test("shows the blocks attended to, names them by key and opens them", async () => {
    const strip = panel.locator("canvas.strip");
    await strip.waitFor();
    assert.ok((await strip.evaluate(paintedPixels)) > 100);
    await strip.focus();
    await strip.press("ArrowRight");
    const said = (await panel.locator(".said").textContent()) ?? "";
    const [, path] = /^(\S+):\d+-\d+ · Layer \d+: [\d.]+ %/.exec(said) ?? [];
    assert.ok(path, said);
    await strip.press("Enter");
    await page.locator(`.monaco-editor[data-uri$="/${path}"]`).first().waitFor();
  });

  await context.test("names the engine's process and the sizes of the stores", async () => {
    await workbench.command("Longsight: Show Diagnostics");
    const facts = panel.locator(".engine");
    await facts.locator("text=/running, process \\d+/").waitFor();
    assert.match((await facts.textContent()) ?? "", /Index of \d+ files.*memory: \d+\/\d+/);
  });

  await context.test("what the index and the memory would take was said before they were made", async () => {
    assert.match(workbench.log(), /library: 6 files, about [\d,]+ tokens\. The index takes about 1 s and 1 MB of disk/);
  });

  await context.test("encoding is paused by a command, said so, and goes on at the panel's button", async () => {
    await workbench.command("Longsight: Pause or Go On Encoding the Memory");
    writeFileSync(join(workbench.folders[0], "src", "shelves.py"), "def shelf_of(book):\n    return book.shelf\n");
    await panel.locator(".engine", { hasText: /memory: 6\/7, [\d,]+ tokens, paused/ }).waitFor();
    await page.locator('.statusbar-item[aria-label*="Memory: 6 of 7 files, paused"]').waitFor();
    await panel.locator("button.pause", { hasText: "Go on encoding" }).click();
    await panel.locator(".engine", { hasText: "memory: 7/7" }).waitFor();
    await panel.locator("button.pause").waitFor({ state: "hidden" });
  });
}

/** Runs in the page: how many pixels of a canvas are not transparent. */
function paintedPixels(node: HTMLElement | SVGElement): number {
  const canvas = node as HTMLCanvasElement;
  const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at] > 0) painted++;
  return painted;
}
