import { after, before, test } from "node:test";
import fc from "fast-check";
import { openHybrid } from "../../engine/models/hybrid.ts";
import { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import { assertClose } from "../unit/close.ts";
import { fixture } from "../unit/hybrid-golden.ts";

let decoder: HybridDecoder;
before(async () => {
  decoder = await HybridDecoder.open(openHybrid(fixture.folder), { nThreads: 1 });
});
after(() => decoder.close());

const ids = (maxLength: number) => fc.array(fc.integer({ min: 64, max: 159 }), { minLength: 1, maxLength });
/** An edit: keep this share of the text, then go on with these ids; maybe the call is cancelled. */
const edit = fc.record({ keep: fc.double({ min: 0, max: 1, noNaN: true }), more: ids(300), cancelled: fc.boolean() });

test("a reader that goes back and forth in a text gives the same logits as one that reads it anew", async () => {
  await fc.assert(
    fc.asyncProperty(ids(600), fc.array(edit, { maxLength: 6 }), async (start, edits) => {
      const reader = new HybridReader(decoder);
      let text = start;
      for (const { keep, more, cancelled } of [{ keep: 1, more: [], cancelled: false }, ...edits]) {
        text = [...text.slice(0, Math.round(keep * text.length)), ...more];
        if (cancelled) await reader.readText(text, { signal: AbortSignal.abort() }).catch(() => {});
        const logits = (await reader.readText(text)).slice();
        const fresh = await decoder.read(decoder.start(), text);
        assertClose(logits, fresh.logits, 1e-4, "logits");
      }
    }),
    { numRuns: 25 },
  );
});
