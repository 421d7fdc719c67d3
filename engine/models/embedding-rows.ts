/**
 * Single rows of a matrix, such as the embeddings of a text's tokens: read where they lie, so that a table of a hundred
 * megabytes is never held in memory for the few rows a text needs.
 */
import { ByteFile } from "./files/byte-file.ts";
import type { FileSlice, Matrix } from "./types.ts";

const BLOCK = 32;

export class EmbeddingRows {
  readonly #matrix: Matrix;
  /** The files that hold the rows, by their paths; none where the matrix is in memory. */
  readonly #files = new Map<string, ByteFile>();

  constructor(matrix: Matrix) {
    this.#matrix = matrix;
  }

  /** The rows with the given indices, which must exist: [indices.length, cols]. */
  read(indices: readonly number[]): Float32Array {
    const { cols } = this.#matrix;
    const rows = new Float32Array(indices.length * cols);
    indices.forEach((index, i) => {
      this.#row(index, rows.subarray(i * cols, (i + 1) * cols));
    });
    return rows;
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  #row(index: number, out: Float32Array): void {
    const matrix = this.#matrix;
    const { cols } = matrix;
    if (matrix.kind === "f32") {
      const { dataAt } = matrix;
      out.set(
        dataAt ? floats(this.#read(dataAt, index, 4 * cols)) : matrix.data.subarray(index * cols, (index + 1) * cols),
      );
      return;
    }
    const { bits, packedAt, scalesAt } = matrix;
    const nBlocks = Math.ceil(cols / BLOCK);
    const nBytes = (nBlocks * BLOCK * bits) / 8;
    const packed = packedAt
      ? this.#read(packedAt, index, nBytes)
      : matrix.packed.subarray(index * nBytes, (index + 1) * nBytes);
    const scales = scalesAt
      ? floats(this.#read(scalesAt, index, 4 * nBlocks))
      : matrix.scales.subarray(index * nBlocks, (index + 1) * nBlocks);
    for (let col = 0; col < cols; col++) {
      const level = bits === 8 ? packed[col] - 128 : ((packed[col >> 1] >> (4 * (col & 1))) & 15) - 8;
      out[col] = level * scales[Math.floor(col / BLOCK)];
    }
  }

  #read({ path, offset }: FileSlice, index: number, nBytes: number): Uint8Array<ArrayBuffer> {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = new ByteFile(path);
      this.#files.set(path, file);
    }
    return file.read(offset + index * nBytes, nBytes);
  }
}

const floats = (bytes: Uint8Array<ArrayBuffer>) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
