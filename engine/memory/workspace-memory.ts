/**
 * What a workspace's code teaches beside the default model's weights (engine/training/workspace.py defines and trains it): a
 * small matrix over the model's last hidden vectors that is trained while files are read, one step a token, towards what
 * the model's prediction lacked. Empty it changes nothing. A text believes it as far as it does well on that text (`Trust`),
 * so a stranger's is soon ignored. It fits the model's weights, and cannot forget a single file: it is made anew.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Learned, learnChunk, recall } from "../attention/titans.ts";
import { fileError } from "../errors.ts";
import type { HybridModel } from "../models/hybrid.ts";
import { expanded } from "../models/quantise.ts";
import { readTensors, type Tensors } from "../models/shipped-tensors.ts";
import { defaultModelDir } from "../paths.ts";

/** Tokens whose gradients are taken at the same matrix. */
export const CHUNK_TOKENS = 64;
const MAX_MOMENTUM = 0.95;
const MAX_FORGETTING = 0.1;
/** A text begins undecided; with each token a share of what it has decided is taken back. */
const UNDECIDED = 0.5;
const TAKEN_BACK = 0.01;

const FORMAT = "longsight-workspace-1";

export class WorkspaceMemory {
  /** Width of the model, of its vocabulary, of the memory. */
  readonly #d: number;
  readonly #vocabSize: number;
  readonly #m: number;
  readonly #tensors: Tensors;
  /** Of every token what its embedding is as a value, and what the reading matrix makes of it: [vocabSize, m] each. */
  readonly #asValue: Float32Array;
  readonly #asRead: Float32Array;
  readonly #fingerprint: string;
  #learned: Learned;
  #nTokens = 0;

  /** The shipped one, empty, for the shipped model. */
  static open({ weights }: HybridModel): WorkspaceMemory {
    const tensors = readTensors(join(defaultModelDir, "workspace.safetensors"));
    return new WorkspaceMemory(tensors, expanded(weights.matrix("token_embd")).data);
  }

