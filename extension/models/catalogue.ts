/**
 * The models that Longsight offers to download: each runs on it, chats, and may be used freely. Sizes and checksums are
 * published ones (DECISIONS.md names where); a file that is not byte for byte the one described here is deleted.
 */
import { join } from "node:path";
import { fileNameOf } from "./download.ts";

/** How the weights of a file are stored. */
export type Quantisation = "Q4_0" | "Q8_0" | "Q4_K_M";

export interface CatalogueModel {
  readonly name: string;
  /** Whether it can also complete code at a cursor. */
  readonly completes: boolean;
  readonly quantisation: Quantisation;
  readonly sizeBytes: number;
  /** What each token of a conversation adds in memory: a float32 key and value for every layer and head. */
  readonly bytesPerToken: number;
  /** SPDX identifier. */
  readonly licence: string;
  readonly sha256: string;
  readonly url: string;
}

const hub = (path: string) => `https://huggingface.co/${path}`;

/** Small ones first. */
export const CATALOGUE: readonly CatalogueModel[] = [
  {
    name: "Qwen2.5 Coder 0.5B Instruct",
    completes: true,
    quantisation: "Q4_0",
    sizeBytes: 428_730_240,
    bytesPerToken: 24_576,
    licence: "Apache-2.0",
    sha256: "9739055e046d62a937e5b7879012209ef40ebea8a1569a96028de491f3f091d5",
    url: hub("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_0.gguf"),
  },
  {
    name: "Qwen3 0.6B",
    completes: false,
    quantisation: "Q8_0",
    sizeBytes: 639_446_688,
    bytesPerToken: 229_376,
    licence: "Apache-2.0",
    sha256: "9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031",
    url: hub("Qwen/Qwen3-0.6B-GGUF/resolve/main/Qwen3-0.6B-Q8_0.gguf"),
  },
  {
    name: "SmolLM2 1.7B Instruct",
    completes: false,
    quantisation: "Q4_K_M",
    sizeBytes: 1_055_609_536,
    bytesPerToken: 393_216,
    licence: "Apache-2.0",
    sha256: "decd2598bc2c8ed08c19adc3c8fdd461ee19ed5708679d1c54ef54a5a30d4f33",
    url: hub("HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF/resolve/main/smollm2-1.7b-instruct-q4_k_m.gguf"),
  },
  {
    name: "Qwen2.5 Coder 1.5B Instruct",
    completes: true,
    quantisation: "Q4_K_M",
    sizeBytes: 1_117_320_768,
    bytesPerToken: 57_344,
    licence: "Apache-2.0",
    sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    url: hub("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
  },
  {
    name: "Qwen3 1.7B",
    completes: false,
    quantisation: "Q8_0",
    sizeBytes: 1_834_426_016,
    bytesPerToken: 229_376,
    licence: "Apache-2.0",
    sha256: "061b54daade076b5d3362dac252678d17da8c68f07560be70818cace6590cb1a",
    url: hub("Qwen/Qwen3-1.7B-GGUF/resolve/main/Qwen3-1.7B-Q8_0.gguf"),
  },
  {
    name: "Qwen3 4B Instruct 2507",
    completes: false,
    quantisation: "Q4_0",
    sizeBytes: 2_375_773_280,
    bytesPerToken: 294_912,
    licence: "Apache-2.0",
    sha256: "e0ba675d86ab277c61701c6793659b2ae801d95e3be791464c321e6fbf613be2",
    url: hub("unsloth/Qwen3-4B-Instruct-2507-GGUF/resolve/main/Qwen3-4B-Instruct-2507-Q4_0.gguf"),
  },
  {
    name: "Qwen2.5 Coder 7B Instruct",
    completes: true,
    quantisation: "Q4_K_M",
    sizeBytes: 4_683_073_536,
    bytesPerToken: 114_688,
    licence: "Apache-2.0",
    sha256: "509287f78cb4d4cf6b3843734733b914b2c158e43e22a7f4bf5e963800894d3c",
    url: hub("Qwen/Qwen2.5-Coder-7B-Instruct-GGUF/resolve/main/qwen2.5-coder-7b-instruct-q4_k_m.gguf"),
  },
];

/** Where a model of the catalogue lies once it is downloaded. */
export function pathOf({ url }: CatalogueModel, folder: string): string {
  return join(folder, fileNameOf(url) ?? "");
}
