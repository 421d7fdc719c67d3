/** What the editor asks of a language model, as the engine gets it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { engineMessages, engineTools, textOf } from "../../../extension/chat/model-messages.ts";

const [USER, ASSISTANT, SYSTEM] = [1, 2, 3];
const text = (value: string) => ({ value });

test("texts of one role that follow each other become one message", () => {
  const messages = engineMessages([
    { role: SYSTEM, content: [text("Be brief.")] },
    { role: USER, content: [text("Context. "), text("More.")] },
    { role: USER, content: [text("Where?")] },
    { role: ASSISTANT, content: [text("Here.")] },
    { role: USER, content: [] },
  ]);
  assert.deepEqual(messages, [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Context. More.\n\nWhere?" },
    { role: "assistant", content: "Here." },
  ]);
});

test("calls stay with the assistant's text, results come before what the user says besides", () => {
  const call = { callId: "c1", name: "longsight_search", input: { question: "loan" } };
  const json = { data: new TextEncoder().encode('{"n": 1}'), mimeType: "application/json" };
  const picture = { data: new Uint8Array(4), mimeType: "image/png" };
  const messages = engineMessages([
    { role: USER, content: [text("How often?")] },
    { role: ASSISTANT, content: [text("Let me look."), call] },
    { role: ASSISTANT, content: [{ ...call, callId: "c2" }] },
    {
      role: USER,
      content: [
        text("Go on."),
        { callId: "c1", content: [text("loans.py:3 "), { value: { node: 1 } }] },
        { callId: "c2", content: [json, picture] },
      ],
    },
  ]);
  const called = { name: "longsight_search", arguments: { question: "loan" } };
  assert.deepEqual(messages, [
    { role: "user", content: "How often?" },
    { role: "assistant", content: "Let me look.", toolCalls: [{ id: "c1", ...called }] },
    { role: "assistant", content: "", toolCalls: [{ id: "c2", ...called }] },
    { role: "tool", content: 'loans.py:3 {"node":1}', toolCallId: "c1" },
    { role: "tool", content: '{"n": 1}', toolCallId: "c2" },
    { role: "user", content: "Go on." },
  ]);
});

test("tools keep their names, descriptions and schemas", () => {
  const inputSchema = { type: "object", properties: {} };
  assert.deepEqual(
    engineTools([
      { name: "a", description: "A.", inputSchema },
      { name: "b", description: "" },
    ]),
    [
      { name: "a", description: "A.", parameters: inputSchema },
      { name: "b", description: "", parameters: undefined },
    ],
  );
  assert.deepEqual(engineTools(undefined), []);
});

test("the text of a message leaves calls and results out", () => {
  assert.equal(textOf([text("a"), { callId: "c", content: [text("x")] }, text("b")]), "ab");
});
