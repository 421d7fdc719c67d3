import assert from "node:assert/strict";
import { test } from "node:test";
import { madeUpFiles } from "../../../engine/ask/check-files.ts";
import { CANDIDATES } from "../../../engine/ask/self-check.ts";

test("every question's answer stands in the files once, beside wrong ones that stand there too", () => {
  for (const maxTokens of [300, 1000, 3000]) {
    const { files, questions } = madeUpFiles(maxTokens, (text) => text.length / 3);
    const all = files.map(({ text }) => text).join("");
    assert.ok(all.length / 3 <= maxTokens, `${all.length / 3} of ${maxTokens}`);
    assert.equal(questions.length, 2 * files.length);
    for (const { kind, prompt, answers } of questions) {
      assert.equal(new Set(answers).size, CANDIDATES);
      assert.equal(all.split(` = ${answers[0]};`).length, 2);
      const [, about, name] = /The (limit|quota) of the (\w+)/.exec(prompt)!;
      assert.equal(about, kind === "needle" ? "limit" : "quota");
      const source = kind === "needle" ? name : new RegExp(`${name}Quota = (\\w+)Limit`).exec(all)![1];
      assert.ok(all.includes(`${source}Limit = ${answers[0]};`));
    }
  }
});
