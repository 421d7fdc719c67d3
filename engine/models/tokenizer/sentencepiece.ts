/** Tokenizers out of SentencePiece's own files (tokenizer.model). Source: sentencepiece_model.proto. */
import protobuf from "protobufjs/light.js";
import { damaged, unsupported } from "./fields.ts";
import { tokenizerFromGguf } from "./gguf.ts";
import type { ModelTokenizer } from "./tokenizer.ts";

const { ModelProto } = protobuf.Root.fromJSON({
  nested: {
    SentencePiece: {
      fields: {
        piece: { id: 1, type: "string" },
        score: { id: 2, type: "float" },
        type: { id: 3, type: "int32", options: { default: 1 } },
      },
    },
    TrainerSpec: {
      fields: {
        modelType: { id: 3, type: "int32", options: { default: 1 } },
        unkId: { id: 40, type: "int32", options: { default: 0 } },
        bosId: { id: 41, type: "int32", options: { default: 1 } },
        eosId: { id: 42, type: "int32", options: { default: 2 } },
      },
    },
    NormalizerSpec: {
      fields: {
        precompiledCharsmap: { id: 2, type: "bytes" },
        addDummyPrefix: { id: 3, type: "bool", options: { default: true } },
      },
    },
    ModelProto: {
      fields: {
        pieces: { id: 1, type: "SentencePiece", rule: "repeated" },
        trainerSpec: { id: 2, type: "TrainerSpec" },
        normalizerSpec: { id: 3, type: "NormalizerSpec" },
      },
    },
  },
}).nested as { ModelProto: protobuf.Type };

const BPE = 2;

/** The parts of the message that are used, with the format's defaults filled in. */
interface Model {
  readonly pieces: readonly { readonly piece: string; readonly score: number; readonly type: number }[];
  readonly trainerSpec: Readonly<Record<"modelType" | "unkId" | "bosId" | "eosId", number>> | null;
  readonly normalizerSpec: { readonly precompiledCharsmap: Uint8Array; readonly addDummyPrefix: boolean } | null;
}

/**
 * The tokenizer of a SentencePiece BPE model; throws bad-model or unsupported. Spaces are never collapsed, whatever
 * the file asks for: indentation is part of code, and GGUF files of the same models keep it as well.
 */
export function tokenizerFromSentencePiece(bytes: Uint8Array, chatTemplate?: string): ModelTokenizer {
  const { pieces, trainerSpec, normalizerSpec } = decoded(bytes);
  if (trainerSpec?.modelType !== BPE) throw unsupported("a SentencePiece model other than BPE");
  if ((normalizerSpec?.precompiledCharsmap.length ?? 0) > 0) throw unsupported("a table of replaced characters");
  const id = (value: number): number | undefined => (value < 0 ? undefined : value);
  // GGUF took its names and numbers for this family from SentencePiece.
  return tokenizerFromGguf(
    new Map<string, unknown>([
      ["tokenizer.ggml.model", "llama"],
      ["tokenizer.ggml.tokens", pieces.map(({ piece }) => piece)],
      ["tokenizer.ggml.scores", pieces.map(({ score }) => score)],
      ["tokenizer.ggml.token_type", pieces.map(({ type }) => type)],
      ["tokenizer.ggml.unknown_token_id", id(trainerSpec.unkId)],
      ["tokenizer.ggml.bos_token_id", id(trainerSpec.bosId)],
      ["tokenizer.ggml.eos_token_id", id(trainerSpec.eosId)],
      ["tokenizer.ggml.add_space_prefix", normalizerSpec?.addDummyPrefix ?? true],
      ["tokenizer.chat_template", chatTemplate],
    ]),
  );
}

function decoded(bytes: Uint8Array): Model {
  try {
    return ModelProto.decode(bytes) as unknown as Model;
  } catch {
    throw damaged("it is not a SentencePiece model");
  }
}
