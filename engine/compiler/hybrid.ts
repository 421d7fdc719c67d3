/**
 * Compiles the default model (engine/models/default/FORMAT.md) to three ONNX graphs. The state enters as past.<name> and
 * leaves as present.<name>. Graphs with windows take up to maxTokens tokens, and bias_start and bias_end int64 [2]
 * (windowBiasRange).
 *
 * decoder: ids int64 [1, n]; rows int64 [nRows], the positions within the run whose logits are wanted; memory.keys and
 * memory.values [nMemory, headSize], memory.classes int64 [nMemory] -> logits [1, nRows, vocabSize] and the hidden vectors
 * [1, nRows, hiddenSize] they are made of; of the memory layer query [1, n, routeSize], the routing queries of single tokens,
 * whose mean's direction is a group's query; heads [at most routeGroup, nHeads, headSize], the last tokens' own queries with
 * the score scale multiplied in; attention [nHeads, nMemory + ...] of the last token, memory first (windowAttention).
 *
 * What is kept is computed in float32, in two parts, the layers below the landmark layer and from there to the memory layer:
 * router: ids [b, n] of b sequences -> below [b, n, hiddenSize], the landmark layer's input; routing [b, n, 2 routeSize + 1]:
 * of every token its routing key, its routing query and its logit in the pooling of its block. The state's first dimension
 * is b.
 * encoder: below [1, n, hiddenSize] -> keys and values [1, n, headSize] of the memory layer.
 */
import { causalConv } from "../attention/causal-conv.ts";
import { lightningAttention, repeatedLogDecay } from "../attention/lightning.ts";
import { type BiasRange, type MemoryInputs, windowAttention } from "../attention/window.ts";
import { CONV_TAPS, type HybridConfig } from "../models/hybrid-config.ts";
import { expanded } from "../models/quantise.ts";
import type { Matrix, Weights } from "../models/types.ts";
import { type Dim, float, GraphBuilder, type OnnxModel, type Value } from "../onnx/graph.ts";
import { type Accuracy, embedding, linear } from "../onnx/linear.ts";
import { addRmsNorm, rmsNorm } from "../onnx/norm.ts";
import { linearWeight, stacked } from "./weights.ts";

export type HybridPart = "decoder" | "router" | "encoder";

/** A sequence's state: the tensors' shapes when `nWindow` tokens, less than config.window, are in the windows. */
export function hybridState(config: HybridConfig, part: HybridPart, nWindow: number): Map<string, readonly number[]> {
  const { nHeads, headSize, hiddenSize, layers, landmarkLayer, memoryLayer } = config;
  const shapes = new Map<string, readonly number[]>();
  const first = part === "encoder" ? landmarkLayer : 0;
  const end = { decoder: layers.length, router: landmarkLayer, encoder: memoryLayer + 1 }[part];
  for (const [at, kind] of layers.slice(first, end).entries()) {
    const layer = first + at;
    const convolve = (channels: number) => shapes.set(`conv.${layer}`, [1, CONV_TAPS - 1, channels]);
    if (part === "encoder" && layer === memoryLayer) {
      convolve(2 * headSize);
      break;
    }
    if (kind === "lightning") {
      convolve(3 * hiddenSize);
      shapes.set(`sum.${layer}`, [1, nHeads, headSize, headSize]);
    } else {
      convolve(hiddenSize + 2 * headSize);
      shapes.set(`keys.${layer}`, [nWindow, headSize]);
      shapes.set(`values.${layer}`, [nWindow, headSize]);
    }
  }
  return shapes;
}

/** The graph that reads and continues text. A run may have up to `maxTokens` tokens. */
export function compileHybridDecoder(
  config: HybridConfig,
  weights: Weights,
  maxTokens: number,
  accuracy: Accuracy,
): OnnxModel {
  return new HybridCompiler(config, weights, accuracy).decoder(maxTokens);
}

/** The graph that makes landmarks, and routing queries of questions. */
export function compileHybridRouter(config: HybridConfig, weights: Weights): OnnxModel {
  return new HybridCompiler(config, weights, "float").router();
}

