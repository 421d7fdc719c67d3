/** Encodes one file into a segment. */
import type { EncodeOptions } from "../runtime/hybrid-encoder.ts";
import type { StoredTokens } from "../runtime/hybrid-memory.ts";
import { commonPrefix } from "../runtime/reader.ts";
import { type LineRange, SegmentDamage, type SegmentWriter } from "./segment.ts";
import type { SegmentStore } from "./segment-store.ts";

/** A model that reads a file from its beginning and gives what it made of it, part by part. */
export interface BlockEncoder {
  /** The ids of a file as memory sees it: its path, a line break, its text. */
  fileIds(path: string, text: string): number[];
  /** Every part but the last holds whole blocks. Errors: cancelled, observed between two session runs. */
  encodeParts(ids: readonly number[], options?: EncodeOptions<EncoderState>): AsyncIterable<EncodedPart>;
  /** The state behind the first `nTokens` of a file that `save` gave. Errors: bad-input where it is not one of this model. */
  restore(nTokens: number, saved: Float32Array): EncoderState;
}

/** What an encoder needs to go on reading behind the first `nTokens` of a file. */
export interface EncoderState {
  readonly nTokens: number;
  readonly sizeBytes: number;
  fork(): EncoderState;
  /** All of it that is not among the blocks before it, for `restore`. */
  save(): Float32Array;
  /** Gets the blocks before it, in order, where they are part of what it needs. */
  take?(block: number, tokens: StoredTokens): void;
}

export interface EncodedPart {
  readonly nTokens: number;
  /** Keys and values of tokens start .. end - 1 in their stored form. */
  stored(start: number, end: number): StoredTokens;
  /** The landmark of tokens start .. end - 1, of unit length. */
  landmark(start: number, end: number): Float32Array;
}

export interface FileToEncode {
  /** Of its segment. */
  readonly id: string;
  readonly ids: readonly number[];
  /** Of each block. */
  readonly lines: readonly LineRange[];
}

/** Where an earlier version of a file, with the same tokens up to here, was left. */
export interface Resumption {
  readonly state: EncoderState;
  /** The earlier version's segment. */
  readonly id: string;
}

/**
 * Writes the segment of a file. Only its last run and a few bytes a block are in memory at any time. The path in the
 * file's header is the one it was first seen at: a file that moves later keeps its segment. With a resumption the
 * blocks before it are copied. Errors: disk-full, cancelled; then nothing is left behind.
 */
export async function encodeFile(
  file: FileToEncode,
  encoder: BlockEncoder,
  store: SegmentStore,
  options: EncodeOptions<EncoderState>,
  resumption?: Resumption,
): Promise<void> {
  const { blockSize } = store.shape;
  const writer = store.write(file.id, file.ids.length);
  try {
    const isCopied = resumption !== undefined && copyBlocks(resumption, file, store, writer);
    if (resumption && !isCopied) {
      writer.abort();
      return await encodeFile(file, encoder, store, options);
    }
    let block = (resumption?.state.nTokens ?? 0) / blockSize;
    for await (const part of encoder.encodeParts(file.ids, { ...options, from: resumption?.state })) {
      for (let start = 0; start < part.nTokens; start += blockSize, block++) {
        const end = Math.min(start + blockSize, part.nTokens);
        const tokens = part.stored(start, end);
        writer.append({ tokens, landmark: part.landmark(start, end), ...wordingOf(file, block, blockSize) });
      }
    }
    await writer.commit();
  } catch (error) {
    writer.abort();
    throw error;
  }
}

/** What of a block comes from the file's text. */
const wordingOf = ({ ids, lines }: FileToEncode, block: number, blockSize: number) => ({
  ids: ids.slice(block * blockSize, (block + 1) * blockSize),
  ...lines[block],
});

/** Copies the blocks before a resumption; false where they are not there any more, or are those of other tokens. */
function copyBlocks(
  { id, state }: Resumption,
  file: FileToEncode,
  store: SegmentStore,
  writer: SegmentWriter,
): boolean {
  const { blockSize, routeSize } = store.shape;
  const old = store.open(id);
  if (!old || commonPrefix(old.ids, file.ids) < state.nTokens) return false;
  try {
    for (let block = 0; block * blockSize < state.nTokens; block++) {
      const landmark = old.landmarks.subarray(block * routeSize, (block + 1) * routeSize);
      const tokens = old.segment.read(block);
      state.take?.(block, tokens);
      writer.append({ tokens, landmark, ...wordingOf(file, block, blockSize) });
    }
    return true;
  } catch (error) {
    if (!(error instanceof SegmentDamage)) throw error;
    store.discard(id, error.message);
    return false;
  }
}

const NEWLINE = 10;

/**
 * The lines each block of a file stands on. The file's ids begin with a header that ends where the first line break
 * comes: the text follows it on line 1.
 */
export function blockLines(
  ids: readonly number[],
  blockSize: number,
  bytesOf: (id: number) => Uint8Array,
): LineRange[] {
  const blocks: LineRange[] = [];
  let line = 0;
  for (let start = 0; start < ids.length; start += blockSize) {
    let first: number | undefined;
    let last = line;
    for (const id of ids.slice(start, start + blockSize)) {
      const bytes = bytesOf(id);
      // What a token shows of a line stands between the line breaks it begins and ends with.
      const shown = bytes.findIndex((byte) => byte !== NEWLINE);
      for (const [i, byte] of bytes.entries()) {
        if (byte === NEWLINE) line++;
        else {
          if (i === shown) first ??= line;
          last = line;
        }
      }
    }
    const startLine = Math.max(first ?? line, 1);
    blocks.push({ startLine, endLine: Math.max(last, startLine) });
  }
  return blocks;
}
