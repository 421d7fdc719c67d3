/** Linear layers and embedding tables, float32 or block-quantised to 4 or 8 bits. */
import type { FileSlice, GraphBuilder, Value } from "./graph.ts";

/** A matrix [rows, cols] = [outputs, inputs], row-major. Quantised as com.microsoft.MatMulNBits wants it, blocks of 32. */
export type LinearWeight =
  | { readonly kind: "f32"; readonly rows: number; readonly cols: number; readonly data: Float32Array | FileSlice }
  | {
      readonly kind: "quant";
      readonly bits: 4 | 8;
      readonly rows: number;
      readonly cols: number;
      readonly packed: Uint8Array | FileSlice;
      readonly scales: Float32Array | FileSlice;
    };

const BLOCK = 32;

/** Whether products with quantised weights round the inputs to int8 too: four times faster, 0.4 % relative error. */
export type Accuracy = "float" | "int8";

export interface LinearOptions {
  readonly accuracy: Accuracy;
  readonly bias?: Float32Array;
  /** The name of the product, where it is an output of the graph. */
  readonly output?: string;
}

/** x [..., cols] -> x weightᵀ + bias [..., rows]. */
export function linear(
  graph: GraphBuilder,
  x: Value,
  name: string,
  weight: LinearWeight,
  options: LinearOptions,
): Value {
  const { rows, cols } = weight;
  const bias = options.bias && graph.weight(`${name}.bias`, "float32", [rows], options.bias);
  if (weight.kind === "f32") {
    const matrix = graph.weight(name, "float32", [rows, cols], weight.data);
    const [product] = graph.nodes("com.microsoft.FusedMatMul", [x, matrix], [bias ? undefined : options.output], {
      transB: 1,
    });
    return bias ? graph.nodes("Add", [product, bias], [options.output])[0] : product;
  }
  const { bits } = weight;
  const blocks = Math.ceil(cols / BLOCK);
  const packed = graph.weight(`${name}.packed`, "uint8", [rows, blocks, (BLOCK * bits) / 8], weight.packed);
  const scales = graph.weight(`${name}.scales`, "float32", [rows, blocks], weight.scales);
  const inputs = [x, packed, scales, undefined, undefined, bias];
  return graph.nodes("com.microsoft.MatMulNBits", inputs, [options.output], {
    K: cols,
    N: rows,
    bits,
    block_size: BLOCK,
    accuracy_level: options.accuracy === "int8" ? 4 : 1,
  })[0];
}

/** Rows of a float32 embedding table: ids [...] of int64 -> [..., cols]. */
export function embedding(graph: GraphBuilder, ids: Value, name: string, table: LinearWeight): Value {
  if (table.kind !== "f32") throw new Error(`${name} is quantised, its rows cannot be gathered`);
  return graph.node("Gather", [graph.weight(name, "float32", [table.rows, table.cols], table.data), ids]);
}
