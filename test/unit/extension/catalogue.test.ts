/** The list of models to download: its form, and that an entry's file is taken only with the entry's bytes. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { suite, test } from "node:test";
import { CATALOGUE, pathOf } from "../../../extension/models/catalogue.ts";
import { download, fileNameOf } from "../../../extension/models/download.ts";

const FREE_LICENCES = ["Apache-2.0", "MIT", "BSD-3-Clause"];

suite("catalogue of models", () => {
  test("every entry is complete, free to use, and a different file", () => {
    assert.ok(CATALOGUE.length >= 4);
    for (const { name, sizeBytes, bytesPerToken, quantisation, licence, sha256, url } of CATALOGUE) {
      assert.match(sha256, /^[0-9a-f]{64}$/, name);
      assert.ok(Number.isSafeInteger(sizeBytes) && sizeBytes > 1e8 && sizeBytes < 1e10, name);
      // A key and a value of float32 for whole heads of at least 64 numbers.
      assert.ok(bytesPerToken > 0 && bytesPerToken % (2 * 64 * 4) === 0, name);
      assert.ok(FREE_LICENCES.includes(licence), name);
      assert.ok(fileNameOf(url) && new URL(url).protocol === "https:", name);
      assert.ok(url.toUpperCase().endsWith(`${quantisation}.GGUF`), name);
    }
    for (const key of ["name", "url", "sha256"] as const) {
      assert.equal(new Set(CATALOGUE.map((model) => model[key])).size, CATALOGUE.length, key);
    }
    const sizes = CATALOGUE.map(({ sizeBytes }) => sizeBytes);
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => a - b),
    );
  });

  test("an entry's file is kept under its name with the right bytes, and deleted with others", async (context) => {
    const bytes = Buffer.from("GGUF and more");
    const server = createServer((_, response) => response.end(bytes));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const folder = mkdtempSync(join(tmpdir(), "longsight-catalogue-"));
    context.after(() => {
      server.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${basename(new URL(CATALOGUE[0].url).pathname)}`;
    const offered = { ...CATALOGUE[0], url };
    await assert.rejects(download({ ...offered, folder }), /is not the file the checksum is of .* it was deleted\.$/);
    assert.ok(!existsSync(pathOf(offered, folder)));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await download({ ...offered, sha256, folder });
    assert.ok(readFileSync(pathOf(CATALOGUE[0], folder)).equals(bytes));
  });
});
