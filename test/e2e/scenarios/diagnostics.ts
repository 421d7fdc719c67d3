/** The diagnostics panel shows what really happened, and the built-in chat's participant answers without a sign-in. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { LABEL_PX, MIN_ALPHA, ROW_PX, rowTops } from "../../../webview/heat-strip.ts";
import type { Workbench } from "../workbench.ts";

export async function diagnostics(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();

  await context.test("@longsight answers in the built-in chat, without a sign-in, and cites", async () => {
    await workbench.askInChat("@longsight How often can a loan be renewed?");
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

  const strip = panel.locator("canvas.strip");
  const said = async () => (await panel.locator(".details .said").textContent()) ?? "";

  await context.test("draws what every head attended to, as strong as the table says in numbers", async () => {
    await strip.waitFor();
    await panel.locator(".details summary", { hasText: "As a table" }).click();
    const names = (await panel.locator(".details table.masses thead th").allTextContents()).slice(1);
    const layers = names.map((name) => ({ layer: Number(/^Layer (\d+), head \d+$/.exec(name)?.[1]) }));
    assert.ok(new Set(layers.map(({ layer }) => layer)).size === 1 && layers.length === 4, names.join("; "));
    // By block, the percentages of the heads.
    const lines = await panel
      .locator(".details table.masses tbody tr")
      .evaluateAll((rows) =>
        rows.map((row) => [...row.querySelectorAll("td")].map((cell) => Number.parseFloat(cell.textContent ?? ""))),
      );
    const most = Math.max(...lines.flat());
    assert.ok(most > 0);
    const tops = rowTops(layers);
    const places = lines.map((_, column) =>
      tops.map((top) => [LABEL_PX, (column + 0.5) / lines.length, top + ROW_PX / 2]),
    );
    const drawn = await strip.evaluate(strengths, places);
    for (const [column, cells] of lines.entries()) {
      for (const [row, share] of cells.entries()) {
        // Shares below what the table shows may be drawn or not.
        if (share === 0) continue;
        const expected = MIN_ALPHA + (1 - MIN_ALPHA) * (share / most);
        const what = `block ${column}, ${names[row]}: ${share} %, drawn ${drawn[column][row]}`;
        assert.ok(Math.abs(drawn[column][row] - expected) < 0.05 + 0.05 / most, what);
      }
    }
    const label = (await strip.getAttribute("aria-label")) ?? "";
    assert.match(label, /Layer \d+, head 1 \S+:\d+-\d+ [\d.]+ %/);
  });

  await context.test("names a head's block by key and by pointer, and opens it", async () => {
    await strip.focus();
    await strip.press("ArrowRight");
    assert.match(await said(), /^\S+:\d+-\d+ · Layer \d+, head 1: [\d.]+ % \(([\d.]+ %(, )?){4}\)$/);
    await strip.press("ArrowDown");
    assert.match(await said(), /, head 2: /);
    await strip.hover({ position: { x: LABEL_PX + 2, y: ROW_PX / 2 } });
    const [, path] = /^(\S+):\d+-\d+ · Layer \d+, head 1: /.exec(await said()) ?? [];
    assert.ok(path, await said());
    await strip.press("Enter");
    await page.locator(`.monaco-editor[data-uri$="/${path}"]`).first().waitFor();
  });

  await context.test("names the engine's process and the sizes of the stores", async () => {
    await workbench.command("Longsight: Show Diagnostics");
    const facts = panel.locator(".engine");
    await facts.locator("text=/running, process \\d+/").waitFor();
    await facts.filter({ hasText: /Index of \d+ files.*memory: \d+\/\d+/ }).waitFor();
  });

  await context.test("draws how the shipped model was trained, head by head, and says it in tables", async () => {
    const training = panel.locator(".training");
    await training.scrollIntoViewIfNeeded();
    for (const plot of [".bits", ".lifts"]) {
      const drawn = await training.locator(`${plot} canvas`).evaluate(paintedPixels);
      assert.ok(drawn > 100, `${drawn} pixels of ${plot} are painted`);
    }
    assert.match((await training.locator(".bits").getAttribute("aria-label")) ?? "", /held-out code: [\d.]+ \(/);
    const saidOfHead = async () => (await training.locator(".said").textContent()) ?? "";
    const [before, picture] = [await saidOfHead(), await training.locator(".lifts canvas").evaluate(paintedPixels)];
    assert.match(before, /next [\d.]+ → [\d.]+, Tokens that do not [\d.]+ → [\d.]+; /);
    const choice = training.locator("select");
    await choice.focus();
    await choice.press("ArrowDown");
    assert.notEqual(await saidOfHead(), before);
    await page.waitForTimeout(200);
    assert.notEqual(await training.locator(".lifts canvas").evaluate(paintedPixels), picture);
    await training.locator("summary").last().click();
    const rows = training.locator("table").last().locator("tbody tr");
    assert.equal(await rows.count(), await choice.locator("option").count());
    assert.match((await rows.first().textContent()) ?? "", /^Layer \d+, head 1[\d.]+ → /);
    await workbench.keepEvidence("diagnostics training");
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

/** Runs in the page: the strength of a canvas's pixels, 0 to 1, at places given as label, share of the rest, and y. */
function strengths(node: HTMLElement | SVGElement, places: readonly (readonly number[][])[]): number[][] {
  const canvas = node as HTMLCanvasElement;
  const scale = canvas.width / canvas.clientWidth;
  const context = canvas.getContext("2d")!;
  return places.map((column) =>
    column.map(([label, share, y]) => {
      const x = label + share * (canvas.clientWidth - label);
      return context.getImageData(Math.floor(x * scale), Math.floor(y * scale), 1, 1).data[3] / 255;
    }),
  );
}

/** Runs in the page: how many pixels of a canvas are not transparent. */
function paintedPixels(node: HTMLElement | SVGElement): number {
  const canvas = node as HTMLCanvasElement;
  const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at] > 0) painted++;
  return painted;
}
