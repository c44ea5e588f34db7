/** Inputs of a graph run, by name. */

/** Halves are their bits, in a Uint16Array. */
export type TensorData = Float32Array | Uint16Array | Int8Array | Int32Array | BigInt64Array;

export interface Feed {
  data: TensorData;
  dims: readonly number[];
}

export type Feeds = Record<string, Feed>;
