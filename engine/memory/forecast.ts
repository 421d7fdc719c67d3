/**
 * What indexing a folder and encoding it into memory will take, from the sizes of its files alone. All of it is estimates:
 * the rates were measured on two cores of a server processor that others used too, over 64 and 1,200 files, what a file
 * costs besides over 2,000 and 200,000 files of one line.
 */
import { listFiles } from "../workspace/files.ts";
import { BYTES_PER_TOKEN } from "./catalogue.ts";

/** Bytes of source a second that are indexed: 3 million tokens took 3.6 s. */
const INDEX_RATE = 3e6;
/** Of the index on disk for a byte of source: 2.3 for many files, 3.0 for few. */
const INDEX_BYTES = 2.5;
/** Bytes of source a second that are encoded: 6,500 to 13,500 tokens of 3.2 bytes, by what else the machine did. */
const ENCODE_RATE = 35e3;
/** Of the memory on disk for a byte of source: 137 for a token. */
const MEMORY_BYTES = 43;

/** What each file costs, however short it is. */
const INDEX_FILE_MS = 0.4;
const INDEX_FILE_BYTES = 600;
const ENCODE_FILE_MS = 2;
const MEMORY_FILE_BYTES = 1800;

export interface FolderForecast {
  /** Files that will be looked at. */
  readonly files: number;
  readonly nTokensAbout: number;
  readonly index: Estimate;
  /** What goes on behind all other work once the index is there. */
  readonly memory: Estimate;
}

export interface Estimate {
  readonly ms: number;
  readonly diskBytes: number;
}

/** Lists a folder as indexing does, and reads nothing. Errors: as of listFiles. */
export async function forecastFolder(root: string, signal?: AbortSignal): Promise<FolderForecast> {
  let [files, bytes] = [0, 0];
  for await (const { skipped, sizeBytes } of listFiles(root, signal)) {
    if (skipped !== null) continue;
    files++;
    bytes += sizeBytes;
  }
  return {
    files,
    nTokensAbout: Math.round(bytes / BYTES_PER_TOKEN),
    index: {
      ms: (1000 * bytes) / INDEX_RATE + files * INDEX_FILE_MS,
      diskBytes: INDEX_BYTES * bytes + files * INDEX_FILE_BYTES,
    },
    memory: {
      ms: (1000 * bytes) / ENCODE_RATE + files * ENCODE_FILE_MS,
      diskBytes: MEMORY_BYTES * bytes + files * MEMORY_FILE_BYTES,
    },
  };
}
