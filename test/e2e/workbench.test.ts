/**
 * The extension, packed and installed in a real workbench. Skipped, visibly, where no workbench can be had.
 * LONGSIGHT_E2E="chat,engine" runs these scenarios alone.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { packageVsix } from "../../build.mjs";
import { testData } from "../data.ts";
import { startLlamaServer } from "../llama-server.ts";
import { agent, agentModel, packAgent } from "./scenarios/agent.ts";
import { appearance } from "./scenarios/appearance.ts";
import { chat } from "./scenarios/chat.ts";
import { completions } from "./scenarios/completions.ts";
import { diagnostics } from "./scenarios/diagnostics.ts";
import { engine } from "./scenarios/engine.ts";
import { LLAMA_KEY, llamaAnswers } from "./scenarios/llama.ts";
import { models } from "./scenarios/models.ts";
import { notebook } from "./scenarios/notebook.ts";
import { offline } from "./scenarios/offline.ts";
import { serverAnswers, startServer } from "./scenarios/server.ts";
import { walkthrough } from "./scenarios/walkthrough.ts";
import { asksBeforeMuchWork, largeFolder, restricted, severalFolders } from "./scenarios/workspaces.ts";
import { cannotGoOffline, followsSystemColours, Workbench, type WorkbenchOptions } from "./workbench.ts";
import { installWorkbench } from "./workbench-install.ts";

const installed = installWorkbench();
const skip = typeof installed === "string" ? installed : false;
const only = process.env.LONGSIGHT_E2E?.split(",");
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

test("the extension in a real workbench", { skip }, async (context) => {
  if (typeof installed === "string") return;
  const folder = mkdtempSync(join(tmpdir(), "longsight-vsix-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const [vsix] = await packageVsix(["linux-x64"], folder);
  const scenario = (
    name: string,
    run: (context: TestContext, workbench: Workbench) => Promise<void>,
    options: Partial<WorkbenchOptions> = {},
    impossible: string | false = false,
  ) =>
    context.test(name, { skip: only && !only.includes(name) ? "not chosen" : impossible }, async (inner) => {
      const workbench = await Workbench.start({ installed, vsix, folders: [fixture("library")], ...options });
      try {
        await run(inner, workbench);
      } finally {
        await workbench.keepEvidence(name);
        await workbench.close();
      }
    });

  // Only what the extension suggests is to be seen.
  const noOtherSuggestions = {
    "editor.quickSuggestions": { other: "off" },
    "editor.suggestOnTriggerCharacters": false,
  };
  await scenario("inline completions", completions, { settings: noOtherSuggestions });
  await scenario("notebook", notebook, { settings: noOtherSuggestions, folders: [fixture("notebook")] });
  await scenario("engine", engine);
  await scenario("chat", chat);
  await scenario("diagnostics", diagnostics, { settings: noOtherSuggestions });
  const { server, url, seen } = await startServer();
  const configured = { "longsight.server.url": url, "longsight.server.model": "my-model" };
  await scenario("server", (inner, workbench) => serverAnswers(inner, workbench, seen), { settings: configured });
  server.close();
  const { path, skip: isAbsent } = testData("models/stories260K/stories260K.gguf");
  const llama = isAbsent ? undefined : await startLlamaServer(path, { apiKey: LLAMA_KEY, tokenMs: 30 });
  if (llama) {
    context.after(() => llama.close());
    const settings = { "longsight.server.url": llama.url, "longsight.server.model": "stories" };
    await scenario("llama server", (inner, workbench) => llamaAnswers(inner, workbench, llama), { settings });
  } else await context.test("llama server", { skip: isAbsent || "llama.cpp is not installed for this platform" });
  await scenario("models", models);
  await scenario("walkthrough", walkthrough);
  const model = agentModel();
  context.after(() => rmSync(model, { recursive: true }));
  const agentSettings = { "longsight.chat.model": model };
  await scenario("agent", agent, { settings: agentSettings, others: [packAgent(folder)] });
  await scenario("several folders", severalFolders, { folders: [fixture("library"), fixture("notes")] });
  const large = largeFolder();
  context.after(() => rmSync(large, { recursive: true }));
  await scenario("large folder", asksBeforeMuchWork, { folders: [large] });
  await scenario("offline", offline, { settings: noOtherSuggestions, isOffline: true }, cannotGoOffline());
  await scenario("restricted", restricted, { asksForTrust: true });
  await scenario("appearance", appearance, { settings: { ...noOtherSuggestions, ...followsSystemColours } });
});
