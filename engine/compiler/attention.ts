/**
 * Puts a plan's attention together: splits the heads of each layer by their roles, hands chosen blocks from layer to
 * layer, and declares the inputs and outputs that this needs, which the runtime looks up by these names.
 *
 * Inputs: is_single bool [1], position int64 [1], last_position and total_length int32 [1], cos and sin float32
 * [positions, headSize / 2] (see RunInputs);
 * past.<layer>.keys and .values [retrieval heads, capacity, headSize]: the cache of retrieval heads; bias float32
 * [capacity]; sizes.all int64 [2] (see CacheInputs);
 * recent.<layer>.keys and .values [streaming heads, slots, headSize]; recent_bias, own_bias, recent_sizes (see
 * StreamingInputs);
 * refresh bool [1]: choose blocks anew; count.<budget> int64 [1] and sizes.<budget> int64 [2]: blocks and keys read under
 * a budget, and count.keys.<n>, sizes.keys.<n> where keys are pruned to n; preference float32 [blocks]; of layers that choose: chosen.<layer> int64 [count], the last choice, and
 * means.<layer>, or smallest.<layer> and largest.<layer>, float32 [retrieval heads, blocks, headSize] (LANDMARKS).
 * sinks.<layer> float32 [retrieval heads, 1, capacity], is_damped bool [1], damped.own_bias float32 [n * nGroup, n] and damped.sizes int64 [2]: which
 * keys are damped, whether there are any, and how several tokens are read then, where the plan calibrates;
 * is_far bool [1] and hyper.*: how a run of a long prompt is read (HyperInputs), where the plan has a way for it.
 * Outputs: keys and values [nLayers * nKvHeads, n, headSize], the run's own; of layers that choose: choice.<layer> int64
 * [count] and query.<layer> float32 [1, nHeads * headSize] of the last token; of layers that damp sinks which are searched
 * for: received.<layer> float32 [retrieval heads, capacity], of runs of several tokens behind placed ones.
 */
import {
  attendToBlocks,
  type Choice,
  chooseByBounds,
  chooseByMeans,
  chooseByShares,
  LANDMARKS,
  ofBlocks,
  ofBlocksByHead,
} from "../attention/blocks.ts";
import { type CalibrationInputs, calibratedTokens, lossOf } from "../attention/calibration.ts";
import { type CacheInputs, oneToken, severalTokens } from "../attention/dense.ts";
import {
  byHead,
  type Cached,
  type Heads,
  type KeysValues,
  type Projections,
  pickHeads,
  type Rows,
  type RunInputs,
  rotatedRows,
} from "../attention/heads.ts";
import { hyperAttention } from "../attention/hyper.ts";
import { type AttentionPlan, BLOCK_TOKENS, type BlockPlan, type HeadRole } from "../attention/plan.ts";
import { type Alive, attendToKeys, importanceOf, keysOf, mostImportant } from "../attention/pruning.ts";
import { streamingAttention } from "../attention/streaming.ts";
import type { DecoderConfig } from "../models/types.ts";
import type { Dim, ElementType, GraphBuilder, Value } from "../onnx/graph.ts";
import { noShares, singleOrSeveral } from "./single-or-several.ts";

export type CacheType = Cached["type"];

/** `budget` is what the last layer read: keys. */
type Pruned = Alive & { readonly budget: number };

type Chosen = { readonly blocks: Value; readonly budget: number };

export class AttentionCompiler {
  readonly #graph: GraphBuilder;
  readonly #config: DecoderConfig;
  readonly #plan: AttentionPlan;
  readonly #type: CacheType;
  readonly #run: RunInputs;
  readonly #inputs = new Map<string, Value>();
  /** Of each layer: [nKvHeads, n, headSize]. */
  readonly #newKeys: Value[] = [];
  readonly #newValues: Value[] = [];
  /** What the last choosing layer chose. */
  #chosen: Chosen | undefined;
  readonly #choices = new Map<string, Choice>();
  /** The keys the last layer read, while a later one leaves out some of them. */
  #alive: Pruned | undefined;

