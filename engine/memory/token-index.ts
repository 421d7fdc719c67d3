/**
 * Finds the blocks that share rare tokens with a text: what a name that stands before the cursor is, stands where the name
 * stands. A block's score is the sum of the inverse document frequencies of the tokens it shares, as it was when blocks were
 * chosen for training (engine/training/groups.py). About six bytes of RAM a token.
 */
import { type BlockHit, TopHits } from "./block-index.ts";

/** Tokens in more than this share of the blocks tell nothing and take the most time. */
const MAX_SHARE = 0.25;

export class TokenIndex {
  /** The blocks of each token, none twice. */
  readonly #postings = new Map<number, Posting>();
  /** Blocks that were removed, whose numbers are still in the lists. */
  readonly #gone = new Set<number>();
  #nBlocks = 0;
  /** One more than the largest number that was added. */
  #end = 0;
  #scores = new Float32Array(0);

  get nBlocks(): number {
    return this.#nBlocks;
  }

  /** Adds the blocks of a file, numbered from `first` on, with its ids. */
  add(first: number, ids: ArrayLike<number>, blockSize: number): void {
    const nBlocks = Math.ceil(ids.length / blockSize);
    this.#end = Math.max(this.#end, first + nBlocks);
    this.#nBlocks += nBlocks;
    if (this.#gone.size > 0) this.#forget();
    for (let at = 0; at < ids.length; at++) {
      const block = first + Math.floor(at / blockSize);
      let posting = this.#postings.get(ids[at]);
      if (!posting) {
        posting = new Posting();
        this.#postings.set(ids[at], posting);
      }
      posting.add(block);
    }
  }

  remove(first: number, n: number): void {
    this.#nBlocks -= n;
    for (let block = first; block < first + n; block++) this.#gone.add(block);
  }

  /** The best `k` blocks for some tokens among those allowed, best first; none that shares nothing. */
  top(tokens: Iterable<number>, k: number, allowed?: (block: number) => boolean): BlockHit[] {
    if (this.#gone.size > 0) this.#forget();
    if (this.#scores.length < this.#end) this.#scores = new Float32Array(this.#end);
    else this.#scores.fill(0);
    for (const token of new Set(tokens)) {
      const blocks = this.#postings.get(token)?.blocks ?? NONE;
      if (blocks.length === 0 || blocks.length > Math.max(1, MAX_SHARE * this.#nBlocks)) continue;
      const weight = Math.log((1 + this.#nBlocks) / (1 + blocks.length));
      for (const block of blocks) this.#scores[block] += weight;
    }
    const top = new TopHits(k, allowed);
    for (let block = 0; block < this.#end; block++) {
      if (this.#scores[block] > 0) top.offer(block, this.#scores[block]);
    }
    return top.hits;
  }

  /** Takes the removed blocks out of all lists at once: their numbers may be given to others now. */
  #forget(): void {
    for (const [token, posting] of this.#postings) {
      posting.removeAll(this.#gone);
      if (posting.blocks.length === 0) this.#postings.delete(token);
    }
    this.#gone.clear();
  }
}

const NONE = new Uint32Array(0);

/** A list of blocks that grows. */
class Posting {
  #blocks = new Uint32Array(2);
  #n = 0;

  get blocks(): Uint32Array {
    return this.#blocks.subarray(0, this.#n);
  }

  /** The tokens of a block come one after another, so that only the last entry can be the same. */
  add(block: number): void {
    if (this.#n > 0 && this.#blocks[this.#n - 1] === block) return;
    if (this.#n === this.#blocks.length) {
      const grown = new Uint32Array(Math.ceil(this.#n * 1.5));
      grown.set(this.#blocks);
      this.#blocks = grown;
    }
    this.#blocks[this.#n++] = block;
  }

  removeAll(gone: ReadonlySet<number>): void {
    let kept = 0;
    for (const block of this.blocks) if (!gone.has(block)) this.#blocks[kept++] = block;
    this.#n = kept;
  }
}
