/**
 * compile(config, plan, weights) -> one ONNX graph for prefill and decode. The number of tokens in a run is left open:
 * onnxruntime repacks quantised weights for each session, so two graphs would hold two copies of the model.
 *
 * Inputs: ids int64 [1, n]; rows int64 [nRows], the positions within the run whose logits are wanted;
 * last_position int32 [1] and total_length int32 [1] (see AttentionInputs); cos, sin float32 [positions, cached head size / 2];
 * past.<layer>.key and past.<layer>.value float32 [1, nKvHeads, capacity, cached head size].
 * Outputs: logits float32 [1, nRows, vocabSize]; present.<layer>.key and .value, the same memory as the past ones.
 */
import { type AttentionInputs, cachedHeadSize, denseAttention, type Projections } from "../attention/dense.ts";
import { type AttentionPlan, checkPlan } from "../attention/plan.ts";
import type { DecoderConfig, Weights } from "../models/types.ts";
import { swiglu } from "../onnx/ffn.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../onnx/graph.ts";
import { type Accuracy, embedding, linear } from "../onnx/linear.ts";
import { addRmsNorm, rmsNorm } from "../onnx/norm.ts";
import { concatenated, linearWeight, stacked } from "./weights.ts";

/** How a graph computes: `float` is for comparison with the reference, `int8` is the fast form of quantised products. */
export interface CompileOptions {
  readonly accuracy: Accuracy;
}

/** Compiles a model. Throws bad-input for a plan that does not fit, bad-model for missing weights. */
export function compile(
  config: DecoderConfig,
  plan: AttentionPlan,
  weights: Weights,
  options: CompileOptions = { accuracy: "int8" },
): OnnxModel {
  checkPlan(plan, config);
  return new Compiler(config, weights, options).model();
}

class Compiler {
  readonly #graph = new GraphBuilder();
  readonly #config: DecoderConfig;
  readonly #weights: Weights;
  readonly #accuracy: Accuracy;

  constructor(config: DecoderConfig, weights: Weights, options: CompileOptions) {
    this.#config = config;
    this.#weights = weights;
    this.#accuracy = options.accuracy;
  }

  model(): OnnxModel {
    const graph = this.#graph;
    const { nLayers, normEps, headSize, vocabSize, tiedEmbeddings } = this.#config;
    const ids = graph.input("ids", "int64", [1, "n"]);
    const rows = graph.input("rows", "int64", ["nRows"]);
    const inputs = {
      lastPosition: graph.input("last_position", "int32", [1]),
      totalLength: graph.input("total_length", "int32", [1]),
      cos: graph.input("cos", "float32", ["positions", cachedHeadSize(headSize) / 2]),
      sin: graph.input("sin", "float32", ["positions", cachedHeadSize(headSize) / 2]),
    };

    // x is the residual stream [1, n, hiddenSize]; delta is what the last sublayer adds to it.
    let x = embedding(graph, ids, "token_embd", linearWeight(this.#weights.matrix("token_embd")));
    let normed = rmsNorm(graph, x, this.#vector("blk.0.attn_norm"), normEps);
    for (let layer = 0; layer < nLayers; layer++) {
      const attended = this.#attention(layer, normed, inputs);
      [normed, x] = addRmsNorm(graph, x, attended, this.#vector(`blk.${layer}.ffn_norm`), normEps);
      const delta = this.#feedForward(layer, normed);
      if (layer + 1 < nLayers) {
        [normed, x] = addRmsNorm(graph, x, delta, this.#vector(`blk.${layer + 1}.attn_norm`), normEps);
      } else {
        const pick = (value: Value) => graph.node("Gather", [value, rows], { axis: 1 });
        [normed] = addRmsNorm(graph, pick(x), pick(delta), this.#vector("output_norm"), normEps);
      }
    }
    const output = linearWeight(this.#weights.matrix(tiedEmbeddings ? "token_embd" : "output"));
    const logits = linear(graph, normed, "output", output, { accuracy: this.#accuracy, output: "logits" });
    graph.output(logits, "float32", [1, "nRows", vocabSize]);
    return graph.build();
  }

  #vector(name: string): Value {
    const data = this.#weights.vector(name);
    return this.#graph.weight(name, "float32", [data.length], data);
  }

  /** x [1, n, cols] times one matrix of the model. */
  #linear(x: Value, name: string, bias?: Float32Array): Value {
    const weight = linearWeight(this.#weights.matrix(name));
    return linear(this.#graph, x, name, weight, { bias, accuracy: this.#accuracy });
  }

  #attention(layer: number, x: Value, inputs: AttentionInputs): Value {
    const graph = this.#graph;
    const { nKvHeads, headSize } = this.#config;
    const shape = [1, nKvHeads, "capacity", cachedHeadSize(headSize)];
    const cache = {
      key: graph.input(`past.${layer}.key`, "float32", shape),
      value: graph.input(`past.${layer}.value`, "float32", shape),
      newKey: `present.${layer}.key`,
      newValue: `present.${layer}.value`,
    };
    const projections = this.#projections(layer, x);
    const [mixed, key, value] = denseAttention(graph, projections, cache, inputs, this.#config);
    graph.output(key, "float32", shape);
    graph.output(value, "float32", shape);
    return this.#linear(mixed, `blk.${layer}.attn_output`);
  }

  #projections(layer: number, x: Value): Projections {
    const { qkNorm, qkvBias, nHeads, nKvHeads } = this.#config;
    const names = ["attn_q", "attn_k", "attn_v"].map((name) => `blk.${layer}.${name}`);
    const biases = qkvBias ? names.map((name) => this.#weights.vector(`${name}.bias`)) : undefined;
    const together = qkNorm ? undefined : stacked(names.map((name) => this.#weights.matrix(name)));
    if (together) {
      const options = { bias: biases && concatenated(biases), accuracy: this.#accuracy };
      return { qkv: linear(this.#graph, x, `blk.${layer}.attn_qkv`, together, options) };
    }
    const [q, k, v] = names.map((name, i) => this.#linear(x, name, biases?.[i]));
    if (!qkNorm) return { q, k, v };
    return { q: this.#headNorm(q, `${names[0]}_norm`, nHeads), k: this.#headNorm(k, `${names[1]}_norm`, nKvHeads), v };
  }

  /** RMS norm of each head: x [1, n, heads * headSize]. */
  #headNorm(x: Value, name: string, heads: number): Value {
    const graph = this.#graph;
    const { headSize, normEps } = this.#config;
    const split = graph.node("Reshape", [x, graph.ints(1, -1, heads, headSize)]);
    const normed = rmsNorm(graph, split, this.#vector(name), normEps);
    return graph.node("Reshape", [normed, graph.ints(1, -1, heads * headSize)]);
  }

  #feedForward(layer: number, x: Value): Value {
    const gate = this.#linear(x, `blk.${layer}.ffn_gate`);
    const up = this.#linear(x, `blk.${layer}.ffn_up`);
    return this.#linear(swiglu(this.#graph, gate, up), `blk.${layer}.ffn_down`);
  }
}
