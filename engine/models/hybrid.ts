/** Opens the default model: its configuration and its weights. */
import { createHash } from "node:crypto";
import { LongsightError } from "../errors.ts";
import { damaged } from "./files/byte-file.ts";
import type { ModelFile } from "./files/model-file.ts";
import { openSafetensors } from "./files/safetensors.ts";
import { type HybridConfig, hybridTensors, readHybridConfig, SCALE_ENDING } from "./hybrid-config.ts";
import { expanded, repackRows } from "./quantise.ts";
import type { Matrix, Weights } from "./types.ts";

export interface HybridModel {
  readonly config: HybridConfig;
  readonly weights: Weights;
}

/**
 * Reads a folder of the format longsight-hybrid-2. The weights are small and held in memory, so nothing stays open.
 * Throws not-found for a missing file, bad-model where config and tensors are damaged or contradict each other.
 */
export function openHybrid(folder: string): HybridModel {
  const file = openSafetensors(folder);
  try {
    const config = readHybridConfig(file);
    return { config, weights: readWeights(file, config) };
  } finally {
    file.close();
  }
}

function readWeights(file: ModelFile, config: HybridConfig): Weights {
  const tensors = new Map<string, Matrix>();
  const known = new Set<string>();
  const hash = createHash("sha256").update(JSON.stringify(config));
  for (const { name, shape } of hybridTensors(config)) {
    checkShape(file, name, shape);
    known.add(name);
    const bytes = file.read(name);
    const [rows, cols] = shape.length === 2 ? shape : [1, shape[0]];
    hash.update(name).update(bytes);
    const scaleName = name + SCALE_ENDING;
    if (file.tensors.get(name)?.type !== "I8") {
      checkType(file, name);
      tensors.set(name, { kind: "f32", rows, cols, data: finite(file, name, new Float32Array(bytes.buffer)) });
      continue;
    }
    checkShape(file, scaleName, [shape[0]]);
    checkType(file, scaleName);
    known.add(scaleName);
    const scale = file.read(scaleName);
    hash.update(scale);
    const scales = finite(file, scaleName, new Float32Array(scale.buffer));
    const levels = new Int8Array(bytes.buffer);
    tensors.set(name, cols % 32 === 0 ? repackRows(levels, scales) : scaled(levels, scales));
  }
  const unknown = [...file.tensors.keys()].find((name) => !known.has(name));
  if (unknown !== undefined) throw damaged(file.path, `tensor ${unknown} is not part of its format`);
  return new HybridWeights(file.path, hash.digest("hex"), tensors);
}

function checkShape(file: ModelFile, name: string, shape: readonly number[]): void {
  const tensor = file.tensors.get(name);
  if (tensor === undefined) throw damaged(file.path, `tensor ${name} is missing`);
  if (tensor.shape.join() === shape.join()) return;
  throw damaged(file.path, `tensor ${name} has the shape [${tensor.shape}], the settings say [${shape}]`);
}

function checkType(file: ModelFile, name: string): void {
  const type = file.tensors.get(name)?.type;
  if (type !== "F32") throw damaged(file.path, `tensor ${name} is ${type}, its format says F32`);
}

function finite(file: ModelFile, name: string, values: Float32Array): Float32Array {
  if (values.every(Number.isFinite)) return values;
  throw damaged(file.path, `tensor ${name} holds a number that is not finite`);
}

/** Rows of int8 times their scales, for rows that are not whole blocks. */
function scaled(levels: Int8Array, scales: Float32Array): Matrix {
  const rows = scales.length;
  const cols = levels.length / rows;
  const data = new Float32Array(levels.length);
  for (let at = 0; at < levels.length; at++) data[at] = levels[at] * scales[Math.floor(at / cols)];
  return { kind: "f32", rows, cols, data };
}

class HybridWeights implements Weights {
  readonly fingerprint: string;
  readonly #path: string;
  readonly #tensors: ReadonlyMap<string, Matrix>;

  constructor(path: string, fingerprint: string, tensors: ReadonlyMap<string, Matrix>) {
    this.#path = path;
    this.fingerprint = fingerprint;
    this.#tensors = tensors;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  matrix(name: string): Matrix {
    return this.#find(name);
  }

  vector(name: string): Float32Array {
    return expanded(this.#find(name)).data;
  }

  close(): void {}

  #find(name: string): Matrix {
    const tensor = this.#tensors.get(name);
    if (tensor) return tensor;
    throw new LongsightError("bad-model", `${this.#path} has no tensor ${name}; choose another model.`);
  }
}
