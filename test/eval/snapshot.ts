/** Reads the trees and blobs of a bare git repository without a checkout. */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { SourceFile } from "../../engine/memory/indexer.ts";
import { skippedByName } from "../../engine/workspace/content.ts";
import { MAX_FILE_BYTES } from "../../engine/workspace/files.ts";

const execGit = promisify(execFile);

/** A regular file of a tree. */
export type TreeFile = { path: string; blob: string; sizeBytes: number };

/** Where the bare repository "owner/name" lies below a folder of snapshots. */
export function gitDirOf(repos: string, repo: string): string {
  return join(repos, repo.replace("/", "+"), "repo");
}

/** A bare repository with one long-lived `git cat-file --batch`. */
export class Snapshot {
  readonly #gitDir: string;
  #batch: ChildProcessWithoutNullStreams | undefined;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #wake: (() => void) | undefined;

  constructor(gitDir: string) {
    this.#gitDir = gitDir;
  }

  /** The full id of a commit, or undefined where the snapshot does not hold it. */
  async resolve(commit: string): Promise<string | undefined> {
    try {
      const { stdout } = await this.#git([
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        `${commit}^{commit}`,
      ]);
      return stdout.trim();
    } catch {
      return undefined;
    }
  }

  /** The regular files of a commit's tree (no links, no submodules), in git's order. */
  async files(commit: string): Promise<TreeFile[]> {
    const { stdout } = await this.#git(["ls-tree", "-r", "-l", "-z", "--full-tree", commit]);
    const files: TreeFile[] = [];
    for (const entry of stdout.split("\0")) {
      const match = /^100\d{3} blob ([0-9a-f]+) +(\d+)\t(.*)$/s.exec(entry);
      if (match) files.push({ path: match[3], blob: match[1], sizeBytes: Number(match[2]) });
    }
    return files;
  }

  /** A file of a tree as the indexer takes it. */
  sourceFile({ path, blob, sizeBytes }: TreeFile): SourceFile {
    const skipped = sizeBytes > MAX_FILE_BYTES ? "oversized" : skippedByName(path);
    return { path, sizeBytes, skipped, stamp: blob, contentHash: blob, read: () => this.read(blob) };
  }

  /** A blob's bytes. Calls must not overlap: one batch process answers in order. */
  async read(blob: string): Promise<Buffer> {
    this.#batch ??= this.#start();
    this.#batch.stdin.write(`${blob}\n`);
    const header = await this.#line();
    const match = /^[0-9a-f]+ blob (\d+)$/.exec(header);
    if (!match) throw new Error(`git cat-file answered "${header}" in ${this.#gitDir}`);
    const bytes = await this.#take(Number(match[1]));
    await this.#take(1);
    return bytes;
  }

  close(): void {
    this.#batch?.stdin.end();
    this.#batch = undefined;
  }

  #git(args: string[]) {
    return execGit("git", ["-C", this.#gitDir, ...args], { maxBuffer: 1 << 30 });
  }

  #start(): ChildProcessWithoutNullStreams {
    const child = spawn("git", ["-C", this.#gitDir, "cat-file", "--batch"]);
    child.stdout.on("data", (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#receivedBytes += chunk.length;
      this.#wake?.();
    });
    child.on("close", () => this.#wake?.());
    return child;
  }

  async #more(): Promise<void> {
    if (this.#batch?.exitCode != null) throw new Error(`git cat-file ended early in ${this.#gitDir}`);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  async #line(): Promise<string> {
    for (;;) {
      const all = this.#joined();
      const end = all.indexOf(10);
      if (end >= 0) return (await this.#take(end + 1)).toString("utf8", 0, end);
      await this.#more();
    }
  }

  async #take(sizeBytes: number): Promise<Buffer> {
    while (this.#receivedBytes < sizeBytes) await this.#more();
    const all = this.#joined();
    this.#received = [all.subarray(sizeBytes)];
    this.#receivedBytes -= sizeBytes;
    return all.subarray(0, sizeBytes);
  }

  #joined(): Buffer {
    if (this.#received.length !== 1) this.#received = [Buffer.concat(this.#received)];
    return this.#received[0];
  }
}
