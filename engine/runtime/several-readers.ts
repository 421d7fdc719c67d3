/**
 * Several texts on one model: two windows, or two files of one, that are completed in turn do not drive each other's
 * text out. Whoever has read the longest beginning of a text goes on with it.
 */
import { commonPrefix, type DraftReader, type ReadTextOptions } from "./reader.ts";

/** A text that shares less than this part of its tokens with all that were read is another one. */
const MIN_SHARED = 0.25;

interface Kept {
  readonly reader: DraftReader;
  ids: readonly number[];
}

export class SeveralReaders implements DraftReader {
  readonly contextLength: number;
  readonly #make: () => DraftReader;
  readonly #max: number;
  /** Least lately used first. */
  #kept: Kept[] = [];

  /** Keeps `max` texts at most, each in a reader that `make` makes; all read on the same session, one call at a time. */
  constructor(make: () => DraftReader, max: number) {
    this.#make = make;
    this.#max = max;
    this.contextLength = this.#for([]).contextLength;
  }

  readText(ids: readonly number[], options?: ReadTextOptions): Promise<Float32Array> {
    return this.#for(ids).readText(ids, options);
  }

  readDraft(ids: readonly number[], draft: readonly number[], options?: ReadTextOptions): Promise<Float32Array[]> {
    return this.#for(ids).readDraft(ids, draft, options);
  }

  #for(ids: readonly number[]): DraftReader {
    const shared = this.#kept.map((kept) => commonPrefix(kept.ids, ids));
    const longest = Math.max(0, ...shared);
    let kept = this.#kept[shared.indexOf(longest)];
    if (!kept || longest < MIN_SHARED * ids.length) {
      const isFull = this.#kept.length >= this.#max;
      kept = isFull ? this.#kept[0] : { reader: this.#make(), ids };
    }
    kept.ids = [...ids];
    this.#kept = [...this.#kept.filter((other) => other !== kept), kept];
    return kept.reader;
  }
}