/** The graph that makes the memory's keys and values of what the router gave. A run may have up to `maxTokens` tokens. */
export function compileHybridEncoder(config: HybridConfig, weights: Weights, maxTokens: number): OnnxModel {
  return new HybridCompiler(config, weights, "float").encoder(maxTokens);
}

class HybridCompiler {
  readonly #graph = new GraphBuilder();
  readonly #config: HybridConfig;
  readonly #weights: Weights;
  readonly #accuracy: Accuracy;

  constructor(config: HybridConfig, weights: Weights, accuracy: Accuracy) {
    this.#config = config;
    this.#weights = weights;
    this.#accuracy = accuracy;
  }

  decoder(maxTokens: number): OnnxModel {
    const graph = this.#graph;
    const { layers, memoryLayer, vocabSize, hiddenSize, normEps } = this.#config;
    const ids = this.#ids(1);
    const rows = graph.input("rows", "int64", ["nRows"]);
    const range = this.#biasRange();
    let h = this.#embedding(ids);
    let u = this.#srms(h);
    for (const [layer, kind] of layers.entries()) {
      const memory = layer === memoryLayer ? this.#memoryInputs() : undefined;
      const mixed =
        kind === "lightning" ? this.#lightning(layer, u) : this.#retrieval(layer, u, range, maxTokens, memory);
      [u, h] = this.#addSrms(h, mixed);
      const delta = this.#feedForward(layer, u);
      if (layer + 1 < layers.length) {
        [u, h] = this.#addSrms(h, delta);
      } else {
        const pick = (value: Value) => graph.node("Gather", [value, rows], { axis: 1 });
        const gain = this.#vector("output_norm");
        [u] = addRmsNorm(graph, pick(h), pick(delta), gain, normEps);
      }
    }
    graph.nodes("Identity", [u], ["hidden"]);
    graph.output({ name: "hidden" }, "float32", [1, "nRows", hiddenSize]);
    const logits = this.#product(u, "output", [this.#weights.matrix("token_embd")], "logits");
    graph.output(logits, "float32", [1, "nRows", vocabSize]);
    return this.#finish("decoder");
  }

