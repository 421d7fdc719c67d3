/**
 * The repository search as an MCP server on stdin and stdout, for agents of any make: `mcp.js FOLDER...` offers the tool
 * longsight_search over these folders. It opens no connection and ends with its input.
 */
import { basename, resolve } from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";
import { type AskResult, Engine } from "./engine.ts";
import { LongsightError } from "./errors.ts";
import { cacheDir } from "./paths.ts";
import { StoreUse } from "./store-use.ts";

const MAX_RESULTS = 20;

// Stdout carries messages only; whatever a library prints must not break them.
console.log = console.info = console.debug = console.error;

const folders = process.argv.slice(2).map((folder) => resolve(folder));
let engine: Promise<Engine> | undefined;

/** The engine, made for the first question, and anew for the first one after an editor has cleared the stores they share. */
function started(): Promise<Engine> {
  engine ??= (async () => {
    const own = new Engine();
    const stores = await StoreUse.begin(cacheDir(), {
      onClearing: () => {
        engine = undefined;
        void own.close().then(() => stores.end());
      },
    });
    return own;
  })();
  return engine;
}

const server = new McpServer({ name: "longsight", version: "1" });

server.registerTool(
  "longsight_search",
  {
    title: "Search the repository",
    description:
      "Finds the places of a local code repository that answer a question or define a symbol. Returns file paths, line ranges, symbols and the code itself, best first.",
    inputSchema: {
      question: z.string().min(1).describe("What to look for, in words or as identifiers"),
      maxResults: z.number().int().min(1).max(MAX_RESULTS).optional(),
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  async ({ question, maxResults }, { signal }) => {
    try {
      const parts: string[] = [];
      for (const folder of folders) {
        const answer = await (await started()).ask({ folder, question, maxCitations: maxResults ?? 8 }, { signal });
        parts.push(asText(folder, answer));
      }
      return { content: [{ type: "text", text: parts.join("\n\n") }] };
    } catch (error) {
      if (!(error instanceof LongsightError)) throw error;
      return { isError: true, content: [{ type: "text", text: error.message }] };
    }
  },
);

function asText(folder: string, { found, citations }: AskResult): string {
  if (!found) return `Nothing found in ${basename(folder)}.`;
  return citations
    .map(({ file, startLine, endLine, symbol, text }) => {
      const place = `${file}:${startLine}-${endLine}${symbol ? ` (${symbol})` : ""}`;
      return `${place}\n\`\`\`\n${text}\n\`\`\``;
    })
    .join("\n\n");
}

async function end(status: number): Promise<never> {
  await (await engine)?.close();
  process.exit(status);
}

if (folders.length === 0) {
  console.error("Give the folders to search: longsight-mcp FOLDER...");
  process.exit(1);
}
process.stdin.on("end", () => void end(0));
process.stdin.on("close", () => void end(0));
await server.connect(new StdioServerTransport());
