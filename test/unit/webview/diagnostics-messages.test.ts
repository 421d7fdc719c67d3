import assert from "node:assert/strict";
import { test } from "node:test";
import { isFromDiagnostics } from "../../../webview/diagnostics-messages.ts";

test("messages of the diagnostics panel: ours pass, others do not", () => {
  const place = { type: "open", folder: "/a", file: "b.ts", startLine: 1, endLine: 2 };
  for (const message of [{ type: "ready" }, { type: "pause", isPaused: true }, place]) {
    assert.ok(isFromDiagnostics(message), JSON.stringify(message));
  }
  for (const message of [null, "ready", {}, { type: "pause" }, { type: "pause", isPaused: 1 }, { ...place, file: 1 }]) {
    assert.ok(!isFromDiagnostics(message), JSON.stringify(message));
  }
});
