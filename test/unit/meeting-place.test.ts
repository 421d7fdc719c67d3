import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { meetingPlace } from "../../engine/meeting-place.ts";

const base = mkdtempSync(join(tmpdir(), "ls-"));
after(() => rmSync(base, { recursive: true }));
const script = join(base, "server.js");
writeFileSync(script, "one");

const onUnix = { skip: process.platform === "win32" && "there are no sockets with paths" };
const folderOf = (parent: string) => join(parent, `longsight-${process.getuid?.()}`);

function parentFor(name: string): string {
  const parent = join(base, name);
  mkdirSync(parent);
  return parent;
}

test("windows meet where build and store are the same, and nowhere else", () => {
  const parent = parentFor("a");
  const place = meetingPlace(script, "/store", parent);
  assert.deepEqual(meetingPlace(script, "/store", parent), place);
  assert.notEqual(meetingPlace(script, "/other", parent).address, place.address);
  writeFileSync(script, "another build");
  const next = meetingPlace(script, "/store", parent);
  assert.notEqual(next.address, place.address);
  assert.notEqual(next.lock, place.lock);
});

test("the folder belongs to the user alone", onUnix, () => {
  const parent = parentFor("b");
  assert.equal(statSync(meetingPlace(script, "/store", parent).folder).mode & 0o777, 0o700);
  chmodSync(folderOf(parent), 0o755);
  assert.throws(() => meetingPlace(script, "/store", parent), { code: "no-access" });
});

test("what is not a folder of the user's own is refused", onUnix, () => {
  const linked = parentFor("c");
  symlinkSync(parentFor("d"), folderOf(linked));
  assert.throws(() => meetingPlace(script, "/store", linked), { code: "no-access" });
  const file = join(base, "file");
  writeFileSync(file, "");
  assert.throws(() => meetingPlace(script, "/store", file), /is not a folder/);
});

test("a path that no socket can have is refused with what to do", onUnix, () => {
  const parent = parentFor("long".repeat(30));
  assert.throws(() => meetingPlace(script, "/store", parent), /too long for a socket; set XDG_RUNTIME_DIR/);
});

test("an engine that is not there is named", () => {
  assert.throws(() => meetingPlace(join(base, "missing.js"), "/store", parentFor("e")), { code: "not-found" });
});
