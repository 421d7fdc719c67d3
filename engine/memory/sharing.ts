/**
 * Shared segments: what one machine has encoded, others take over. A segment is bound to the model and to a file's bytes
 * by its name, which its head repeats; it is taken in only whole, with every checksum right.
 */
import { LongsightError } from "../errors.ts";
import type { Remote } from "./remote.ts";
import type { RepositoryFile, RepositoryMemory } from "./repository-memory.ts";
import type { SegmentStore } from "./segment-store.ts";

export interface ShareOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface PushResult {
  readonly pushed: number;
  /** Segments that were there already. */
  readonly present: number;
  readonly bytes: number;
}

export interface PullResult {
  readonly pulled: number;
  /** Segments that nobody has pushed: these have to be encoded. */
  readonly absent: number;
  /** Segments that are not what they should be; they were not taken in. */
  readonly damaged: number;
  /** Whether it ended because the memory's quota is used up by this folder itself; the rest was not asked for. */
  readonly isFull: boolean;
}

/** Transfers at a time: enough to hide the way to a distant place. */
const AT_ONCE = 4;

/** Brings all of a memory's segments to a remote. Errors: no-access, cancelled. */
export async function pushMemory(
  memory: RepositoryMemory,
  store: SegmentStore,
  remote: Remote,
  options: ShareOptions = {},
): Promise<PushResult> {
  let [pushed, present, bytes] = [0, 0, 0];
  const segments = [...memory.encoded()];
  await inParallel(segments, options, async ({ id, segment }) => {
    const name = store.nameOf(id);
    if (await remote.has(name, options.signal)) {
      present++;
      return;
    }
    await remote.put(name, segment.path, options.signal);
    pushed++;
    bytes += segment.sizeBytes;
  });
  return { pushed, present, bytes };
}

/** Takes over what a memory lacks and a remote has. Errors: no-access, disk-full, cancelled. */
export async function pullMemory(
  memory: RepositoryMemory,
  store: SegmentStore,
  remote: Remote,
  options: ShareOptions = {},
): Promise<PullResult> {
  let [pulled, absent, damaged, isFull] = [0, 0, 0, false];
  const makeRoom = () => store.makeRoom(0, (id) => memory.needs(id));
  await inParallel(memory.missing, options, async (file: RepositoryFile) => {
    // How large a segment is, is seen when it is here: the quota is passed by the few that are under way at most.
    isFull ||= !makeRoom();
    if (isFull) return;
    const id = store.idOf(file.contentHash);
    const bytes = await remote.get(store.nameOf(id), options.signal);
    if (bytes === undefined) {
      absent++;
      return;
    }
    if ((await store.takeIn(id, bytes)) && memory.take(file)) pulled++;
    else damaged++;
  });
  // What was taken over last may be more than the quota allows: others go.
  makeRoom();
  return { pulled, absent, damaged, isFull };
}

async function inParallel<T>(
  items: readonly T[],
  { signal, onProgress }: ShareOptions,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let done = 0;
  const worker = async () => {
    while (next < items.length) {
      if (signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
      await work(items[next++]);
      onProgress?.(++done, items.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
