/**
 * The part of the ONNX file format that the engine writes, as a protobuf schema. Field numbers are those of the public
 * onnx.proto (IR version 10); fields that are never written are left out.
 */
import protobuf from "protobufjs/light.js";

const root = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: { type: "int64", id: 1 },
        producerName: { type: "string", id: 2 },
        graph: { type: "GraphProto", id: 7 },
        opsetImport: { rule: "repeated", type: "OperatorSetId", id: 8 },
      },
    },
    OperatorSetId: { fields: { domain: { type: "string", id: 1 }, version: { type: "int64", id: 2 } } },
    GraphProto: {
      fields: {
        node: { rule: "repeated", type: "NodeProto", id: 1 },
        name: { type: "string", id: 2 },
        initializer: { rule: "repeated", type: "TensorProto", id: 5 },
        input: { rule: "repeated", type: "ValueInfo", id: 11 },
        output: { rule: "repeated", type: "ValueInfo", id: 12 },
      },
    },
    NodeProto: {
      fields: {
        input: { rule: "repeated", type: "string", id: 1 },
        output: { rule: "repeated", type: "string", id: 2 },
        name: { type: "string", id: 3 },
        opType: { type: "string", id: 4 },
        attribute: { rule: "repeated", type: "Attribute", id: 5 },
        domain: { type: "string", id: 7 },
      },
    },
    Attribute: {
      fields: {
        name: { type: "string", id: 1 },
        f: { type: "float", id: 2 },
        i: { type: "int64", id: 3 },
        s: { type: "bytes", id: 4 },
        g: { type: "GraphProto", id: 6 },
        ints: { rule: "repeated", type: "int64", id: 8, options: { packed: false } },
        type: { type: "int32", id: 20 },
      },
    },
    TensorProto: {
      fields: {
        dims: { rule: "repeated", type: "int64", id: 1, options: { packed: false } },
        dataType: { type: "int32", id: 2 },
        name: { type: "string", id: 8 },
        rawData: { type: "bytes", id: 9 },
        externalData: { rule: "repeated", type: "StringEntry", id: 13 },
        dataLocation: { type: "int32", id: 14 },
      },
    },
    StringEntry: { fields: { key: { type: "string", id: 1 }, value: { type: "string", id: 2 } } },
    ValueInfo: { fields: { name: { type: "string", id: 1 }, type: { type: "TypeProto", id: 2 } } },
    TypeProto: { fields: { tensorType: { type: "TensorType", id: 1 } } },
    TensorType: { fields: { elemType: { type: "int32", id: 1 }, shape: { type: "TensorShape", id: 2 } } },
    TensorShape: { fields: { dim: { rule: "repeated", type: "Dimension", id: 1 } } },
    Dimension: { fields: { dimValue: { type: "int64", id: 1 }, dimParam: { type: "string", id: 2 } } },
  },
});

export interface ValueInfo {
  readonly name: string;
  readonly type: {
    readonly tensorType: {
      readonly elemType: number;
      readonly shape?: { readonly dim: readonly ({ readonly dimValue: number } | { readonly dimParam: string })[] };
    };
  };
}

export interface AttributeProto {
  readonly name: string;
  readonly type: number;
  readonly f?: number;
  readonly i?: number;
  readonly s?: Uint8Array;
  readonly g?: GraphProto;
  readonly ints?: readonly number[];
}

export interface NodeProto {
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly name: string;
  readonly opType: string;
  readonly attribute: readonly AttributeProto[];
  readonly domain: string;
}

export interface TensorProto {
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly rawData?: Uint8Array;
  readonly externalData?: readonly { readonly key: string; readonly value: string }[];
  readonly dataLocation?: 1;
}

export interface GraphProto {
  readonly name: string;
  readonly node: readonly NodeProto[];
  readonly initializer: readonly TensorProto[];
  readonly input: readonly ValueInfo[];
  readonly output: readonly ValueInfo[];
}

const modelType = root.lookupType("ModelProto");

/** Serialises a graph as an ONNX model that uses the given operator sets. */
export function encodeModel(graph: GraphProto, opsets: Readonly<Record<string, number>>): Uint8Array {
  const opsetImport = Object.entries(opsets).map(([domain, version]) => ({ domain, version }));
  const message = modelType.fromObject({ irVersion: 10, producerName: "longsight", graph, opsetImport });
  return modelType.encode(message).finish();
}
