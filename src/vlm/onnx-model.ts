/**
 * An ONNX ModelProto in memory, and its bytes. Field numbers: onnx/onnx.proto (IR version 10).
 */
import { MessageWriter } from './protobuf.js';

const IR_VERSION = 10;
const OPSET = 21;

const ELEMENT_TYPE = {
  float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, float16: 10, bfloat16: 16,
} as const; // biome-ignore format: the numbers of onnx.proto, one line
export type ElementType = keyof typeof ELEMENT_TYPE;

/** The number that `Cast` knows the type by. */
export function elementTypeNumber(type: ElementType): number {
  return ELEMENT_TYPE[type];
}

/** A number is an int attribute, `{ float }` a float one, `{ graph }` a branch; arrays are ints. */
export type Attribute =
  | number
  | string
  | { float: number }
  | { graph: OnnxGraph }
  | readonly number[];

export interface OnnxNode {
  opType: string;
  domain: '' | 'com.microsoft';
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, Attribute>>;
}

export interface OnnxValue {
  name: string;
  type: ElementType;
  /** A string is the name of a dimension known only at run time; null leaves all of them open. */
  dims: readonly (number | string)[] | null;
}

export interface ExternalData {
  /** Path relative to the external data folder. */
  location: string;
  offset: number;
  length: number;
}

export interface OnnxInitializer {
  name: string;
  type: ElementType;
  dims: readonly number[];
  data: Uint8Array | ExternalData;
}

export interface OnnxGraph {
  name: string;
  nodes: OnnxNode[];
  inputs: OnnxValue[];
  outputs: OnnxValue[];
  initializers: OnnxInitializer[];
}

export function encodeModel(graph: OnnxGraph): Uint8Array {
  return new MessageWriter()
    .int(1, IR_VERSION)
    .string(2, 'glyphpress')
    .message(7, encodeGraph(graph))
    .message(8, opset('', OPSET))
    .message(8, opset('com.microsoft', 1))
    .finish();
}

function opset(domain: string, version: number): MessageWriter {
  return new MessageWriter().string(1, domain).int(2, version);
}

function encodeGraph(graph: OnnxGraph): MessageWriter {
  const writer = new MessageWriter();
  for (const [index, node] of graph.nodes.entries()) writer.message(1, encodeNode(node, index));
  writer.string(2, graph.name);
  for (const initializer of graph.initializers) writer.message(5, encodeInitializer(initializer));
  for (const value of graph.inputs) writer.message(11, encodeValue(value));
  for (const value of graph.outputs) writer.message(12, encodeValue(value));
  return writer;
}

function encodeNode(node: OnnxNode, index: number): MessageWriter {
  const writer = new MessageWriter();
  for (const input of node.inputs) writer.string(1, input);
  for (const output of node.outputs) writer.string(2, output);
  writer.string(3, `${node.opType}_${index}`).string(4, node.opType);
  for (const [name, value] of Object.entries(node.attributes))
    writer.message(5, encodeAttribute(name, value));
  return writer.string(7, node.domain);
}

function encodeAttribute(name: string, value: Attribute): MessageWriter {
  const writer = new MessageWriter().string(1, name);
  if (typeof value === 'number') return writer.int(3, value).int(20, 2);
  if (typeof value === 'string') return writer.string(4, value).int(20, 3);
  if ('float' in value) return writer.float(2, value.float).int(20, 1);
  if ('graph' in value) return writer.message(6, encodeGraph(value.graph)).int(20, 5);
  for (const entry of value) writer.int(8, entry);
  return writer.int(20, 7);
}

function encodeInitializer({ name, type, dims, data }: OnnxInitializer): MessageWriter {
  const writer = new MessageWriter();
  for (const dim of dims) writer.int(1, dim);
  writer.int(2, ELEMENT_TYPE[type]).string(8, name);
  if (data instanceof Uint8Array) return writer.bytes(9, data);
  for (const [key, value] of Object.entries(data)) {
    writer.message(13, new MessageWriter().string(1, key).string(2, String(value)));
  }
  return writer.int(14, 1);
}

function encodeValue({ name, type, dims }: OnnxValue): MessageWriter {
  const tensor = new MessageWriter().int(1, ELEMENT_TYPE[type]);
  if (dims) tensor.message(2, encodeShape(dims));
  return new MessageWriter().string(1, name).message(2, new MessageWriter().message(1, tensor));
}

function encodeShape(dims: readonly (number | string)[]): MessageWriter {
  const shape = new MessageWriter();
  for (const dim of dims) {
    const writer = new MessageWriter();
    shape.message(1, typeof dim === 'number' ? writer.int(1, dim) : writer.string(2, dim));
  }
  return shape;
}
