/** Calls of tools in the forms that models write them in, however the text comes in pieces. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { callOpening, ToolCallParser } from "../../../engine/models/tool-calls.ts";

const TOOLS = [
  { name: "search", description: "Finds places." },
  { name: "read", description: "Reads a file." },
];

/** Text and calls of a message that comes in pieces of `size` characters. */
function parse(message: string, size: number) {
  let text = "";
  const pieces: string[] = [];
  const parser = new ToolCallParser(TOOLS, (piece) => {
    pieces.push(piece);
    text += piece;
  });
  for (let at = 0; at < message.length; at += size) parser.push(message.slice(at, at + size));
  const calls = parser.end().map(({ name, arguments: args }) => [name, args]);
  return { text, calls, nPieces: pieces.length };
}

const CASES: [name: string, message: string, text: string, calls: unknown[]][] = [
  ["text alone", "It is in a.ts [1], {as} said.", "It is in a.ts [1], {as} said.", []],
  [
    "a call in tags",
    '<tool_call>\n{"name": "search", "arguments": {"q": "a"}}\n</tool_call>',
    "",
    [["search", { q: "a" }]],
  ],
  [
    "text before, two calls, text behind",
    'Let me look.\n<tool_call>{"name":"search","arguments":{}}</tool_call>\n<tool_call>{"name":"read","arguments":{"f":"<x>"}}</tool_call>\nSo.',
    "Let me look.\n\n\nSo.",
    [
      ["search", {}],
      ["read", { f: "<x>" }],
    ],
  ],
  [
    "a call whose last tag is missing",
    '<tool_call>\n{"name": "read", "arguments": {"f": 1}}',
    "",
    [["read", { f: 1 }]],
  ],
  ["the whole message as JSON", ' {"name": "search", "parameters": {"q": "a"}}', "", [["search", { q: "a" }]]],
  ["JSON in a fence", '```json\n{"name": "search", "arguments": {"q": "}"}}\n```\n', "", [["search", { q: "}" }]]],
  [
    "a list of calls",
    '[{"name": "search"}, {"name": "read", "arguments": "{\\"f\\": 2}"}]',
    "",
    [
      ["search", {}],
      ["read", { f: 2 }],
    ],
  ],
  ["JSON that is no call", '{"answer": 42}', '{"answer": 42}', []],
  ["code", "```ts\nconst a = {};\n```", "```ts\nconst a = {};\n```", []],
  [
    "a tool that there is not",
    '<tool_call>{"name":"rm","arguments":{}}</tool_call>',
    '<tool_call>{"name":"rm","arguments":{}}</tool_call>',
    [],
  ],
  ["broken JSON in tags", 'a<tool_call>{"name": </tool_call>b', 'a<tool_call>{"name": </tool_call>b', []],
  ["arguments that are no object", '{"name": "search", "arguments": [1]}', '{"name": "search", "arguments": [1]}', []],
  ["a call that was cut off", '<tool_call>{"name": "sea', '<tool_call>{"name": "sea', []],
  ["less-than signs", "a < b <tool <tool_calls", "a < b <tool <tool_calls", []],
];

suite("calls of tools", () => {
  for (const [name, message, text, calls] of CASES) {
    test(name, () => {
      for (const size of [1, 2, 3, 7, 1000]) {
        const parsed = parse(message, size);
        assert.deepEqual({ text: parsed.text, calls: parsed.calls }, { text, calls }, `pieces of ${size}`);
      }
    });
  }

  test("text is given out as it comes", () => {
    assert.ok(parse("It is in the file a.ts, at the end of it.", 1).nPieces > 30);
  });

  test("every call has an id of its own", () => {
    const parser = new ToolCallParser(TOOLS, () => {});
    parser.push('[{"name": "search"}, {"name": "search"}]');
    const [a, b] = parser.end();
    assert.match(a.id, /^[\da-f]{9}$/);
    assert.notEqual(a.id, b.id);
  });

  test("a call that must be made is begun in the template's form, of the one tool or of any", () => {
    assert.equal(callOpening("... <tool_call> ...", TOOLS), '<tool_call>\n{"name": "');
    assert.equal(callOpening("...", TOOLS.slice(1)), '{"name": "read", "parameters": ');
    const { calls } = parse(`${callOpening("<tool_call>", TOOLS.slice(0, 1))}{"q": 1}}`, 4);
    assert.deepEqual(calls, [["search", { q: 1 }]]);
  });
});
