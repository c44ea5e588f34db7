/** Inputs of a graph run, by name. */
export type TensorData = Float32Array | Int32Array | BigInt64Array;

export interface Feed {
  data: TensorData;
  dims: readonly number[];
}

export type Feeds = Record<string, Feed>;
