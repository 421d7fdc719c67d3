import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isFromPanel } from "../../../webview/messages.ts";

suite("messages from the panel", () => {
  test("ours pass", () => {
    const mentions = [{ kind: "file", label: "src/a.ts", path: "src/a.ts" }];
    for (const message of [
      { type: "ready" },
      { type: "ask", question: "where?", mentions },
      { type: "open", folder: "file:///a", file: "b.ts", startLine: 1, endLine: 2 },
      { type: "copy", code: "x" },
    ]) {
      assert.ok(isFromPanel(message), JSON.stringify(message));
    }
  });

  test("others do not", () => {
    for (const message of [
      undefined,
      null,
      "ready",
      {},
      { type: "constructor" },
      { type: "ask", question: "where?" },
      { type: "ask", question: 1, mentions: [] },
      { type: "ask", question: "where?", mentions: [{ kind: "url", label: "x" }] },
      { type: "ask", question: "where?", mentions: [null] },
      { type: "open", folder: "file:///a", file: "b.ts", startLine: "1", endLine: 2 },
    ]) {
      assert.ok(!isFromPanel(message), JSON.stringify(message));
    }
  });
});
