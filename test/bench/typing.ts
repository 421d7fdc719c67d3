/**
 * From a key stroke to ghost text: real edits are typed again, as fast as people type, into the extension's own provider
 * in front of a real engine that has indexed and encoded the repository as it was before.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type * as vscode from "vscode";
import { requests } from "../../engine/protocol.ts";
import type { EngineHost } from "../../extension/engine-host.ts";
import { editor } from "../editor.ts";
import { TextDocument } from "../text-document.ts";
import { type RealEdit, realEdits } from "./real-edits.ts";
import { atMost, quantile, type Row, told } from "./rows.ts";

const state = editor();
const { CompletionProvider } = await import("../../extension/completion/provider.ts");
const { CancellationTokenSource } = await import("vscode-jsonrpc/node");

const N_EDITS = 3;
const MAX_KEYS = 80;
/** Each one so often is a slip: deleted and typed again. */
const SLIP_EVERY = 12;
/**
 * 136 million keystrokes of 168,000 people come 239 ms apart on average (Dhakal et al., CHI 2018). Here log-normal with
 * that mean; people pause before a new line.
 */
const INTERVAL = { medianMs: 200, spread: 0.6, lineFactor: 4, maxMs: 2000 };
const ENCODED_LIMIT_MS = 180_000;

/** Times of ghost text that came before the next key, in ms. */
interface Typed {
  readonly computed: number[];
  readonly cached: number[];
  nKeys: number;
  ms: number;
}

/** Types edits of the repositories at these folders; takes about a minute and a half for each. */
export async function benchTyping(host: EngineHost, repositories: readonly string[], base: string): Promise<Row[]> {
  const provider = new CompletionProvider(host, () => 1);
  const typed: Typed = { computed: [], cached: [], nKeys: 0, ms: 0 };
  let cpuMs = 0;
  for (const [i, repository] of repositories.entries()) {
    const folder = join(base, `typing-${i}`);
    const edits = realEdits(repository, N_EDITS, folder);
    await prepare(host, folder);
    state.folder = { uri: { fsPath: folder } } as vscode.WorkspaceFolder;
    const cpuBeforeMs = cpuTimeMs(host.pid);
    for (const edit of edits) await type(provider, folder, edit, typed);
    cpuMs += cpuTimeMs(host.pid) - cpuBeforeMs;
  }
  provider.dispose();
  state.active = undefined;
  state.folder = undefined;
  const { computed, cached, nKeys, ms } = typed;
  const of = `${repositories.length} repositories`;
  return [
    // What had not come by then has no time: the share of keys below tells how often that was.
    atMost(
      `key to ghost text that came before the next key, ${computed.length} times over ${of}, p50`,
      quantile(computed, 0.5),
      "ms",
      100,
    ),
    atMost("key to ghost text that came before the next key, p95", quantile(computed, 0.95), "ms", 250),
    atMost(`key to ghost text from the cache, p95 of ${cached.length}`, quantile(cached, 0.95), "ms", 5),
    told(`keys with ghost text before the next key, of ${nKeys}`, (computed.length + cached.length) / nKeys, ""),
    told("processor time of the engine while typing", cpuMs / ms, "cores"),
  ];
}

/** Indexes a folder and waits until its memory is whole, as it is after the first minutes of a day. Fails where it takes longer. */
async function prepare(host: EngineHost, folder: string): Promise<void> {
  await host.request(requests.index, { folder });
  const endMs = performance.now() + ENCODED_LIMIT_MS;
  for (;;) {
    const memory = Object.values((await host.ask(requests.status, {})).memories).at(-1);
    if (memory && memory.encoding === null && memory.filesEncoded === memory.filesTotal) return;
    if (performance.now() > endMs) {
      const encoded = memory ? `${memory.filesEncoded} of ${memory.filesTotal} files are` : "nothing is";
      throw new Error(`After ${ENCODED_LIMIT_MS / 1000} s ${encoded} encoded of ${folder}; give a smaller repository.`);
    }
    await delay(500);
  }
}

async function type(
  provider: InstanceType<typeof CompletionProvider>,
  folder: string,
  edit: RealEdit,
  typed: Typed,
): Promise<void> {
  const document = new TextDocument(edit.text, join(folder, edit.path));
  state.active = document;
  let at = edit.offset;
  let last = new CancellationTokenSource();
  const random = seeded(edit.offset);
  const startMs = performance.now();
  /** What a key does to the text, and what the editor does then. */
  const press = async (nDeleted: number, text: string) => {
    last.cancel();
    last = new CancellationTokenSource();
    const { token } = last;
    const keyMs = performance.now();
    const before = { ...provider.counts.sources };
    document.replace(at - nDeleted, nDeleted, text);
    state.changed({ document, contentChanges: [{ rangeOffset: at - nDeleted, rangeLength: nDeleted, text }] });
    at += text.length - nDeleted;
    void provider
      .provideInlineCompletionItems(
        document as unknown as vscode.TextDocument,
        document.positionAt(at) as vscode.Position,
        { triggerKind: 1 } as vscode.InlineCompletionContext,
        token as vscode.CancellationToken,
      )
      .then((items) => {
        if (!items?.length) return;
        const isCached = provider.counts.sources.cache > before.cache;
        typed[isCached ? "cached" : "computed"].push(performance.now() - keyMs);
      });
    typed.nKeys++;
    await delay(interval(random, text));
  };
  for (const [i, key] of keysOf(edit.typed).slice(0, MAX_KEYS).entries()) {
    await press(0, key);
    if (i % SLIP_EVERY !== SLIP_EVERY - 1) continue;
    await press(key.length, "");
    await press(0, key);
  }
  last.cancel();
  typed.ms += performance.now() - startMs;
}

/** What is typed by one key each: the editor indents a new line by itself. */
const keysOf = (text: string) => text.match(/\n[ \t]*|[^\n]/gu) ?? [];

function interval(random: () => number, text: string): number {
  const { medianMs, spread, lineFactor, maxMs } = INTERVAL;
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.min(maxMs, medianMs * Math.exp(spread * normal) * (text.startsWith("\n") ? lineFactor : 1));
}

/** Numbers 0 .. 1 that are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** What a process has used of the processor, in ms; NaN where the system does not say. */
function cpuTimeMs(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    // utime and stime, in hundredths of a second.
    return 10 * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return Number.NaN;
  }
}
