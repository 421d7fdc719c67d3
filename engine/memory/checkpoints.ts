/**
 * States of the encoder inside long files: when such a file is edited, what stands before the edit is copied, and encoding
 * goes on from the last state before it. Many states of files that were encoded lately are kept in memory; few are stored
 * (stored-states.ts), for the first edit after a restart and for files that take more memory than there is.
 */
import { commonPrefix } from "../runtime/reader.ts";
import type { BlockEncoder, EncoderState, Resumption } from "./file-encoder.ts";
import type { SegmentStore } from "./segment-store.ts";
import { keyOf, type Prefix } from "./stored-states.ts";

export interface CheckpointOptions {
  /** Between two states of a file. */
  readonly spacingTokens: number;
  /** All states together. */
  readonly limitBytes: number;
  /**
   * Between two states of a file on disk, a multiple of the spacing in memory. Where a state is nothing but the blocks before
   * it, that spacing is the one on disk too.
   */
  readonly storedTokens: number;
}

const DEFAULTS: CheckpointOptions = { spacingTokens: 1024, limitBytes: 32 * 1024 * 1024, storedTokens: 32 * 1024 };

/** A version of a file. */
interface Version {
  /** Of its segment. */
  readonly id: string;
  readonly ids: readonly number[];
}

interface KeptVersion extends Version {
  /** Shortest first. */
  readonly states: readonly EncoderState[];
}

export interface Recorder {
  /** Gets the state behind each run. */
  readonly take: (state: EncoderState) => void;
  /** To be called when the version's segment is on disk. */
  readonly finish: () => void;
}

export class Checkpoints {
  readonly #store: SegmentStore;
  readonly #encoder: BlockEncoder;
  readonly #options: CheckpointOptions;
  /** By path, least lately kept first. */
  readonly #versions = new Map<string, KeptVersion>();

  constructor(store: SegmentStore, encoder: BlockEncoder, options: Partial<CheckpointOptions> = {}) {
    this.#store = store;
    this.#encoder = encoder;
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Where encoding a file can go on that begins as an earlier version did. */
  find(path: string, ids: readonly number[]): Resumption | undefined {
    const kept = this.#findKept(path, ids);
    return this.#findStored(ids, kept?.state.nTokens ?? 0) ?? kept;
  }

  /** Takes states while a version of a file is encoded, from a resumption on or from its beginning. */
  recorder(path: string, version: Version, resumption: Resumption | undefined): Recorder {
    const start = resumption?.state.nTokens ?? 0;
    const { limitBytes, storedTokens } = this.#options;
    let { spacingTokens } = this.#options;
    let states = this.#versions.get(path)?.states.filter(({ nTokens }) => nTokens <= start) ?? [];
    if (resumption && states.at(-1)?.nTokens !== start) states.push(resumption.state.fork());
    const prefixes = this.#prefixes(version.ids);
    const stored = this.#store.states.segments();
    const take = (state: EncoderState) => {
      const { nTokens, sizeBytes } = state;
      const isDue = nTokens - (states.at(-1)?.nTokens ?? 0) >= spacingTokens;
      if (isDue) states.push(state.fork());
      if (isDue && bytesOf(states) > limitBytes) {
        // Half as many do for a file of any length.
        states = states.filter((_, i) => i % 2 === 1);
        spacingTokens *= 2;
      }
      const prefix = prefixes.get(nTokens);
      const isWanted = sizeBytes === 0 || nTokens % storedTokens === 0;
      if (prefix && isWanted && !stored.has(keyOf(prefix))) this.#store.writeState(prefix, version.id, state.save());
    };
    const finish = () => {
      this.#keep(path, { ...version, states });
      for (const prefix of prefixes.values()) {
        for (const id of stored.get(keyOf(prefix)) ?? [])
          if (id !== version.id) this.#store.states.move(prefix, id, version.id);
      }
    };
    return { take, finish };
  }

  #findKept(path: string, ids: readonly number[]): Resumption | undefined {
    const version = this.#versions.get(path);
    if (!version) return undefined;
    // At least one token is left to read.
    const common = Math.min(commonPrefix(version.ids, ids), ids.length - 1);
    const state = version.states.findLast(({ nTokens }) => nTokens <= common);
    return state && { state: state.fork(), id: version.id };
  }

  /** The last state on disk behind more than `beyond` tokens. */
  #findStored(ids: readonly number[], beyond: number): Resumption | undefined {
    const { states } = this.#store;
    const stored = states.segments();
    for (const prefix of [...this.#prefixes(ids.slice(0, -1)).values()].reverse()) {
      if (prefix.nTokens <= beyond) break;
      for (const id of stored.get(keyOf(prefix)) ?? []) {
        const state = this.#store.has(id) ? this.#restore(prefix, id) : undefined;
        if (state) return { state, id };
      }
    }
    return undefined;
  }

  #restore(prefix: Prefix, id: string): EncoderState | undefined {
    const saved = this.#store.states.read(prefix, id);
    try {
      return saved && this.#encoder.restore(prefix.nTokens, saved);
    } catch (error) {
      this.#store.states.discard(prefix, id, (error as Error).message);
      return undefined;
    }
  }

  /** The beginnings of a file that may have a state on disk, by their length. */
  #prefixes(ids: readonly number[]): Map<number, Prefix> {
    const prefixes = this.#store.states.prefixes(ids, this.#options.spacingTokens);
    return new Map(prefixes.map((prefix) => [prefix.nTokens, prefix]));
  }

  /** Remembers the version of a file that was encoded last, in place of the one before. */
  #keep(path: string, version: KeptVersion): void {
    this.#versions.delete(path);
    if (version.states.length === 0) return;
    this.#versions.set(path, version);
    let size = [...this.#versions.values()].reduce((sum, { states }) => sum + bytesOf(states), 0);
    for (const [oldest, { states }] of this.#versions) {
      if (size <= this.#options.limitBytes) break;
      this.#versions.delete(oldest);
      size -= bytesOf(states);
    }
  }
}

const bytesOf = (states: readonly EncoderState[]) => states.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
