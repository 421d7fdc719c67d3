/**
 * Where a text's end occurred before: an index of byte strings over many files, for copying what followed. It is exact:
 * `longest` finds what comparing the text's end with every place of every file would find (up to MAX_CANDIDATES). Bytes
 * and not tokens, because every model's tokens can be made of them, a half typed word matches, and a repository of ten
 * megabytes is indexed in about a second.
 * Space: about 5 bytes per byte of text.
 *
 * Only places behind a character that is not part of a word are indexed ("anchors": behind a space, a bracket, a dot), by
 * a hash of the few bytes before them, newest first (the chains of LZ77 compressors). A text's end is looked up at its
 * last anchor, and the half word behind that is compared. Two chains, one for short and one for long contexts: where a
 * long one has a match, the longest is on it, and it is much shorter.
 */

/** Bytes that must agree before the last anchor: fewer occur everywhere. */
export const MIN_CONTEXT = 6;
const LONG_CONTEXT = 20;

/** Places that are compared at most; newer ones first. */
const MAX_CANDIDATES = 400;

/** Contexts that agree further than this are equally good. */
export const MAX_MATCH = 256;

/** A byte that no UTF-8 text holds keeps files apart. */
const BORDER = 0xff;

const NONE = -1;

/** A place that the text's end occurred at. */
export interface CopyMatch {
  /** Bytes that agree, at most MAX_MATCH. */
  readonly length: number;
  /** What follows there, at most MAX_MATCH bytes, up to the end of the file. */
  readonly next: Uint8Array;
}

export interface WantedMatches {
  /** A file that is passed over. */
  readonly except?: string;
  /** Only places where neither a space nor a tab follows. */
  readonly withoutSpace?: boolean;
}

export interface CopyIndexOptions {
  /** Files that do not fit into so much text any more are left out. */
  readonly maxBytes?: number;
  /** Hash tables have 2 ** hashBits entries of 4 bytes: about one for every ten bytes of text is a good number. */
  readonly hashBits?: number;
}

interface IndexedFile {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

export class CopyIndex {
  readonly #maxBytes: number;
  #bytes = new Uint8Array(0);
  #end = 0;
  /** The place of each anchor, and the anchor before it with the same hash, for both chains. */
  #places = new Int32Array(0);
  #short: Chain;
  #long: Chain;
  readonly #hashBits: number;
  #nAnchors = 0;
  /** In order of their places; those that were removed stay until the index is built anew. */
  #all: IndexedFile[] = [];
  readonly #current = new Map<string, IndexedFile>();
  #currentBytes = 0;

  constructor({ maxBytes = Number.POSITIVE_INFINITY, hashBits = 18 }: CopyIndexOptions = {}) {
    this.#maxBytes = maxBytes;
    this.#hashBits = hashBits;
    this.#short = new Chain(MIN_CONTEXT, hashBits);
    this.#long = new Chain(LONG_CONTEXT, hashBits);
  }

  /** Bytes of text in the index. */
  get sizeBytes(): number {
    return this.#currentBytes;
  }

  /** What the index takes of the memory. */
  get allocatedBytes(): number {
    return this.#bytes.byteLength + this.#places.byteLength + this.#short.allocatedBytes + this.#long.allocatedBytes;
  }

