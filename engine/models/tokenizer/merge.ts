/**
 * Byte-pair merging (Sennrich et al. 2016): of all adjacent pairs that may merge, the one of lowest rank merges first,
 * the leftmost of equals. A heap over a linked list makes it O(n log n), so a megabyte without a space is no danger.
 */
import { MinHeap } from "./heap.ts";

const EMPTY = -1;
const FIELDS = 4; // left, right, rank, result

/** Which pairs of symbols merge, in which order, into what: an open-addressing hash table over (left, right). */
export class MergeTable {
  readonly #slots: Int32Array;
  readonly #mask: number;

  constructor(maxMerges: number) {
    const capacity = 2 ** Math.ceil(Math.log2(2 * maxMerges + 2));
    this.#slots = new Int32Array(capacity * FIELDS).fill(EMPTY);
    this.#mask = capacity - 1;
  }

  /** Adds a merge; where the pair is known already the first one stays. */
  add(left: number, right: number, rank: number, result: number): void {
    const slot = this.#slot(left, right);
    if (this.#slots[slot] !== EMPTY) return;
    this.#slots.set([left, right, rank, result], slot);
  }

  /** The slot of a pair, for rank() and result(), or -1 where the pair does not merge. */
  find(left: number, right: number): number {
    const slot = this.#slot(left, right);
    return this.#slots[slot] === EMPTY ? -1 : slot;
  }

  rank(slot: number): number {
    return this.#slots[slot + 2];
  }

  result(slot: number): number {
    return this.#slots[slot + 3];
  }

  #slot(left: number, right: number): number {
    const slots = this.#slots;
    const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    for (let i = (hash ^ (hash >>> 15)) & this.#mask; ; i = (i + 1) & this.#mask) {
      const slot = i * FIELDS;
      if (slots[slot] === EMPTY || (slots[slot] === left && slots[slot + 1] === right)) return slot;
    }
  }
}

const GONE = -1;
const POSITIONS = 2 ** 30; // a heap key is rank * POSITIONS + position: exact in a double up to rank 2^23

/** Merges the first `count` symbols in place and returns how many are left. */
export function mergeSymbols(symbols: Int32Array, count: number, table: MergeTable): number {
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  const heap = new MinHeap(count);
  const offer = (left: number, right: number): void => {
    const slot = table.find(symbols[left], symbols[right]);
    if (slot >= 0) heap.push(table.rank(slot) * POSITIONS + left);
  };
  for (let i = 0; i < count; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;
    if (i + 1 < count) offer(i, i + 1);
  }
  while (heap.size > 0) {
    const key = heap.pop();
    const left = key % POSITIONS;
    const right = next[left];
    if (symbols[left] === GONE || right >= count) continue;
    const slot = table.find(symbols[left], symbols[right]);
    if (slot < 0 || table.rank(slot) !== Math.floor(key / POSITIONS)) continue; // the pair has changed since
    symbols[left] = table.result(slot);
    symbols[right] = GONE;
    next[left] = next[right];
    if (next[left] < count) {
      previous[next[left]] = left;
      offer(left, next[left]);
    }
    if (previous[left] >= 0) offer(previous[left], left);
  }
  let kept = 0;
  for (let i = 0; i < count; i++) if (symbols[i] !== GONE) symbols[kept++] = symbols[i];
  return kept;
}
