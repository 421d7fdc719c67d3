/** Nothing leaves the machine but to a server the user has configured, and for a download the user has asked for. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../../engine/paths.ts";

const MAY_CONNECT = ["extension/models/download.ts", "extension/models/server.ts"];
const CONNECTS =
  /\bfetch\s*\(|\bXMLHttpRequest\b|\bWebSocket\b|\bEventSource\b|sendBeacon|openExternal|["'](?:node:)?(?:https?|http2|net|tls|dgram|undici)["']/;

test("of extension and panels, only the server's client and the download open a connection", () => {
  const files = ["extension", "webview"].flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`),
  );
  const connecting = files.filter((file) => CONNECTS.test(readFileSync(join(packageRoot, file), "utf8")));
  assert.deepEqual(connecting.sort(), MAY_CONNECT);
});
