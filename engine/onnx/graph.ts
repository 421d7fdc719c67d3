/**
 * A small typed builder of ONNX graphs. It knows no model and no method: fragments add nodes, a compiler puts the
 * fragments together, `build` gives bytes for a session. Large weights never enter these bytes (protobuf ends at 2 GB):
 * they are handed to the session as buffers, or named as slices of files that the session maps itself.
 */
import { basename, dirname } from "node:path";
import {
  type AttributeProto,
  encodeModel,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type ValueInfo,
} from "./proto.ts";

/** ONNX TensorProto.DataType numbers. */
const ELEMENT_TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** A known size or the name of a size that is fixed at run time. */
export type Dim = number | string;

/** A tensor in the graph: the output of a node, an input or a weight. */
export interface Value {
  readonly name: string;
}

/** A float attribute; plain numbers are integer attributes. */
export interface FloatAttribute {
  readonly float: number;
}
export type Attribute = number | readonly number[] | string | FloatAttribute | GraphProto;

/** Marks a number as a float attribute. */
export const float = (value: number): FloatAttribute => ({ float: value });

/** A stretch of a file. */
export interface FileSlice {
  readonly path: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

interface Weight {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView | FileSlice;
}

/** A finished graph. `buffers` are weights handed over in memory; `folder` is where mapped weights lie. */
export interface OnnxModel {
  readonly bytes: Uint8Array;
  readonly buffers: readonly { readonly path: string; readonly data: Uint8Array }[];
  readonly folder: string | undefined;
}

/** Operator sets: ONNX itself, and onnxruntime's own operators. */
const OPSETS = { "": 21, "com.microsoft": 1 };

/** Weights up to this size are written into the model itself. */
const INLINE_BYTES = 1024;

export class GraphBuilder {
  #nodes: NodeProto[] = [];
  #nNodes = 0;
  readonly #weights = new Map<string, Weight>();
  readonly #inputs: ValueInfo[] = [];
  readonly #outputs: ValueInfo[] = [];

  /** Declares an input of the graph. */
  input(name: string, type: ElementType, shape: readonly Dim[]): Value {
    this.#inputs.push(valueInfo(name, type, shape));
    return { name };
  }

  /** Declares a value as an output of the graph, under the value's own name. */
  output(value: Value, type: ElementType, shape: readonly Dim[]): void {
    this.#outputs.push(valueInfo(value.name, type, shape));
  }

  /** A weight. The same name gives the same weight: only the first data are kept. */
  weight(name: string, type: ElementType, shape: readonly number[], data: ArrayBufferView | FileSlice): Value {
    if (!this.#weights.has(name)) this.#weights.set(name, { type, shape, data });
    return { name };
  }

  /** An int64 constant, such as an axis list or a shape. */
  ints(...values: number[]): Value {
    return this.weight(`ints(${values})`, "int64", [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A float32 scalar. */
  scalar(value: number): Value {
    return this.weight(`scalar(${value})`, "float32", [], new Float32Array([value]));
  }

  /**
   * Adds a node with one output. `op` is an ONNX operator, or "com.microsoft.X" for onnxruntime's own. An input that
   * is undefined is left out.
   */
  node(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value {
    return this.nodes(op, inputs, [undefined], attributes)[0];
  }

  /** Adds a node with several outputs: named ones (string), anonymous ones (undefined), and ones left out (null). */
  nodes(
    op: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly (string | undefined | null)[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value[] {
    const dot = op.lastIndexOf(".");
    const name = `${op.slice(dot + 1)}_${this.#nNodes++}`;
    const output = outputs.map((given, i) => (given === null ? "" : (given ?? `${name}.${i}`)));
    this.#nodes.push({
      name,
      opType: op.slice(dot + 1),
      domain: op.slice(0, Math.max(dot, 0)),
      input: inputs.map((value) => value?.name ?? ""),
      output,
      attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
    });
    return output.map((value) => ({ name: value }));
  }

  /**
   * One of two ways to compute the same values, chosen at run time by a bool [1]. Only the chosen one is computed; both
   * may use every value made before them, and their results must have the types given.
   */
  choose(
    condition: Value,
    types: readonly ElementType[],
    whenTrue: () => readonly Value[],
    whenFalse: () => readonly Value[],
  ): Value[] {
    const attributes = {
      then_branch: this.#branch("then", types, whenTrue),
      else_branch: this.#branch("else", types, whenFalse),
    };
    return this.nodes(
      "If",
      [condition],
      types.map(() => undefined),
      attributes,
    );
  }

  #branch(name: string, types: readonly ElementType[], body: () => readonly Value[]): GraphProto {
    const outside = this.#nodes;
    this.#nodes = [];
    const output = body().map((value, i) => valueInfo(value.name, types[i]));
    const branch = { name, node: this.#nodes, initializer: [], input: [], output };
    this.#nodes = outside;
    return branch;
  }

  /** The finished model. */
  build(): OnnxModel {
    const folders = new Set<string>();
    for (const { data } of this.#weights.values()) if (!ArrayBuffer.isView(data)) folders.add(dirname(data.path));
    if (folders.size > 1) throw new Error("the mapped weights of a graph lie in more than one folder");
    const [folder] = folders;
    // onnxruntime takes external weights from memory or from files, not from both in one model.
    const inlineBytes = folder === undefined ? INLINE_BYTES : Number.POSITIVE_INFINITY;
    const buffers: { path: string; data: Uint8Array }[] = [];
    const initializer = [...this.#weights].map(([name, { type, shape, data }]): TensorProto => {
      const tensor = { name, dims: shape, dataType: ELEMENT_TYPES[type] };
      if (!ArrayBuffer.isView(data))
        return { ...tensor, ...external(basename(data.path), data.offset, data.sizeBytes) };
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      if (bytes.length <= inlineBytes) return { ...tensor, rawData: bytes };
      buffers.push({ path: name, data: bytes });
      return { ...tensor, ...external(name, 0, bytes.length) };
    });
    const graph = { name: "longsight", node: this.#nodes, initializer, input: this.#inputs, output: this.#outputs };
    return { bytes: encodeModel(graph, OPSETS), buffers, folder };
  }
}

function external(location: string, offset: number, sizeBytes: number) {
  const entries = { location, offset: String(offset), length: String(sizeBytes) };
  return { externalData: Object.entries(entries).map(([key, value]) => ({ key, value })), dataLocation: 1 as const };
}

/** A value's declaration; without a shape nothing is said about it. */
function valueInfo(name: string, type: ElementType, shape?: readonly Dim[]): ValueInfo {
  const dim = shape?.map((size) => (typeof size === "number" ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: ELEMENT_TYPES[type], shape: dim && { dim } } } };
}

/** AttributeProto.type: 1 float, 2 int, 3 string, 5 graph, 7 ints. */
function attributeProto(name: string, value: Attribute): AttributeProto {
  if (typeof value === "number") return { name, type: 2, i: value };
  if (typeof value === "string") return { name, type: 3, s: Buffer.from(value) };
  if ("node" in value) return { name, type: 5, g: value };
  if ("float" in value) return { name, type: 1, f: value.float };
  return { name, type: 7, ints: value };
}
