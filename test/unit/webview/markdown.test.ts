import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { renderMarkdown } from "../../../webview/markdown.ts";

suite("markdown of answers", () => {
  test("HTML of a model's making stays text", () => {
    for (const text of [
      "<script>alert(1)</script>",
      "<img src=x onerror=alert(1)>",
      "`<b>`",
      "[1]<a href='javascript:alert(1)'>x</a>",
      "```html\n<script>alert(1)</script>\n```",
      '```"><img src=x onerror=alert(1)>\nx\n```',
    ]) {
      const html = renderMarkdown(text);
      assert.doesNotMatch(html, /<(script|img|a|b)[\s>]/i, html);
    }
  });

  test("links and pictures lead nowhere, their text stays", () => {
    const html = renderMarkdown(
      "[here](https://example.com) ![there](https://example.com/x.png) <https://example.com>",
    );
    assert.doesNotMatch(html, /href|src=/);
    assert.match(html, /here/);
    assert.match(html, /there/);
  });

  test("marks of citations become buttons, but not in code", () => {
    const html = renderMarkdown("Loans are renewed. [1][12]\n\n`list[1]`\n\n```\nlist[2]\n```");
    assert.deepEqual(
      [...html.matchAll(/data-citation="(\d+)"/g)].map(([, n]) => n),
      ["1", "12"],
    );
    assert.match(html, /<figure class="code"><pre>/);
  });
});
