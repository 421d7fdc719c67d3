import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CopyIndex, lastAnchor, MAX_MATCH, MIN_CONTEXT } from "../../engine/complete/copy-index.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** Few different pieces, so that texts repeat each other. */
const piece = fc.constantFrom("foo", "bar", ".", "(", ")", " ", "    ", "\n", "x1", "é", "foo.bar(", "if (x1) {\n    ");
const text = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(""));
const files = fc.array(fc.tuple(fc.constantFrom("a", "b", "c", "d"), text, fc.boolean()), { maxLength: 12 });

/** What `longest` shall find, by comparing the context with every place of every file. */
function naive(
  current: ReadonlyMap<string, Uint8Array>,
  context: Uint8Array,
  { except, withoutSpace }: { except: string; withoutSpace: boolean },
) {
  const atLeast = context.length - lastAnchor(context) + MIN_CONTEXT;
  const found: { length: number; next: string }[] = [];
  for (const [name, bytes] of current) {
    if (name === except) continue;
    for (let place = 1; place < bytes.length; place++) {
      if (withoutSpace && bytes[place] === 0x20) continue;
      let length = 0;
      while (
        length < Math.min(place, context.length, MAX_MATCH) &&
        bytes[place - 1 - length] === context[context.length - 1 - length]
      ) {
        length++;
      }
      const next = Buffer.from(bytes.subarray(place, place + MAX_MATCH)).toString("hex");
      if (length >= atLeast) found.push({ length, next });
    }
  }
  const best = Math.max(...found.map(({ length }) => length));
  return found.filter(({ length }) => length === best);
}

test("the index finds what comparing with every place finds, while files come, change and go", () => {
  fc.assert(
    fc.property(files, text, fc.constantFrom("a", "nothing"), fc.boolean(), (changes, end, except, withoutSpace) => {
      // A small table, so that hashes collide.
      const index = new CopyIndex({ hashBits: 3 });
      const current = new Map<string, Uint8Array>();
      for (const [name, content, goes] of changes) {
        if (goes) {
          index.remove(name);
          current.delete(name);
        } else {
          index.set(name, utf8(content));
          current.set(name, utf8(content));
        }
        const context = utf8(content.slice(0, content.length >> 1) + end).subarray(-MAX_MATCH);
        const found = index.longest(context, { except, withoutSpace }).map(({ length, next }) => ({
          length,
          next: Buffer.from(next).toString("hex"),
        }));
        const order = (a: { next: string }, b: { next: string }) => (a.next < b.next ? -1 : 1);
        assert.deepEqual(found.sort(order), naive(current, context, { except, withoutSpace }).sort(order));
      }
      const sizeBytes = [...current.values()].reduce((sum, { length }) => sum + length, 0);
      assert.equal(index.sizeBytes, sizeBytes);
    }),
    { numRuns: 300 },
  );
});

test("an index in which files are replaced again and again stays right, and small", () => {
  const index = new CopyIndex();
  const content = (i: number) => utf8(`${"filler text ".repeat(2000)}const version = ${i};\n`);
  index.set("other", utf8("let unchanged = true;\n"));
  for (let i = 0; i < 60; i++) index.set("file", content(i));
  assert.equal(Buffer.from(index.longest(utf8("const version ="))[0].next).toString(), " 59;\n");
  assert.equal(index.longest(utf8("const version =")).length, 1);
  assert.equal(Buffer.from(index.longest(utf8("let unchanged ="))[0].next).toString(), " true;\n");
  assert.ok(index.allocatedBytes < 20 * index.sizeBytes + 3_000_000, `${index.allocatedBytes}`);
});

test("files that do not fit are left out and do not disturb the others", () => {
  const index = new CopyIndex({ maxBytes: 100 });
  assert.equal(index.set("a", utf8("const first = 1;\n")), true);
  assert.equal(index.set("b", utf8("x".repeat(90))), false);
  assert.equal(index.set("a", utf8("y".repeat(101))), false);
  assert.equal(index.sizeBytes, 0);
});
