/**
 * Softmax attention to a sliding window, to memory tokens without positions, and to a sink that takes weight and gives
 * nothing, all in one softmax; all query heads share one key/value head. Sources: RCMHA (arXiv 2308.03429) for scalar
 * relative biases, engine/models/default/FORMAT.md for the rest.
 */
import type { GraphBuilder, Value } from "../onnx/graph.ts";

export interface WindowKeys {
  /** Keys and values before the run, oldest first: [nPast, headSize], nPast < window. */
  readonly pastKeys: Value;
  readonly pastValues: Value;
  /** The names of those after the run, at most window - 1. */
  readonly presentKeys: string;
  readonly presentValues: string;
}

/** Tokens that every query of the run sees, in any order: keys and values [nMemory, headSize], nMemory may be 0. */
export interface MemoryInputs {
  readonly keys: Value;
  readonly values: Value;
  /** int64 [nMemory], columns of the biases. */
  readonly classes: Value;
  /** [nHeads, nClasses], row-major. */
  readonly biases: Float32Array;
}

/** Learned score offsets per head, row-major. */
export interface AttentionBiases {
  /** [nHeads, window], by distance */
  readonly window: Float32Array;
  /** [nHeads] */
  readonly sink: Float32Array;
}

/** Which part of the bias table the run needs, rows and columns: int64 [2] each (see windowBiasRange). */
export interface BiasRange {
  readonly start: Value;
  readonly end: Value;
}

export interface WindowAttention {
  /** Prefix of the weights' names. */
  readonly name: string;
  readonly headSize: number;
  /** The most tokens a run may have. */
  readonly maxTokens: number;
  readonly window: WindowKeys;
  readonly memory?: MemoryInputs;
  readonly range: BiasRange;
  readonly biases: AttentionBiases;
}

/**
 * q [n, nHeads, headSize] with the score scale multiplied in, k and v [n, headSize] -> mixed values
 * [n, nHeads, headSize], the window's new keys and values, and the last query's weights
 * [nHeads, nMemory + 1 + window keys], memory first if there is one, then the sink.
 */
export function windowAttention(
  graph: GraphBuilder,
  [q, k, v]: readonly Value[],
  { name, headSize, maxTokens, window, memory, range, biases }: WindowAttention,
): [mixed: Value, presentKeys: Value, presentValues: Value, newest: Value] {
  const nHeads = biases.sink.length;
  const windowSize = biases.window.length / nHeads;
  const rows = (...parts: Value[]) => graph.node("Concat", parts, { axis: 0 });
  const scores = (keys: Value, bias: Value) =>
    graph.node("Add", [graph.node("com.microsoft.FusedMatMul", [q, keys], { transB: 1 }), bias]);

  // The sink is one more memory token: its zero key leaves the bias as its score, its zero value gives nothing.
  const zero = graph.weight(`${name}.zero`, "float32", [1, headSize], new Float32Array(headSize));
  const sink = graph.weight(`${name}.sink`, "float32", [nHeads, 1], biases.sink);
  const far = memory
    ? scores(rows(memory.keys, zero), graph.node("Concat", [classBias(graph, name, memory, nHeads), sink], { axis: 1 }))
    : scores(zero, sink);

  const keys = rows(window.pastKeys, k);
  const values = rows(window.pastValues, v);
  const tableShape = [maxTokens, nHeads, windowSize - 1 + maxTokens];
  const table = windowBiasTable(biases.window, nHeads, maxTokens);
  const tableValue = graph.weight(`${name}.window_bias`, "float32", tableShape, table);
  const near = scores(keys, graph.node("Slice", [tableValue, range.start, range.end, graph.ints(0, 2)]));

  const weights = graph.node("Softmax", [graph.node("Concat", [far, near], { axis: 2 })], { axis: -1 });
  const mixed = graph.node("MatMul", [weights, rows(...(memory ? [memory.values] : []), zero, values)]);
  const newest = (all: Value, output: string) => {
    const range = [graph.ints(1 - windowSize), graph.ints(Number.MAX_SAFE_INTEGER), graph.ints(0)];
    return graph.nodes("Slice", [all, ...range], [output])[0];
  };
  const last = graph.node("Gather", [weights, graph.ints(-1)], { axis: 0 });
  const attention = graph.node("Reshape", [last, graph.ints(nHeads, -1)]);
  return [mixed, newest(keys, window.presentKeys), newest(values, window.presentValues), attention];
}

/** The bias of every memory token: [nHeads, nMemory]. */
function classBias(graph: GraphBuilder, name: string, { classes, biases }: MemoryInputs, nHeads: number): Value {
  const byClass = graph.weight(`${name}.class_bias`, "float32", [nHeads, biases.length / nHeads], biases);
  return graph.node("Gather", [byClass, classes], { axis: 1 });
}

/**
 * The biases of queries 0 .. maxTokens - 1 of a run towards the window - 1 keys before it and its own keys:
 * [maxTokens, nHeads, window - 1 + maxTokens], -Infinity where a key is outside the query's window or after it.
 */
function windowBiasTable(biases: Float32Array, nHeads: number, maxTokens: number): Float32Array {
  const window = biases.length / nHeads;
  const nKeys = window - 1 + maxTokens;
  const table = new Float32Array(maxTokens * nHeads * nKeys).fill(Number.NEGATIVE_INFINITY);
  for (let query = 0; query < maxTokens; query++) {
    for (let head = 0; head < nHeads; head++) {
      // Query i is key i + window - 1.
      const own = (query * nHeads + head) * nKeys + query + window - 1;
      for (let distance = 0; distance < window; distance++) table[own - distance] = biases[head * window + distance];
    }
  }
  return table;
}

/** The part of the bias table for a run of `nTokens` behind `nPast` window keys: [row, column] of start and end. */
export function windowBiasRange(window: number, nPast: number, nTokens: number): { start: number[]; end: number[] } {
  return { start: [0, window - 1 - nPast], end: [nTokens, window - 1 + nTokens] };
}
