import assert from "node:assert/strict";
import { test } from "node:test";
import { drawMark } from "../../../webview/plot-mark.ts";

/** The lines that a mark draws on a plot whose x of 0 to 100 stands at 20 to 220. */
function drawn(value: number | null): number[][] {
  const lines: number[][] = [];
  const line = (x: number, y: number) => lines.push([x, y]);
  const nothing = () => {};
  drawMark(
    {
      valToPos: (x: number) => 20 + 2 * x,
      bbox: { left: 20, top: 5, width: 200, height: 100 },
      ctx: {
        ...{ save: nothing, restore: nothing, setLineDash: nothing, beginPath: nothing, stroke: nothing },
        ...{ moveTo: line, lineTo: line },
      } as never,
    },
    value,
    "red",
  );
  return lines;
}

test("a mark is a line from top to bottom at its place, and nothing where it has none", () => {
  assert.deepEqual(drawn(50), [
    [120, 5],
    [120, 105],
  ]);
  for (const value of [null, -1, 101]) assert.deepEqual(drawn(value), []);
});
