/**
 * Giving RAM back to the system. V8 keeps what a model took until it needs the room itself, which an engine that rests
 * never does; and the C library keeps what was freed unless it is told at the start not to (ENGINE_ENV of link.ts).
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void;

let collect: Collect | undefined;

/**
 * Frees all that nothing refers to any more. It blocks this thread, about 50 ms, so it is for moments in which nobody
 * waits.
 */
export function giveBackMemory(): void {
  if (!collect) {
    // The only way to V8's collector that needs no flag on the command line, which not every editor passes on.
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as Collect;
  }
  // Of the ways to collect, this one also gives back the pages that are kept for what comes next.
  collect({ type: "major", flavor: "last-resort" });
}
