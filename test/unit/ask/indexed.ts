/** Files given as text, indexed into a catalogue of their own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Catalogue } from "../../../engine/memory/catalogue.ts";
import { indexFiles } from "../../../engine/memory/indexer.ts";

/** A catalogue of `files`, from path to text; it is gone when the test ends. */
export async function indexed(context: TestContext, files: Record<string, string>): Promise<Catalogue> {
  const dir = mkdtempSync(join(tmpdir(), "longsight-ask-"));
  const catalogue = Catalogue.open(dir);
  context.after(() => {
    catalogue.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const source = Object.entries(files).map(([path, text]) => {
    const bytes = Buffer.from(text);
    return { path, skipped: null, sizeBytes: bytes.length, stamp: "1", read: async () => bytes };
  });
  await indexFiles(source, catalogue);
  return catalogue;
}

/** A small web server, written for these tests: enough files for words to be rare or common. */
export const SERVER: Record<string, string> = {
  "src/router/trie-router.ts": `import { splitPath } from "../url/split-path.ts";

interface Node {
  children: Map<string, Node>;
  handlers: Handler[];
}

/** Stores routes in a trie, one node for each part of a path. */
export class TrieRouter {
  #root: Node = { children: new Map(), handlers: [] };

  /** Adds a route; a part that starts with a colon matches anything. */
  add(method: string, path: string, handler: Handler): void {
    let node = this.#root;
    for (const part of splitPath(path)) node = childOf(node, part);
    node.handlers.push(handler);
  }

  /** Finds the handlers whose route matches a path, the most specific one first. */
  match(method: string, path: string): Handler[] {
    const found: Handler[] = [];
    walk(this.#root, splitPath(path), found);
    return found;
  }
}
`,
  "src/url/split-path.ts": `/** Splits a path at its slashes; empty parts are dropped. */
export function splitPath(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}
`,
  "src/middleware/csrf.ts": `/**
 * Refuses requests that another site's form has sent.
 * Compares the Origin header with the host of the request.
 */
export function csrf(options: CsrfOptions): Middleware {
  return async (context, next) => {
    if (!isSafeMethod(context.method) && !isAllowedOrigin(context.header("origin"), options)) {
      return context.text("Forbidden", 403);
    }
    await next();
  };
}

// GET and HEAD change nothing on the server.
function isSafeMethod(method: string): boolean {
  return method === "GET" || method === "HEAD";
}
`,
  "src/middleware/etag.ts": `/** Answers 304 when the client already holds the body: compares entity tags. */
export function etag(): Middleware {
  return async (context, next) => {
    await next();
    const tag = await sha1(context.body);
    if (context.header("if-none-match") === tag) context.body = null;
  };
}
`,
  "src/session/session_store.py": `class SessionStore:
    """Keeps sessions in memory until they expire."""

    def purge_expired(self, now):
        """Removes every session whose deadline has passed."""
        for key in list(self.sessions):
            if self.sessions[key].deadline < now:
                del self.sessions[key]
`,
  "test/middleware/csrf.test.ts": `describe("csrf", () => {
  it("refuses a form of another site", async () => {
    const response = await app.request("/form", { method: "POST", headers: { origin: "https://other.example" } });
    expect(response.status).toBe(403);
  });
});
`,
  "docs/guide.md": `# Guide

Install the package and start the server with one command.

## Sessions

Sessions are kept in memory. They expire after an hour.
`,
};
