/**
 * Places where segments can be shared: a folder (file://), a web server that takes GET and PUT (https:// or http://), or
 * a bucket of an S3-compatible store (s3://bucket/prefix, with the usual AWS_* variables). The only part of the engine
 * that opens connections, and only when the user asks for it.
 */
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { copyFile, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { AwsClient } from "aws4fetch";
import { fileError, LongsightError } from "../errors.ts";
import { temporaryName } from "../models/temporary-file.ts";

export interface Remote {
  has(name: string, signal?: AbortSignal): Promise<boolean>;
  /** The bytes of what is stored under a name, undefined where nothing is. */
  get(name: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Stores a local file under a name. */
  put(name: string, path: string, signal?: AbortSignal): Promise<void>;
}

/** A place that does not answer for so long is given up. */
const TIMEOUT_MS = 60_000;

/** How often an S3 store that is busy is asked again. */
const RETRIES = 3;

/** The remote at a URL. Errors: bad-input for a URL of another kind, or without the keys it needs. */
export function openRemote(url: string, env: NodeJS.ProcessEnv = process.env): Remote {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  switch (parsed?.protocol) {
    case "file:":
      return new FolderRemote(fileURLToPath(parsed));
    case "http:":
    case "https:":
      return new HttpRemote(url.replace(/\/*$/, "/"), fetch);
    case "s3:":
      return s3Remote(parsed, env);
    default:
      throw new LongsightError(
        "bad-input",
        `"${url}" is no place to share memory; give a file://, https:// or s3:// URL.`,
      );
  }
}

class FolderRemote implements Remote {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async has(name: string): Promise<boolean> {
    return existsSync(join(this.#dir, name));
  }

  async get(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const path = join(this.#dir, name);
    return existsSync(path) ? createReadStream(path) : undefined;
  }

  async put(name: string, path: string): Promise<void> {
    const target = join(this.#dir, name);
    const temporary = temporaryName(target);
    try {
      await mkdir(dirname(target), { recursive: true });
      await copyFile(path, temporary);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw fileError(error, target);
    }
  }
}

class HttpRemote implements Remote {
  readonly #base: string;
  readonly #fetch: typeof fetch;

  constructor(base: string, fetcher: typeof fetch) {
    this.#base = base;
    this.#fetch = fetcher;
  }

  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.#send(name, { method: "HEAD" }, signal)).ok;
  }

  async get(name: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> {
    const response = await this.#send(name, { method: "GET" }, signal);
    return response.ok && response.body ? response.body : undefined;
  }

  async put(name: string, path: string, signal?: AbortSignal): Promise<void> {
    const response = await this.#send(name, { method: "PUT", body: readFileSync(path) }, signal);
    if (!response.ok) throw refused(this.#base, response.status);
  }

  /** A response that says there is something, or that there is nothing. */
  async #send(name: string, init: RequestInit, signal?: AbortSignal): Promise<Response> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let response: Response;
    try {
      response = await this.#fetch(this.#base + name, {
        ...init,
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
    } catch (error) {
      if (signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
      const reason = timeout.aborted ? "it does not answer" : ((error as Error).cause as Error | undefined)?.message;
      throw new LongsightError("no-access", `${this.#base} cannot be reached: ${reason ?? error}; check the address.`, {
        cause: error,
      });
    }
    if (response.ok || response.status === 404) return response;
    throw refused(this.#base, response.status);
  }
}

const refused = (base: string, status: number) =>
  new LongsightError("no-access", `${base} refuses the request (status ${status}); check the address and your keys.`);

function s3Remote(url: URL, env: NodeJS.ProcessEnv): Remote {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  if (!accessKeyId || !secretAccessKey) {
    throw new LongsightError("bad-input", `${url} needs keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.`);
  }
  const region = env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? "us-east-1";
  const endpoint = env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
  const bucket = url.hostname;
  // Stores of one's own have no name for each bucket.
  const base = endpoint ? `${endpoint.replace(/\/*$/, "")}/${bucket}` : `https://${bucket}.s3.${region}.amazonaws.com`;
  const client = new AwsClient({ accessKeyId, secretAccessKey, sessionToken, region, service: "s3", retries: RETRIES });
  const prefix = url.pathname.replace(/\/*$/, "/");
  return new HttpRemote(base + prefix, (input, init) => client.fetch(String(input), init));
}
