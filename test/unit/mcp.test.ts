/** The MCP server as an agent meets it: a process on stdin and stdout. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { packageRoot } from "../../engine/paths.ts";
import { StoreUse } from "../../engine/store-use.ts";

const base = mkdtempSync(join(tmpdir(), "longsight-mcp-"));
const cache = join(base, "cache");
const folder = join(packageRoot, "test", "e2e", "fixtures", "library");

suite("MCP server", () => {
  const client = new Client({ name: "test", version: "1" });
  after(async () => {
    await client.close();
    rmSync(base, { recursive: true, force: true });
  });

  const search = async (input: Record<string, unknown>) => {
    const result = await client.callTool({ name: "longsight_search", arguments: input });
    const [{ text }] = result.content as { text: string }[];
    return { text, isError: result.isError === true };
  };

  test("offers the search, which names places and shows their code", async () => {
    const args = ["--disable-warning=ExperimentalWarning", join(packageRoot, "dist", "mcp.js"), folder];
    const env = { ...process.env, LONGSIGHT_CACHE: cache } as Record<string, string>;
    await client.connect(new StdioClientTransport({ command: process.execPath, args, env, stderr: "ignore" }));
    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map(({ name }) => name),
      ["longsight_search"],
    );
    const { text } = await search({ question: "How often can a loan be renewed?", maxResults: 1 });
    assert.match(text, /^src\/loans\.py:\d+-\d+/);
    assert.match(text, /def renew\(self\)/);
  });

  test("says so where nothing is found, and in one sentence what is wrong with a question", async () => {
    const nothing = await search({ question: "How are satellites launched into orbit?" });
    assert.equal(nothing.text, "Nothing found in library.");
    const bad = await search({ question: "what is it?" });
    assert.ok(bad.isError);
    assert.match(bad.text, /names nothing to look for/);
  });

  test("leaves its stores to whoever clears them, and answers from new ones", async () => {
    const onClearing = () => assert.fail("nobody else clears them");
    const stores = await StoreUse.begin(cache, { onClearing });
    stores.announce();
    await stores.alone();
    rmSync(cache, { recursive: true });
    stores.end();
    const { text } = await search({ question: "How often can a loan be renewed?", maxResults: 1 });
    assert.match(text, /^src\/loans\.py:\d+-\d+/);
    assert.ok(existsSync(cache));
  });
});
