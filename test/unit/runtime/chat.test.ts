/** A turn of a chat with tools, on a model that says what a script has it say. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { suite, test } from "node:test";
import { Engine } from "../../../engine/engine.ts";
import { AGENT_TEMPLATE, scriptedChatModel } from "../scripted-chat-model.ts";

const CALL = '<tool_call>\n{"name": "search", "arguments": {"q": "loan"}}\n</tool_call>';
const SCRIPT = {
  "<|call|>": `Let me look.\n${CALL}`,
  "<|answer|>": "Three times [1].",
  "<|plain|>": "Hello.",
  // What the model goes on with where a call is begun for it.
  '"parameters": ': '{"q": "forced"}}',
};
const tools = [{ name: "search", description: "Finds places.", parameters: { type: "object" } }];
const user = { role: "user", content: "How often?" } as const;

suite("a chat with tools", () => {
  const model = scriptedChatModel(SCRIPT, AGENT_TEMPLATE);
  const engine = new Engine();
  const generate = (params: object) => {
    const pieces: string[] = [];
    const onProgress = (part: { kind: string; text?: string }) => {
      if (part.kind === "text") pieces.push(part.text ?? "");
    };
    const done = engine.generate({ model, prompt: [user], temperature: 0, ...params }, { onProgress });
    return done.then(({ text, toolCalls }) => {
      assert.equal(pieces.join(""), text);
      return { text, calls: toolCalls.map(({ name, arguments: args }) => [name, args]) };
    });
  };

  test("the model calls, gets the result, and answers", async (context) => {
    context.after(async () => {
      await engine.close();
      rmSync(model, { recursive: true });
    });
    assert.equal(engine.chatTraits(model).callsTools, true);
    assert.deepEqual(await generate({}), { text: "Hello.", calls: [] });
    const called = await generate({ tools });
    assert.deepEqual(called, { text: "Let me look.\n", calls: [["search", { q: "loan" }]] });
    const toolCalls = [{ id: "a", name: "search", arguments: { q: "loan" } }];
    const told = [
      user,
      { role: "assistant", content: "", toolCalls },
      { role: "tool", content: "loans.py:3 <|call|>", toolCallId: "a" },
    ];
    assert.deepEqual(await generate({ prompt: told, tools }), { text: "Three times [1].", calls: [] });

    // Where it has to call, the call is begun for it.
    assert.deepEqual(await generate({ tools, mustCallTool: true }), { text: "", calls: [["search", { q: "forced" }]] });
    const others = [{ name: "other", description: "" }, ...tools];
    await assert.rejects(generate({ tools: others, mustCallTool: true }), {
      code: "unsupported",
      message: /larger model/,
    });
  });
});
