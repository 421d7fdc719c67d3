/**
 * States of the encoder inside long files that were encoded lately: when such a file is edited, what stands before the
 * edit is copied, and encoding goes on from the last state before it. Kept in memory only: the first edit of a long file
 * encodes all of it, later ones their rest.
 */
import { commonPrefix } from "../runtime/reader.ts";
import type { EncoderState, Resumption } from "./file-encoder.ts";

export interface CheckpointOptions {
  /** Between two states of a file. */
  readonly spacingTokens: number;
  /** All states together. */
  readonly limitBytes: number;
}

const DEFAULTS: CheckpointOptions = { spacingTokens: 1024, limitBytes: 32 * 1024 * 1024 };

/** A version of a file. */
interface Version {
  /** Of its segment. */
  readonly id: string;
  readonly ids: readonly number[];
  /** Shortest first. */
  readonly states: readonly EncoderState[];
}

export interface Recorder {
  readonly states: readonly EncoderState[];
  readonly take: (state: EncoderState) => void;
}

export class Checkpoints {
  readonly #options: CheckpointOptions;
  /** By path, least lately kept first. */
  readonly #versions = new Map<string, Version>();

  constructor(options: Partial<CheckpointOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Where encoding a file can go on that begins as its last version did. */
  find(path: string, ids: readonly number[]): Resumption | undefined {
    const version = this.#versions.get(path);
    if (!version) return undefined;
    // At least one token is left to read.
    const common = Math.min(commonPrefix(version.ids, ids), ids.length - 1);
    const state = version.states.findLast(({ nTokens }) => nTokens <= common);
    return state && { state: state.fork(), id: version.id };
  }

  /** Takes states while a file is encoded, from a resumption on or from its beginning. */
  recorder(path: string, resumption: Resumption | undefined): Recorder {
    const start = resumption?.state.nTokens ?? 0;
    const states = this.#versions.get(path)?.states.filter(({ nTokens }) => nTokens <= start) ?? [];
    const take = (state: EncoderState) => {
      if (state.nTokens - (states.at(-1)?.nTokens ?? 0) >= this.#options.spacingTokens) states.push(state.fork());
    };
    return { states, take };
  }

  /** Remembers the version of a file that was encoded last, in place of the one before. */
  keep(path: string, version: Version): void {
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
