/** Models: downloaded when asked to, offered afterwards, looked at before they are taken; a damaged one is refused in one sentence. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

/** The beginning of a GGUF file, and nothing behind it. */
const BROKEN = Buffer.concat([Buffer.from("GGUF"), Buffer.from([3, 0, 0, 0])]);

export async function models(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();
  const server = createServer((_, response) =>
    response.writeHead(200, { "content-length": BROKEN.length }).end(BROKEN),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/broken.gguf`;
  const input = page.locator(".quick-input-widget input");
  const message = (text: string) => page.locator(".notification-list-item-message", { hasText: text });

  await context.test(
    "what can be downloaded is listed with size and licence, and nothing is fetched by that",
    async () => {
      await workbench.command("Longsight: Download a Model...", true);
      const row = page.locator(".quick-input-list .monaco-list-row", { hasText: "Qwen2.5 Coder 0.5B Instruct" });
      await row.filter({ hasText: "409 MB, Apache-2.0" }).click();
      const dialog = page.locator(".monaco-dialog-box", { hasText: "Download Qwen2.5 Coder 0.5B Instruct?" });
      await dialog.filter({ hasText: /409 MB from huggingface\.co.*about .* of memory.*about .* of disk/s }).waitFor();
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
      assert.equal(await message("Downloading").count(), 0);
    },
  );

  await context.test("a file is downloaded, its checksum compared", async () => {
    await workbench.command("Longsight: Download a Model...", true);
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "From another address" }).click();
    await page.locator('.quick-input-widget input[placeholder="https://.../model.gguf"]').fill(url);
    await page.keyboard.press("Enter");
    await page.locator(".quick-input-widget .quick-input-title", { hasText: "SHA-256" }).waitFor();
    await input.first().fill(createHash("sha256").update(BROKEN).digest("hex"));
    await page.keyboard.press("Enter");
    await message("broken.gguf is here").waitFor();
  });

  await context.test(
    "it is offered where a model is chosen, and refused in one sentence as it is damaged",
    async () => {
      await workbench.command("Longsight: Choose the Model That Writes Answers", true);
      await page.locator(".quick-input-list .monaco-list-row", { hasText: "No model: quote the folder" }).waitFor();
      await page.locator(".quick-input-list .monaco-list-row", { hasText: "broken" }).click();
      await message("broken.gguf").filter({ hasNotText: "is here" }).first().waitFor();
    },
  );

  await context.test("all indexes are deleted when asked to, and made anew", async () => {
    await workbench.command("Longsight: Delete All Indexes and Memories", true);
    await page.locator(".monaco-dialog-box .dialog-buttons a", { hasText: "Delete" }).click();
    const taken = () => [...workbench.log().matchAll(/(\d+) taken up/g)].map(([, n]) => Number(n));
    for (let tries = 0; taken().length < 2 && tries < 100; tries++) await page.waitForTimeout(100);
    assert.deepEqual(taken(), [6, 6]);
  });
}
