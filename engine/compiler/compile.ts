/**
 * compile(config, plan, weights) -> one ONNX graph for prefill and decode. The number of tokens in a run is left open:
 * onnxruntime repacks quantised weights for each session, so two graphs would hold two copies of the model.
 *
 * Inputs: x float32 [1, n, hiddenSize], the tokens' embeddings (see EmbeddingRows); rows int64 [nRows], the positions
 * within the run whose logits are wanted; and what the plan's attention needs (see AttentionCompiler).
 * Outputs: logits float32 [1, nRows, vocabSize]; keys and values of the run's tokens (see AttentionCompiler).
 */
import type { Projections } from "../attention/heads.ts";
import { type AttentionPlan, checkPlan } from "../attention/plan.ts";
import type { DecoderConfig, Weights } from "../models/types.ts";
import { swiglu } from "../onnx/ffn.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../onnx/graph.ts";
import { type Accuracy, linear } from "../onnx/linear.ts";
import { addRmsNorm, rmsNorm } from "../onnx/norm.ts";
import { AttentionCompiler, type CacheType } from "./attention.ts";
import { concatenated, linearWeight, stacked } from "./weights.ts";

/** How a graph computes: `float` is for comparison with the reference, `int8` is the fast form of quantised products. */
export interface CompileOptions {
  readonly accuracy: Accuracy;
}

/** How keys and values are kept: rounding them to 16 bits is one of the roundings of the fast form. */
export function cacheType(accuracy: Accuracy): CacheType {
  return accuracy === "float" ? "float32" : "float16";
}

/** Compiles a model. Throws bad-input for a plan that does not fit, bad-model for missing weights. */
export function compile(
  config: DecoderConfig,
  plan: AttentionPlan,
  weights: Weights,
  options: CompileOptions = { accuracy: "int8" },
): OnnxModel {
  checkPlan(plan, config);
  return new Compiler(config, plan, weights, options).model();
}

class Compiler {
  readonly #graph = new GraphBuilder();
  readonly #config: DecoderConfig;
  readonly #weights: Weights;
  readonly #accuracy: Accuracy;
  readonly #attention: AttentionCompiler;

  constructor(config: DecoderConfig, plan: AttentionPlan, weights: Weights, options: CompileOptions) {
    this.#config = config;
    this.#weights = weights;
    this.#accuracy = options.accuracy;
    this.#attention = new AttentionCompiler(this.#graph, config, plan, cacheType(options.accuracy));
  }

  model(): OnnxModel {
    const graph = this.#graph;
    const { nLayers, hiddenSize, normEps, vocabSize, tiedEmbeddings } = this.#config;
    const rows = graph.input("rows", "int64", ["nRows"]);

    // x is the residual stream [1, n, hiddenSize]; delta is what the last sublayer adds to it.
    let x = graph.input("x", "float32", [1, "n", hiddenSize]);
    let normed = rmsNorm(graph, x, this.#vector("blk.0.attn_norm"), normEps);
    for (let layer = 0; layer < nLayers; layer++) {
      const mixed = this.#attention.layer(layer, this.#projections(layer, normed));
      const attended = this.#linear(mixed, `blk.${layer}.attn_output`);
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
    this.#attention.outputs();
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
