/** Small networks that ship beside the default model, whole in memory. */
import { readFileSync } from "node:fs";

export type Tensors = ReadonlyMap<string, Float32Array>;

/** The float32 tensors of a safetensors file that ships with the package. */
export function readTensors(path: string): Tensors {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const { __metadata__, ...header } = JSON.parse(bytes.toString("utf8", 8, start));
  return new Map(
    Object.entries(header as Record<string, { data_offsets: [number, number] }>).map(([name, { data_offsets }]) => {
      const [from, to] = data_offsets.map((offset) => start + offset);
      return [name, new Float32Array(Uint8Array.from(bytes.subarray(from, to)).buffer)];
    }),
  );
}