  router(): OnnxModel {
    const graph = this.#graph;
    const { landmarkLayer, hiddenSize, routeSize } = this.#config;
    let h = this.#embedding(this.#ids("b"));
    let u = this.#srms(h);
    for (let layer = 0; layer < landmarkLayer; layer++) {
      [u, h] = this.#addSrms(h, this.#lightning(layer, u));
      [u, h] = this.#addSrms(h, this.#feedForward(layer, u));
    }
    graph.nodes("Identity", [h], ["below"]);
    graph.output({ name: "below" }, "float32", ["b", "n", hiddenSize]);
    const name = `blk.${landmarkLayer}`;
    const routing = ["route_k", "route_q", "route_pool"].map((part) => this.#weights.matrix(`${name}.${part}`));
    const routed = this.#product(u, `${name}.routing`, routing, "routing");
    graph.output(routed, "float32", ["b", "n", 2 * routeSize + 1]);
    return this.#finish("router");
  }

  encoder(maxTokens: number): OnnxModel {
    const graph = this.#graph;
    const { layers, landmarkLayer, memoryLayer, hiddenSize, headSize } = this.#config;
    const range = this.#biasRange();
    let h = graph.input("below", "float32", [1, "n", hiddenSize]);
    let u = this.#srms(h);
    for (let layer = landmarkLayer; layer < memoryLayer; layer++) {
      const isLightning = layers[layer] === "lightning";
      const mixed = isLightning ? this.#lightning(layer, u) : this.#retrieval(layer, u, range, maxTokens);
      [u, h] = this.#addSrms(h, mixed);
      [u, h] = this.#addSrms(h, this.#feedForward(layer, u));
    }
    const name = `blk.${memoryLayer}`;
    const filter = this.#weights.vector(`${name}.conv`).subarray(hiddenSize * CONV_TAPS);
    const p = this.#convolved(memoryLayer, this.#linear(u, `${name}.attn_kv`), filter);
    const [k] = graph.nodes("Split", [p], [undefined, "values"], { axis: 2, num_outputs: 2 });
    const normed = rmsNorm(graph, k, this.#vector(`${name}.k_norm`), this.#config.normEps);
    graph.nodes("Identity", [normed], ["keys"]);
    for (const output of ["keys", "values"]) graph.output({ name: output }, "float32", [1, "n", headSize]);
    return this.#finish("encoder");
  }

  /** Declares the state's inputs and outputs and builds the graph. */
  #finish(part: HybridPart): OnnxModel {
    const batch = part === "router" ? "b" : 1;
    for (const [name, shape] of hybridState(this.#config, part, 0)) {
      // Only the windows' lengths change from run to run.
      const isWindow = shape.length === 2;
      const rest = shape.slice(1);
      this.#graph.input(`past.${name}`, "float32", [isWindow ? "nPast" : batch, ...rest]);
      this.#graph.output({ name: `present.${name}` }, "float32", [isWindow ? "nPresent" : batch, ...rest]);
    }
    return this.#graph.build();
  }

  #lightning(layer: number, u: Value): Value {
    const graph = this.#graph;
    const { nHeads, headSize } = this.#config;
    const name = `blk.${layer}`;
    const p = this.#convolved(layer, this.#linear(u, `${name}.attn_qkv`), this.#weights.vector(`${name}.conv`));
    const [q, k, v] = graph.nodes("Split", [p], [undefined, undefined, undefined], { axis: 2, num_outputs: 3 });
    const decay = repeatedLogDecay(graph, `${name}.decay`, this.#weights.vector(`${name}.decay`), u);
    const state = { past: { name: `past.sum.${layer}` }, present: `present.sum.${layer}` };
    const [o] = lightningAttention(graph, [this.#silu(q), this.#silu(k), v], decay, nHeads, state);
    const mixed = this.#joined(this.#srms(this.#heads(o), headSize));
    const gate = this.#linear(this.#linear(u, `${name}.gate_down`), `${name}.gate_up`);
    return this.#linear(graph.node("Mul", [mixed, graph.node("Sigmoid", [gate])]), `${name}.attn_output`);
  }

  /** With a memory also what it is asked for, as outputs. */
  #retrieval(layer: number, u: Value, range: BiasRange, maxTokens: number, memory?: MemoryInputs): Value {
    const graph = this.#graph;
    const { hiddenSize, nHeads, headSize, routeSize, routeGroup, normEps } = this.#config;
    const name = `blk.${layer}`;
    const vector = (part: string) => this.#weights.vector(`${name}.${part}`);
    const matrices = ["attn_q", "attn_kv"].map((part) => this.#weights.matrix(`${name}.${part}`));
    const p = this.#convolved(layer, this.#product(u, `${name}.attn_qkv`, matrices), vector("conv"));
    const sizes = graph.ints(hiddenSize, headSize, headSize);
    const [q, k, v] = graph.nodes("Split", [p, sizes], [undefined, undefined, undefined], { axis: 2 });
    const gain = graph.weight(
      `${name}.q_gain`,
      "float32",
      [nHeads, headSize],
      vector("q_norm").map((x) => x / Math.sqrt(headSize)),
    );
    const query = graph.node("Mul", [
      this.#srms(graph.node("Reshape", [q, graph.ints(-1, nHeads, headSize)]), headSize),
      gain,
    ]);
    const row = graph.ints(-1, headSize);
    const key = rmsNorm(graph, graph.node("Reshape", [k, row]), this.#vector(`${name}.k_norm`), normEps);
    const [mixed, , , attention] = windowAttention(graph, [query, key, graph.node("Reshape", [v, row])], {
      name,
      headSize,
      maxTokens,
      range,
      window: {
        pastKeys: { name: `past.keys.${layer}` },
        pastValues: { name: `past.values.${layer}` },
        presentKeys: `present.keys.${layer}`,
        presentValues: `present.values.${layer}`,
      },
      memory,
      biases: { window: vector("window_bias"), sink: vector("sink") },
    });
    if (memory) {
      graph.output(this.#linear(u, `${name}.route_q`, "query"), "float32", [1, "n", routeSize]);
      const lastRows = [graph.ints(-routeGroup), graph.ints(Number.MAX_SAFE_INTEGER), graph.ints(0)];
      const [asked] = graph.nodes("Slice", [query, ...lastRows], ["heads"]);
      graph.output(asked, "float32", ["nAsked", nHeads, headSize]);
      const [newest] = graph.nodes("Identity", [attention], ["attention"]);
      graph.output(newest, "float32", [nHeads, "nKeys"]);
    }
    const joined = graph.node("Reshape", [mixed, graph.ints(1, -1, hiddenSize)]);
    return this.#linear(joined, `${name}.attn_output`);
  }

  #ids(batch: Dim): Value {
    return this.#graph.input("ids", "int64", [batch, "n"]);
  }

  #biasRange(): BiasRange {
    const graph = this.#graph;
    return { start: graph.input("bias_start", "int64", [2]), end: graph.input("bias_end", "int64", [2]) };
  }

  #memoryInputs(): MemoryInputs {
    const graph = this.#graph;
    const { headSize, memoryLayer } = this.#config;
    return {
      keys: graph.input("memory.keys", "float32", ["nMemory", headSize]),
      values: graph.input("memory.values", "float32", ["nMemory", headSize]),
      classes: graph.input("memory.classes", "int64", ["nMemory"]),
      biases: this.#weights.vector(`blk.${memoryLayer}.class_bias`),
    };
  }

  #feedForward(layer: number, u: Value): Value {
    const up = this.#linear(u, `blk.${layer}.ffn_up`);
    const gate = this.#linear(u, `blk.${layer}.ffn_gate`);
    return this.#linear(this.#graph.node("Mul", [up, gate]), `blk.${layer}.ffn_down`);
  }

  #convolved(layer: number, p: Value, filter: Float32Array): Value {
    const tail = { past: { name: `past.conv.${layer}` }, present: `present.conv.${layer}` };
    return causalConv(this.#graph, p, `blk.${layer}.conv`, filter, CONV_TAPS, tail)[0];
  }

  /** The tokens' rows of the table, in float32: there are few of them. */
  #embedding(ids: Value): Value {
    const table = linearWeight(expanded(this.#weights.matrix("token_embd")));
    return embedding(this.#graph, ids, "token_embd", table);
  }

  /** x [1, n, cols] times one matrix of the model. */
  #linear(x: Value, name: string, output?: string): Value {
    return this.#product(x, name, [this.#weights.matrix(name)], output);
  }

  /** x [1, n, cols] times matrices one above the other. */
  #product(x: Value, name: string, matrices: readonly Matrix[], output?: string): Value {
    // Quantised weights with float inputs are exact but slow in onnxruntime, float weights are not.
    const weight = stacked(this.#accuracy === "float" ? matrices.map(expanded) : matrices);
    if (weight === undefined) throw new Error(`${name} cannot be stacked`);
    return linear(this.#graph, x, name, weight, { accuracy: this.#accuracy, output });
  }

  #vector(name: string): Value {
    const data = this.#weights.vector(name);
    return this.#graph.weight(name, "float32", [data.length], data);
  }

  #ones(n: number): Value {
    return this.#graph.weight(`ones.${n}`, "float32", [n], new Float32Array(n).fill(1));
  }

  /** RMS norm without a gain over the last axis, of size n. */
  #srms(x: Value, n = this.#config.hiddenSize): Value {
    return rmsNorm(this.#graph, x, this.#ones(n), this.#config.normEps);
  }

  #addSrms(x: Value, delta: Value): [normed: Value, sum: Value] {
    return addRmsNorm(this.#graph, x, delta, this.#ones(this.#config.hiddenSize), this.#config.normEps);
  }

  /** x [b, n, hiddenSize] -> [b, n, nHeads, headSize] */
  #heads(x: Value): Value {
    return this.#graph.node("Reshape", [x, this.#graph.ints(0, -1, this.#config.nHeads, this.#config.headSize)]);
  }

  /** x [b, n, nHeads, headSize] -> [b, n, hiddenSize] */
  #joined(x: Value): Value {
    return this.#graph.node("Reshape", [x, this.#graph.ints(0, -1, this.#config.hiddenSize)]);
  }

  #silu(x: Value): Value {
    return this.#graph.node("com.microsoft.QuickGelu", [x], { alpha: float(1) });
  }
}
