/** Inline completions as the editor asks for them, of an engine that only notes what it is asked. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type * as vscode from "vscode";
import { LongsightError } from "../../../engine/errors.ts";
import type { EngineHost } from "../../../extension/engine-host.ts";
import { editor } from "../../editor.ts";
import { TextDocument } from "../../text-document.ts";

const state = editor();
const { CompletionProvider } = await import("../../../extension/completion/provider.ts");

/** Longer than a suggestion has to be looked at for the next one to be prepared. */
const READ_MS = 350;

interface Options {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: { kind: "completion"; text: string }) => void;
}

interface Asked {
  readonly prefix: string;
  readonly signal: AbortSignal;
}

function open(context: TestContext, answer: (prefix: string) => Promise<string>) {
  const asked: Asked[] = [];
  const request = async (_type: unknown, params: { prefix: string }, { signal, onProgress }: Options) => {
    asked.push({ prefix: params.prefix, signal });
    onProgress({ kind: "completion", text: "cou" });
    return { text: await answer(params.prefix), confidence: 1 };
  };
  const provider = new CompletionProvider({ request } as unknown as EngineHost, () => 1);
  context.after(() => provider.dispose());
  const document = new TextDocument("", "/new.ts");
  state.active = document;
  let at = 0;
  const suggest = async (token = { isCancellationRequested: false }) => {
    const listened = { ...token, onCancellationRequested: () => ({ dispose: () => {} }) };
    const items = await provider.provideInlineCompletionItems(
      document as unknown as vscode.TextDocument,
      document.positionAt(at) as vscode.Position,
      { triggerKind: 1 } as vscode.InlineCompletionContext,
      listened as vscode.CancellationToken,
    );
    return items?.[0].insertText;
  };
  const type = (text: string) => {
    document.replace(at, 0, text);
    state.changed({ document, contentChanges: [{ rangeOffset: at, rangeLength: 0, text }] });
    at += text.length;
    state.move(at);
  };
  return { asked, type, suggest, provider };
}

test("what is typed as suggested is not asked for again", async (context) => {
  const { asked, type, suggest, provider } = open(context, async () => "count + 1;");
  type("let a = ");
  assert.equal(await suggest(), "count + 1;");
  type("cou");
  assert.equal(await suggest(), "nt + 1;");
  assert.deepEqual([asked.length, provider.counts.sources.engine, provider.counts.sources.cache], [1, 1, 1]);
});

test("the suggestion after one is prepared when that one has been looked at, and not when it is typed over", async (context) => {
  const { asked, type, suggest } = open(context, async () => "count;");
  type("let a = ");
  await suggest();
  type("x");
  await delay(READ_MS);
  assert.deepEqual(
    asked.map(({ prefix }) => prefix),
    ["let a = "],
  );
  await suggest();
  await delay(READ_MS);
  assert.deepEqual(
    asked.map(({ prefix }) => prefix),
    ["let a = ", "let a = x", "let a = xcount;"],
  );
});

test("work that an edit has made useless is stopped at once", async (context) => {
  const { asked, type, suggest } = open(context, async () => {
    await delay(100);
    return "count;";
  });
  type("let a = ");
  const first = suggest();
  await delay(10);
  type("\n");
  assert.equal(asked[0].signal.aborted, true);
  assert.equal(await first, undefined);
});

test("the suggestion after one is not prepared, or no more, when the cursor goes elsewhere; taking it is no such move", async (context) => {
  const { asked, type, suggest } = open(context, async (prefix) => {
    if (prefix.endsWith("count;")) await delay(100);
    return "count;";
  });
  type("let a = ");
  const end = "let a = ".length;
  await suggest();
  state.move(3);
  await delay(READ_MS);
  assert.equal(asked.length, 1);
  state.move(end);
  await suggest();
  state.move(end);
  await delay(READ_MS - 50);
  assert.deepEqual([asked.length, asked[1].signal.aborted], [2, false]);
  state.move(0);
  assert.equal(asked[1].signal.aborted, true);
  type("b + ");
  await suggest();
  await delay(READ_MS - 50);
  type("count;");
  assert.deepEqual([asked.length, asked[3].signal.aborted], [4, false]);
});

test("why suggestions stay away is said once, with a way to another model", async (context) => {
  const { type, suggest } = open(context, async () => {
    throw new LongsightError("not-found", "/own.gguf does not exist; check the path.");
  });
  state.settings.set("longsight.completions.model", "/own.gguf");
  context.after(() => state.settings.delete("longsight.completions.model"));
  state.choice = "Choose a Model";
  type("let a = ");
  assert.equal(await suggest(), undefined);
  type("b");
  await suggest();
  assert.deepEqual(state.asked, [["/own.gguf does not exist; check the path.", "Choose a Model", "Show Log"]]);
  assert.deepEqual(state.executed, [["longsight.chooseCompletionModel"]]);
});