  /** `embedding` [vocabSize, d] is the model's output matrix. */
  constructor(tensors: Tensors, embedding: Float32Array) {
    this.#tensors = tensors;
    this.#d = this.#get("gate.weight").length;
    this.#m = this.#get("w_k").length / this.#d;
    this.#vocabSize = embedding.length / this.#d;
    const loudness = Math.exp(this.#get("loudness")[0]);
    this.#asValue = product(embedding, this.#get("w_v"), this.#d).map((x) => x * loudness);
    this.#asRead = product(embedding, transposed(this.#get("w_o"), this.#m), this.#d);
    const hash = createHash("sha256").update(embedding);
    for (const [name, data] of tensors) hash.update(name).update(data);
    this.#fingerprint = hash.digest("hex");
    this.#learned = this.#empty();
  }

  /** Tokens learned so far. */
  get nTokens(): number {
    return this.#nTokens;
  }

  /**
   * Learns the tokens that follow: hidden [n, d] are the model's last hidden vectors, logits [n, vocabSize] what it made of
   * them, following [n] what came. Calls whose n are multiples of CHUNK_TOKENS may be split or joined at will.
   */
  learn(hidden: Float32Array, logits: Float32Array, following: readonly number[]): void {
    for (let start = 0; start < following.length; start += CHUNK_TOKENS) {
      const end = Math.min(start + CHUNK_TOKENS, following.length);
      const x = hidden.subarray(start * this.#d, end * this.#d);
      learnChunk(this.#learned, {
        keys: unitRows(product(x, this.#get("w_k"), this.#d), this.#m),
        values: this.#lacks(
          logits.subarray(start * this.#vocabSize, end * this.#vocabSize),
          following.slice(start, end),
        ),
        ...this.#rates(x),
      });
    }
    this.#nTokens += following.length;
  }

  /** What is added to the logits [vocabSize] that the model made of a hidden vector [d]. Changes nothing. */
  read(hidden: Float32Array): Float32Array {
    const query = unitRows(product(hidden, this.#get("w_q"), this.#d), this.#m);
    const gate = sigmoid(dot(this.#get("gate.weight"), hidden) + this.#get("gate.bias")[0]);
    const found = recall(this.#learned.matrix, query).map((x) => gate * x);
    return product(found, this.#asRead, this.#m);
  }

  /** Forgets everything. */
  reset(): void {
    this.#learned = this.#empty();
    this.#nTokens = 0;
  }

  /** Writes what was learned, whole or not at all. Errors: no-access, disk-full. */
  save(path: string): void {
    const { matrix, surprise } = this.#learned;
    const data = Buffer.concat([Buffer.from(matrix.buffer), Buffer.from(surprise.buffer)]);
    const head = { format: FORMAT, fingerprint: this.#fingerprint, nTokens: this.#nTokens, sha256: sha256(data) };
    const temporary = `${path}.${process.pid}`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(temporary, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), data]));
      renameSync(temporary, path);
    } catch (error) {
      throw fileError(error, path);
    }
  }

  /** Takes up what was saved; false, and nothing changes, where that is damaged, of another model, or not there. */
  load(path: string): boolean {
    try {
      const bytes = readFileSync(path);
      const end = bytes.indexOf(10);
      const head = JSON.parse(bytes.toString("utf8", 0, end));
      const data = Uint8Array.from(bytes.subarray(end + 1));
      const isOurs = head.format === FORMAT && head.fingerprint === this.#fingerprint;
      if (!isOurs || data.length !== 8 * this.#m ** 2 || head.sha256 !== sha256(data)) return false;
      const floats = new Float32Array(data.buffer);
      this.#learned = { matrix: floats.slice(0, this.#m ** 2), surprise: floats.slice(this.#m ** 2) };
      this.#nTokens = head.nTokens;
      return true;
    } catch {
      return false;
    }
  }

  #empty(): Learned {
    return { matrix: new Float32Array(this.#m ** 2), surprise: new Float32Array(this.#m ** 2) };
  }

  /** Of every token the value of what came less the mean value of what was expected: [n, m]. */
  #lacks(logits: Float32Array, following: readonly number[]): Float32Array {
    const m = this.#m;
    const values = new Float32Array(following.length * m);
    for (const [t, id] of following.entries()) {
      const row = logits.subarray(t * this.#vocabSize, (t + 1) * this.#vocabSize);
      const max = row.reduce((a, b) => Math.max(a, b));
      const shares = row.map((logit) => Math.exp(logit - max));
      const sum = shares.reduce((a, b) => a + b, 0);
      const value = values.subarray(t * m, (t + 1) * m);
      value.set(this.#asValue.subarray(id * m, (id + 1) * m));
      for (let token = 0; token < this.#vocabSize; token++) {
        const share = shares[token] / sum;
        // What is as unlikely as this changes no value by what a float32 can tell.
        if (share < 1e-9) continue;
        for (let i = 0; i < m; i++) value[i] -= share * this.#asValue[token * m + i];
      }
    }
    return values;
  }

  #rates(x: Float32Array): { theta: Float32Array; eta: Float32Array; alpha: Float32Array } {
    const bias = this.#get("rate.bias");
    const rates = product(x, this.#get("rate.weight"), this.#d).map((rate, i) => sigmoid(rate + bias[i % 3]));
    const of = (which: number) => rates.filter((_, i) => i % 3 === which);
    const eta = of(1).map((rate) => rate * MAX_MOMENTUM);
    return {
      theta: of(0).map((rate, t) => (rate * (1 - eta[t])) / CHUNK_TOKENS),
      eta,
      alpha: of(2).map((rate) => rate * MAX_FORGETTING),
    };
  }

  #get(name: string): Float32Array {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`The workspace memory has no tensor ${name}.`);
    return tensor;
  }
}

/** How far a text believes its memory: by how well both predictions did on its tokens so far. */
export class Trust {
  #share = UNDECIDED;

  /** The log-probability of the text's next token by both, from those without the memory and using it. Then it has come. */
  mixed(without: number, using: number): number {
    const max = Math.max(without, using);
    const [a, b] = [(1 - this.#share) * Math.exp(without - max), this.#share * Math.exp(using - max)];
    this.#share = (1 - TAKEN_BACK) * (b / (a + b)) + TAKEN_BACK * UNDECIDED;
    return max + Math.log(a + b);
  }
}

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** x [n, cols] times the transpose of w [rows, cols]: [n, rows]. */
function product(x: Float32Array, w: Float32Array, cols: number): Float32Array {
  const [n, rows] = [x.length / cols, w.length / cols];
  const y = new Float32Array(n * rows);
  for (let t = 0; t < n; t++) {
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let i = 0; i < cols; i++) sum += x[t * cols + i] * w[row * cols + i];
      y[t * rows + row] = sum;
    }
  }
  return y;
}

/** w [rows, cols] -> [cols, rows] */
function transposed(w: Float32Array, cols: number): Float32Array {
  const rows = w.length / cols;
  return w.map((_, i) => w[(i % rows) * cols + Math.floor(i / rows)]);
}

function unitRows(x: Float32Array, m: number): Float32Array {
  for (let start = 0; start < x.length; start += m) {
    const row = x.subarray(start, start + m);
    const length = Math.max(Math.sqrt(dot(row, row)), 1e-12);
    for (let i = 0; i < m; i++) row[i] /= length;
  }
  return x;
}
