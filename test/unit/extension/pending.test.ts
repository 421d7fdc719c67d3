import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Place } from "../../../extension/completion/cache.ts";
import { PendingCompletion } from "../../../extension/completion/pending.ts";

const place = (prefix: string, suffix = ""): Place => ({ key: "file", prefix, suffix });

/** A request whose text comes when the test says so. */
function request(prefix: string) {
  let onText: (text: string) => void = () => {};
  let finish: (text: string) => void = () => {};
  let signal: AbortSignal | undefined;
  const pending = new PendingCompletion(place(prefix), (given, report) => {
    signal = given;
    onText = report;
    return new Promise((resolve, reject) => {
      finish = resolve;
      given.addEventListener("abort", () => reject(new Error("aborted")));
    });
  });
  return {
    pending,
    onText: (text: string) => onText(text),
    finish: (text: string) => finish(text),
    isAborted: () => signal?.aborted,
  };
}

suite("the completion under way", () => {
  test("may fit while what is typed agrees with what has come", () => {
    const { pending, onText } = request("ret");
    assert.ok(pending.mayFit(place("ret")));
    assert.ok(pending.mayFit(place("retu")), "nothing has come yet, so anything may");
    onText("urn f");
    assert.ok(pending.mayFit(place("return")));
    assert.ok(pending.mayFit(place("return first")), "more may come");
    assert.ok(!pending.mayFit(place("retain")));
    assert.ok(!pending.mayFit(place("re")));
    assert.ok(!pending.mayFit(place("ret", "x")));
    pending.abort();
  });

  test("gives the rest of its result to whoever typed on", async () => {
    const { pending, finish } = request("ret");
    const waiting = pending.wait(place("retu"), new AbortController().signal);
    finish("urn first");
    assert.equal(await waiting, "rn first");
  });

  test("is not aborted while a keystroke takes it over in time, and is when none does", async () => {
    const { pending, finish, isAborted } = request("ret");
    const first = new AbortController();
    const withdrawn = pending.wait(place("ret"), first.signal);
    first.abort();
    assert.equal(await withdrawn, "");
    const taken = pending.wait(place("retu"), new AbortController().signal);
    finish("urn");
    assert.equal(await taken, "rn");
    assert.equal(isAborted(), false);

    const other = request("ret");
    const second = new AbortController();
    const nobody = other.pending.wait(place("ret"), second.signal);
    second.abort();
    await nobody;
    await assert.rejects(other.pending.result, /aborted/);
    assert.ok(other.isAborted());
  });
});
