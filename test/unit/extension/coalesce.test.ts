import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Coalesced } from "../../../extension/workspace/coalesce.ts";

suite("coalesced events", () => {
  test("a burst is one run, a steady stream runs at its limit", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    let now = 0;
    context.mock.method(performance, "now", () => now);
    let runs = 0;
    const coalesced = new Coalesced(
      async () => {
        runs++;
      },
      300,
      1000,
    );
    const pass = (ms: number) => {
      now += ms;
      context.mock.timers.tick(ms);
    };
    for (let n = 0; n < 5; n++) {
      coalesced.event();
      pass(100);
    }
    assert.equal(runs, 0);
    pass(200);
    assert.equal(runs, 1);
  });

  test("events during a run cause one more run, never two at once", async () => {
    let running = 0;
    let runs = 0;
    const coalesced: Coalesced = new Coalesced(
      async () => {
        assert.equal(++running, 1);
        if (++runs === 1) for (let n = 0; n < 3; n++) coalesced.event();
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
      },
      1,
      1000,
    );
    coalesced.event();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(runs, 2);
    coalesced.dispose();
  });
});