  /** Adds a file or replaces the one of this name; false where it is left out. */
  set(name: string, text: Uint8Array): boolean {
    this.remove(name);
    if (this.#currentBytes + text.length > this.#maxBytes) return false;
    if (this.#end - this.#currentBytes > this.#currentBytes + text.length + 65536) this.#compact();
    this.#append(name, text);
    return true;
  }

  remove(name: string): void {
    const file = this.#current.get(name);
    if (!file) return;
    this.#current.delete(name);
    this.#currentBytes -= file.end - file.start;
  }

  /**
   * The places whose text before them agrees longest with the end of `context`, all of them equally long, newest first;
   * none where less than MIN_CONTEXT bytes before the last anchor agree. Ends of files, and what is not wanted, are passed
   * over.
   */
  longest(context: Uint8Array, wanted: WantedMatches = {}): CopyMatch[] {
    const anchor = lastAnchor(context);
    return (
      this.#search(this.#long, context, anchor, wanted) ?? this.#search(this.#short, context, anchor, wanted) ?? []
    );
  }

  #search(
    chain: Chain,
    context: Uint8Array,
    anchor: number,
    { except, withoutSpace }: WantedMatches,
  ): CopyMatch[] | undefined {
    if (anchor < chain.size) return undefined;
    const typed = context.length - anchor;
    let best: number[] = [];
    let bestLength = typed + chain.size;
    let nCompared = 0;
    for (let at = chain.first(context, anchor); at !== NONE && nCompared < MAX_CANDIDATES; at = chain.next(at)) {
      nCompared++;
      const place = this.#places[at] + typed;
      const length = this.#agreement(context, place);
      if (length < bestLength) continue;
      const file = this.#fileAt(this.#places[at]);
      if (file === undefined || file.name === except || place === file.end) continue;
      if (withoutSpace && (this.#bytes[place] === SPACE || this.#bytes[place] === TAB)) continue;
      if (length > bestLength) best = [];
      bestLength = length;
      best.push(place);
    }
    if (best.length === 0) return undefined;
    return best.map((place) => {
      const end = Math.min(this.#fileAt(place)?.end ?? place, place + MAX_MATCH);
      return { length: bestLength, next: this.#bytes.subarray(place, end) };
    });
  }

  /** How many bytes before `place` agree with the context's end. */
  #agreement(context: Uint8Array, place: number): number {
    const most = Math.min(context.length, MAX_MATCH);
    let length = 0;
    // Borders agree with nothing.
    while (length < most && this.#bytes[place - 1 - length] === context[context.length - 1 - length]) length++;
    return length;
  }

  /** The current file that holds a place, its end included. */
  #fileAt(place: number): IndexedFile | undefined {
    let low = 0;
    let high = this.#all.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#all[middle].start <= place) low = middle;
      else high = middle - 1;
    }
    const file = this.#all[low];
    return this.#current.get(file.name) === file ? file : undefined;
  }

  #append(name: string, text: Uint8Array): void {
    const start = this.#end + 1;
    const end = start + text.length;
    if (end > this.#bytes.length) this.#bytes = grown(this.#bytes, end);
    this.#bytes[start - 1] = BORDER;
    this.#bytes.set(text, start);
    for (let place = start + 1; place <= end; place++) if (isAnchor(this.#bytes, place)) this.#addAnchor(place, start);
    this.#end = end;
    const file = { name, start, end };
    this.#all.push(file);
    this.#current.set(name, file);
    this.#currentBytes += text.length;
  }

  #addAnchor(place: number, start: number): void {
    const anchor = this.#nAnchors++;
    if (anchor >= this.#places.length) this.#places = grown(this.#places, anchor + 1);
    this.#places[anchor] = place;
    for (const chain of [this.#short, this.#long]) chain.add(anchor, this.#bytes, place, start);
  }

  /** Builds the index anew from the files that are current. */
  #compact(): void {
    const files = [...this.#current.values()];
    const bytes = this.#bytes;
    this.#bytes = new Uint8Array(this.#currentBytes + files.length);
    this.#end = 0;
    this.#nAnchors = 0;
    this.#short = new Chain(MIN_CONTEXT, this.#hashBits);
    this.#long = new Chain(LONG_CONTEXT, this.#hashBits);
    this.#all = [];
    this.#current.clear();
    this.#currentBytes = 0;
    for (const { name, start, end } of files) this.#append(name, bytes.subarray(start, end));
  }
}

/** Anchors by the hash of the `size` bytes before them. */
class Chain {
  readonly size: number;
  readonly #heads: Int32Array;
  #next = new Int32Array(0);

  constructor(size: number, hashBits: number) {
    this.size = size;
    this.#heads = new Int32Array(2 ** hashBits).fill(NONE);
  }

  get allocatedBytes(): number {
    return this.#heads.byteLength + this.#next.byteLength;
  }

  add(anchor: number, bytes: Uint8Array, place: number, fileStart: number): void {
    if (anchor >= this.#next.length) this.#next = grown(this.#next, anchor + 1);
    if (place - this.size < fileStart) return;
    const hash = this.#hash(bytes, place);
    this.#next[anchor] = this.#heads[hash];
    this.#heads[hash] = anchor;
  }

  first(context: Uint8Array, anchor: number): number {
    return this.#heads[this.#hash(context, anchor)];
  }

  next(anchor: number): number {
    return this.#next[anchor];
  }

  /** FNV-1a of the bytes before a place, folded. */
  #hash(bytes: Uint8Array, place: number): number {
    let hash = 0x811c9dc5;
    for (let i = place - this.size; i < place; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
    return (hash ^ (hash >>> 15)) & (this.#heads.length - 1);
  }
}

/** Characters of words; every byte of a character beyond ASCII counts as one. */
const IN_WORD = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x80 || /[A-Za-z0-9_$]/.test(String.fromCharCode(byte)) ? 1 : 0,
);
const SPACE = 0x20;
const TAB = 0x09;

/** Whether a place stands behind something else than a word, and not between spaces. */
function isAnchor(bytes: Uint8Array, place: number): boolean {
  const before = bytes[place - 1];
  return IN_WORD[before] === 0 && !(before === SPACE && bytes[place - 2] === SPACE);
}

/** The last anchor of a text; 0 where it has none. */
export function lastAnchor(text: Uint8Array): number {
  let place = text.length;
  while (place > 0 && !isAnchor(text, place)) place--;
  return place;
}

function grown<T extends Uint8Array | Int32Array>(array: T, length: number): T {
  const Kind = array.constructor as new (length: number) => T;
  const copy = new Kind(Math.max(length, Math.ceil(array.length * 1.5), 1024));
  copy.set(array);
  return copy;
}
