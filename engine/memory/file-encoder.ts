/** Encodes one file into a segment. */
import type { EncodeOptions, HybridEncoder } from "../runtime/hybrid-encoder.ts";
import type { LineRange } from "./segment.ts";
import type { SegmentStore } from "./segment-store.ts";

/**
 * Writes the segment `id` of a file. Only its last run and a few bytes a block are in memory at any time. `path` stands
 * in the file's header; a file that moves later keeps its segment, with the path it was first seen at. Errors:
 * disk-full, cancelled; then nothing is left behind.
 */
export async function encodeFile(
  { id, ids }: { readonly id: string; readonly ids: readonly number[] },
  lines: readonly LineRange[],
  encoder: HybridEncoder,
  store: SegmentStore,
  options: EncodeOptions,
): Promise<void> {
  const { blockSize } = store.shape;
  const writer = store.write(id, ids.length);
  try {
    let block = 0;
    for await (const part of encoder.encodeParts(ids, options)) {
      for (let start = 0; start < part.nTokens; start += blockSize) {
        const end = Math.min(start + blockSize, part.nTokens);
        writer.append(part.stored(start, end), part.landmark(start, end), lines[block++]);
      }
    }
    writer.commit();
  } catch (error) {
    writer.abort();
    throw error;
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
