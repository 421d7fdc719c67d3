/** Typed, range-checked access to a model's settings, whatever file they come from. */
import { LongsightError } from "../errors.ts";
import { damaged } from "./files/byte-file.ts";
import { clipped, shown } from "./messages.ts";
import type { DecoderConfig } from "./types.ts";

const ARCHITECTURES = ["llama", "qwen2", "qwen3"] as const;

/** Upper bounds no real model comes near; larger values are damage or malice. */
const MAX_SIZE = 2 ** 26;
const MAX_COUNT = 4096;

/** The settings of one model: a lookup by key, and the path that errors name. */
export class Settings {
  readonly path: string;
  readonly #get: (key: string) => unknown;

  constructor(path: string, get: (key: string) => unknown) {
    this.path = path;
    this.#get = get;
  }

  /** The raw value; null counts as absent. */
  get(key: string): unknown {
    return this.#get(key) ?? undefined;
  }

  /** A whole number from 1 to MAX_SIZE; throws bad-model otherwise, or where it is absent and has no default. */
  size(key: string, fallback?: number): number {
    return this.#whole(key, this.get(key) ?? fallback, MAX_SIZE);
  }

  /** A whole number from 1 to MAX_COUNT, for a size that no tensor bears out; throws bad-model otherwise. */
  count(key: string): number {
    return this.#whole(key, this.get(key), MAX_COUNT);
  }

  #whole(key: string, value: unknown, max: number): number {
    const valid = typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= max;
    if (!valid) throw damaged(this.path, `its setting ${key} is ${shown(value)}`);
    return value;
  }

  /** A finite number above 0; throws bad-model otherwise, or where it is absent and has no default. */
  positive(key: string, fallback?: number): number {
    const value = this.get(key) ?? fallback;
    const valid = typeof value === "number" && Number.isFinite(value) && value > 0;
    if (!valid) throw damaged(this.path, `its setting ${key} is ${shown(value)}`);
    return value;
  }

  /** Settings nested under a key; every lookup is absent where the key is. */
  nested(value: Record<string, unknown>): Settings {
    return new Settings(this.path, (key) => (Object.hasOwn(value, key) ? value[key] : undefined));
  }

  /** Throws unsupported: this model needs something the engine does not do. */
  unsupported(what: string, remedy = "choose another model"): LongsightError {
    return new LongsightError(
      "unsupported",
      `${this.path} needs ${clipped(what, 200)}, which Longsight does not run; ${remedy}.`,
    );
  }
}

/** The architecture by its name; throws unsupported for others, bad-model where there is none. */
export function architectureOf(path: string, name: unknown): DecoderConfig["architecture"] {
  const known = ARCHITECTURES.find((architecture) => architecture === name);
  if (known) return known;
  if (typeof name !== "string" || name === "") throw damaged(path, "it does not name its architecture");
  throw new LongsightError(
    "unsupported",
    `${path} has the architecture "${clipped(name, 60)}"; choose a model of one of ${ARCHITECTURES.join(", ")}.`,
  );
}
