/**
 * The engine's typed errors. Each carries one sentence for the user that names the cause and the remedy;
 * anything else that escapes is a bug. `code` is stable and crosses the process border.
 */

export type ErrorCode =
  | "bad-input" // an argument or setting the user can correct
  | "bad-model" // a model file that is damaged, hostile or incomplete
  | "unsupported" // a valid model or platform that Longsight does not run
  | "not-found" // a file or folder that is not there
  | "no-access" // a file or folder that may not be read or written
  | "disk-full"
  | "cancelled"
  | "engine-lost"; // the engine process ended or stopped answering

/** Messages name things out of files: nothing of that may break the line or steer a terminal. */
const CONTROL = /\p{Cc}/gu;

/** An error whose message is fit to be shown to the user as it stands. */
export class LongsightError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message.replace(CONTROL, "\ufffd"), options);
    this.name = "LongsightError";
    this.code = code;
  }
}

/** The file-system error codes that have a sentence of their own. */
const FILE_ERRORS: Record<string, (path: string) => LongsightError> = {
  ENOENT: (path) => new LongsightError("not-found", `${path} does not exist; check the path.`),
  ENOTDIR: (path) => new LongsightError("bad-input", `${path} is not a folder; give a folder.`),
  EISDIR: (path) => new LongsightError("bad-input", `${path} is a folder, not a file; give a file.`),
  EACCES: (path) => new LongsightError("no-access", `${path} may not be accessed; change its permissions.`),
  EPERM: (path) => new LongsightError("no-access", `${path} may not be accessed; change its permissions.`),
  EROFS: (path) => new LongsightError("no-access", `${path} lies on a read-only file system; choose another place.`),
  ENOSPC: (path) =>
    new LongsightError("disk-full", `The disk is full while writing ${path}; free space and try again.`),
  EDQUOT: (path) => new LongsightError("disk-full", `The disk quota is used up while writing ${path}; free space.`),
};

/** Turns a file-system error about `path` into the user's sentence; other errors pass through unchanged. */
export function fileError(error: unknown, path: string): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  const known = typeof code === "string" ? FILE_ERRORS[code]?.(path) : undefined;
  if (known) known.cause = error;
  return known ?? error;
}