  constructor(graph: GraphBuilder, config: DecoderConfig, plan: AttentionPlan, type: CacheType) {
    this.#graph = graph;
    this.#config = config;
    this.#plan = plan;
    this.#type = type;
    const table = ["positions", config.headSize / 2];
    this.#run = {
      isSingle: this.#input("is_single", "bool", [1]),
      position: this.#input("position", "int64", [1]),
      lastPosition: this.#input("last_position", "int32", [1]),
      totalLength: this.#input("total_length", "int32", [1]),
      cos: this.#input("cos", "float32", table),
      sin: this.#input("sin", "float32", table),
    };
  }

  /** A layer's attention, before its output matrix: [1, n, nHeads * headSize]. Layers come in their order. */
  layer(layer: number, projections: Projections): Value {
    const graph = this.#graph;
    const rows = rotatedRows(graph, projections, this.#run, this.#config);
    const { heads, blocks } = this.#plan.layers[layer];
    const of = (role: HeadRole) => heads.flatMap((one, head) => (one === role ? [head] : []));
    const [far, near] = [of("retrieval"), of("streaming")];
    const own = { keys: byHead(graph, rows.k, 1, this.#config), values: byHead(graph, rows.v, 1, this.#config) };
    this.#newKeys.push(own.keys);
    this.#newValues.push(own.values);
    const parts: Value[] = [];
    if (far.length > 0) parts.push(this.#retrieval(layer, this.#pick(rows, far), this.#pickOwn(own, far), blocks));
    if (near.length > 0) parts.push(this.#streaming(layer, this.#pick(rows, near), this.#pickOwn(own, near)));
    if (parts.length === 1) return parts[0];
    const order = [...far, ...near];
    const back = order.map((_, head) => order.indexOf(head));
    return pickHeads(graph, graph.node("Concat", parts, { axis: 2 }), this.#config, this.#nGroup, back);
  }

  /** Declares the outputs, when all layers are done. */
  outputs(): void {
    const { nLayers, nKvHeads, headSize } = this.#config;
    // All layers' parts as one output, since each output costs time of its own.
    for (const [name, parts] of [
      ["keys", this.#newKeys],
      ["values", this.#newValues],
    ] as const) {
      const together = this.#graph.node("Concat", parts, { axis: 0 });
      const [output] = this.#graph.nodes("Cast", [together], [name], { to: this.#type === "float32" ? 1 : 10 });
      this.#graph.output(output, this.#type, [nLayers * nKvHeads, "n", headSize]);
    }
  }

  get #nGroup(): number {
    return this.#config.nHeads / this.#config.nKvHeads;
  }

  #input(name: string, type: ElementType, shape: readonly Dim[]): Value {
    const known = this.#inputs.get(name);
    if (known) return known;
    const input = this.#graph.input(name, type, shape);
    this.#inputs.set(name, input);
    return input;
  }

  #cached(name: string, layer: number, nHeads: number, length: string): Cached {
    const shape = [nHeads, length, this.#config.headSize];
    return {
      keys: this.#input(`${name}.${layer}.keys`, this.#type, shape),
      values: this.#input(`${name}.${layer}.values`, this.#type, shape),
      type: this.#type,
    };
  }

  #pick({ q, k, v }: Rows, picked: number[]): Rows {
    const pick = (x: Value, nPerHead: number) => pickHeads(this.#graph, x, this.#config, nPerHead, picked);
    return { q: pick(q, this.#nGroup), k: pick(k, 1), v: pick(v, 1) };
  }

  #pickOwn({ keys, values }: KeysValues, picked: number[]): KeysValues {
    if (picked.length === this.#config.nKvHeads) return { keys, values };
    const pick = (x: Value) => this.#graph.node("Gather", [x, this.#graph.ints(...picked)], { axis: 0 });
    return { keys: pick(keys), values: pick(values) };
  }

  #headsOf(nKvHeads: number): Heads {
    return { nHeads: nKvHeads * this.#nGroup, nKvHeads, headSize: this.#config.headSize };
  }

  #streaming(layer: number, rows: Rows, own: KeysValues): Value {
    const nStreaming = this.#plan.layers[layer].heads.filter((role) => role === "streaming").length;
    const inputs = {
      bias: this.#input("recent_bias", "float32", ["queries", "slots"]),
      ownBias: this.#input("own_bias", "float32", ["queries", "n"]),
      sizes: this.#input("recent_sizes", "int64", [2]),
    };
    const cached = this.#cached("recent", layer, nStreaming, "slots");
    return streamingAttention(this.#graph, rows.q, own, cached, inputs, this.#headsOf(nStreaming));
  }

  #retrieval(layer: number, rows: Rows, own: KeysValues, blocks: BlockPlan): Value {
    const graph = this.#graph;
    const nRetrieval = this.#plan.layers[layer].heads.filter((role) => role === "retrieval").length;
    const heads = this.#headsOf(nRetrieval);
    const cached = this.#cached("past", layer, nRetrieval, "capacity");
    const all: CacheInputs = {
      bias: this.#input("bias", "float32", ["capacity"]),
      sizes: this.#input("sizes.all", "int64", [2]),
      calibration: this.#calibration(layer),
    };
    const { calibration } = this.#plan;
    const detects = calibration?.detect !== undefined && calibration.heads[layer].length > 0;
    const read = () => this.#severalTokens(rows, own, cached, all, heads);
    const name = detects ? `received.${layer}` : undefined;
    const { choose, several } = singleOrSeveral(graph, this.#run.isSingle, read, name);
    if (blocks.kind === "all") {
      return choose(
        ["float32"],
        () => oneToken(graph, rows.q, own, cached, all, heads).slice(0, 1),
        () => [several()],
      )[0];
    }
    if (blocks.kind === "reuse") {
      const choice = this.#choice(blocks.budget, all);
      const alive = this.#firstAlive(blocks.budget);
      const [mixed, importance] = choose(
        alive ? ["float32", "float32"] : ["float32"],
        () => {
          const [attended, shares] = attendToBlocks(graph, rows.q, own, cached, choice, heads);
          return alive ? [attended, this.#added(alive.importance, shares)] : [attended];
        },
        () => (alive ? [several(), this.#noImportance()] : [several()]),
      );
      this.#alive = alive && { ...alive, importance };
      return mixed;
    }
    if (blocks.kind === "prune") {
      const alive = this.#alive;
      if (alive === undefined) throw new Error("no layer has read blocks yet"); // checkPlan forbids it
      const { count, sizes } = this.#budget(`keys.${blocks.keys}`);
      const [mixed, keys, importance] = choose(
        ["float32", "int64", "float32"],
        () => {
          const some = blocks.keys === alive.budget ? alive : mostImportant(graph, alive, count);
          const [attended, shares] = attendToKeys(graph, rows.q, own, cached, some.keys, { ...all, sizes }, heads);
          return [attended, graph.node("Identity", [some.keys]), this.#added(some.importance, shares)];
        },
        () => [several(), graph.node("Identity", [alive.keys]), this.#noImportance()],
      );
      this.#alive = { keys, importance, budget: blocks.keys };
      return mixed;
    }

    const { budget, selector } = blocks;
    const { count, sizes } = this.#budget(budget);
    const choosing = { preference: this.#input("preference", "float32", ["blocks"]), count };
    const last = this.#input(`chosen.${layer}`, "int64", ["chosen"]);
    const [landmark, bound] = LANDMARKS[selector].map((kind) =>
      this.#input(`${kind}.${layer}`, "float32", [nRetrieval, "blocks", heads.headSize]),
    );
    const isPruned = this.#isPruned(layer);
    const wanted = (mixed: Value, blocks: Value, shares: Value) =>
      isPruned ? [mixed, blocks, importanceOf(graph, shares)] : [mixed, blocks];
    const attend = (chosen: Value) => {
      const choice = { blocks: chosen, ...this.#ofBlocks(all, chosen), sizes };
      const [mixed, shares] = attendToBlocks(graph, rows.q, own, cached, choice, heads);
      return wanted(mixed, chosen, shares);
    };
    const anew = () => {
      if (landmark) {
        return attend(
          bound
            ? chooseByBounds(graph, rows.q, [landmark, bound], choosing, heads)
            : chooseByMeans(graph, rows.q, landmark, choosing, heads),
        );
      }
      const [mixed, shares] = oneToken(graph, rows.q, own, cached, all, heads);
      const chosen = chooseByShares(graph, shares, choosing);
      if (!isPruned) return [mixed, chosen];
      return [mixed, chosen, ofBlocks(graph, importanceOf(graph, shares), chosen)];
    };
    const again = () => {
      const [mixed, , ...rest] = attend(last);
      return [mixed, graph.node("Identity", [last]), ...rest];
    };
    const types = ["float32", "int64", ...(isPruned ? (["float32"] as const) : [])] as const;
    const [mixed, chosen, importance] = choose(
      types,
      () => graph.choose(this.#input("refresh", "bool", [1]), types, anew, again),
      () => [several(), graph.node("Identity", [last]), ...(isPruned ? [this.#noImportance()] : [])],
    );
    this.#alive = isPruned ? { keys: keysOf(graph, chosen), importance, budget: budget * BLOCK_TOKENS } : undefined;
    this.#chosen = { blocks: chosen, budget };
    this.#choices.clear();
    const named = (value: Value, name: string) => graph.nodes("Identity", [value], [name])[0];
    graph.output(named(chosen, `choice.${layer}`), "int64", ["chosen"]);
    const newest = graph.node("Gather", [rows.q, graph.ints(-1)], { axis: 1 });
    const width = heads.nHeads * heads.headSize;
    graph.output(named(graph.node("Reshape", [newest, graph.ints(1, width)]), `query.${layer}`), "float32", [1, width]);
    return mixed;
  }

  /** Whether keys that a choosing layer reads are left out before another one chooses. */
  #isPruned(layer: number): boolean {
    for (const { blocks } of this.#plan.layers.slice(layer + 1)) {
      if (blocks.kind === "select") return false;
      if (blocks.kind === "prune") return true;
    }
    return false;
  }

  /** The keys of the best of the blocks that the last layer read, under a budget; undefined where that is not needed. */
  #firstAlive(budget: number): Pruned | undefined {
    const alive = this.#alive;
    const nKeys = budget * BLOCK_TOKENS;
    if (alive === undefined || nKeys >= alive.budget) return nKeys === alive?.budget ? alive : undefined;
    const end = this.#graph.node("Mul", [this.#budget(budget).count, this.#graph.ints(BLOCK_TOKENS)]);
    const first = (x: Value) => this.#graph.node("Slice", [x, this.#graph.ints(0), end]);
    return { keys: first(alive.keys), importance: first(alive.importance), budget: nKeys };
  }

  #added(importance: Value, shares: Value): Value {
    return this.#graph.node("Add", [importance, importanceOf(this.#graph, shares)]);
  }

  /** Of runs of several tokens, which prune nothing. */
  #noImportance(): Value {
    const none = this.#graph.weight("no_importance", "float32", [1], new Float32Array(1));
    return this.#graph.node("Identity", [none]);
  }

  /** Undefined where the plan damps no sinks in the layer. */
  #calibration(layer: number): CalibrationInputs | undefined {
    const { calibration, layers } = this.#plan;
    if (!calibration || calibration.heads[layer].length === 0) return undefined;
    const picked = layers[layer].heads.flatMap((role, head) => (role === "retrieval" ? [head] : []));
    const loss = lossOf(this.#graph, calibration, layer, picked);
    return { sinks: this.#input(`sinks.${layer}`, "float32", [picked.length, 1, "capacity"]), loss };
  }

  /** What is known of each key, of those of some blocks. */
  #ofBlocks({ bias, calibration }: CacheInputs, blocks: Value): Pick<CacheInputs, "bias" | "calibration"> {
    return {
      bias: ofBlocks(this.#graph, bias, blocks),
      calibration: calibration && this.#sinksOf(calibration, blocks),
    };
  }

  #sinksOf({ sinks, loss }: CalibrationInputs, blocks: Value): CalibrationInputs {
    return { sinks: ofBlocksByHead(this.#graph, sinks, blocks), loss };
  }

  /** Also what the cache's keys received, where the plan searches for sinks. */
  #severalTokens(
    rows: Rows,
    own: KeysValues,
    cached: Cached,
    { bias, calibration }: CacheInputs,
    heads: Heads,
  ): [mixed: Value, received: Value | undefined] {
    if (!calibration) return [this.#manyTokens(rows, own, cached, heads), undefined];
    const inputs = {
      bias,
      ownBias: this.#input("damped.own_bias", "float32", ["queries", "n"]),
      sizes: this.#input("damped.sizes", "int64", [2]),
    };
    const graph = this.#graph;
    const [mixed, received] = graph.choose(
      this.#input("is_damped", "bool", [1]),
      ["float32", "float32"],
      () => calibratedTokens(graph, rows.q, own, cached, inputs, heads, calibration),
      () => [this.#manyTokens(rows, own, cached, heads), noShares(graph)],
    );
    return [mixed, received];
  }

  #manyTokens(rows: Rows, own: KeysValues, cached: Cached, heads: Heads): Value {
    const graph = this.#graph;
    const exactly = () => severalTokens(graph, rows, cached, this.#run, heads);
    const { longPrompts } = this.#plan;
    if (longPrompts === undefined) return exactly();
    const inputs = {
      middleEnd: this.#input("hyper.middle_end", "int64", [1]),
      nPast: this.#input("hyper.past", "int64", [1]),
      rowsPerBlock: this.#input("hyper.rows_per_block", "int64", [1]),
      samples: this.#input("hyper.samples", "int64", ["samples"]),
      sampleBias: this.#input("hyper.sample_bias", "float32", ["hyperRows", "samples"]),
      spread: this.#input("hyper.spread", "int64", ["hyperRows"]),
      pick: this.#input("hyper.pick", "int64", ["hyperQueries"]),
      exactBias: this.#input("hyper.exact_bias", "float32", ["hyperTokens", "hyperKeys"]),
      sizes: this.#input("hyper.sizes", "int64", [3]),
    };
    return graph.choose(
      this.#input("is_far", "bool", [1]),
      ["float32"],
      () => [hyperAttention(graph, rows, own, cached, inputs, heads, longPrompts)],
      () => [exactly()],
    )[0];
  }

  #budget(budget: number | string): { count: Value; sizes: Value } {
    return {
      count: this.#input(`count.${budget}`, "int64", [1]),
      sizes: this.#input(`sizes.${budget}`, "int64", [2]),
    };
  }

  /** The best of the blocks that were chosen last, under a budget. */
  #choice(budget: number, all: CacheInputs): Choice {
    const chosen = this.#chosen;
    if (chosen === undefined) throw new Error("no layer has chosen blocks yet"); // checkPlan forbids it
    const { calibration } = all;
    const key = `${budget} ${calibration !== undefined}`;
    const known = this.#choices.get(key);
    // Layers have heads of their own that damp.
    if (known && calibration) return { ...known, calibration: this.#sinksOf(calibration, known.blocks) };
    if (known) return known;
    const graph = this.#graph;
    const { count, sizes } = this.#budget(budget);
    const blocks =
      budget === chosen.budget ? chosen.blocks : graph.node("Slice", [chosen.blocks, graph.ints(0), count]);
    const choice = { blocks, ...this.#ofBlocks(all, blocks), sizes };
    this.#choices.set(key, choice);
    return choice;
  }
}
