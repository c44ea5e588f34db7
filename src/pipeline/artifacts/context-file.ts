/**
 * A prefilled context as a file, one pair of tensors a layer: keys and values in float16, or in eight bits
 * with a scale for each row of a head where the model holds them so.
 */

import path from 'node:path';
import {
  type KvRows,
  kvDtypeOf,
  kvFromFloat32,
  kvRowBytes,
  type PrefilledContext,
  parseSafetensors,
  storedKvDtype,
  type WritableTensor,
  writeSafetensors,
} from '../../vlm/index.js';

export const CONTEXT_FILE = 'context.safetensors';

export interface ContextShape {
  kvHeads: number;
  headDim: number;
}

/** @returns bytes of keys and values, without the file's header */
export async function writeContext(
  folder: string,
  context: PrefilledContext,
  { kvHeads, headDim }: ContextShape,
): Promise<number> {
  const stored = asStored(context, { headDim });
  const tensors = stored.layers.flatMap(({ length, keys, values }, layer) => [
    ...rowTensors(`layers.${layer}.keys`, keys, [kvHeads, length, headDim]),
    ...rowTensors(`layers.${layer}.values`, values, [kvHeads, length, headDim]),
  ]);
  const { nextPosition, layerVisualTokens, promptTokens, keptCells, questionFirst } = context;
  const cells = keptCells.flatMap((stage, drop) =>
    stage.map(
      ({ image, cell }): WritableTensor => ({
        name: `drops.${drop}.images.${image}.cells`,
        dtype: 'I32',
        shape: [cell.length],
        data: cell,
      }),
    ),
  );
  const places = Object.entries(context.places ?? {}).map(
    ([name, data]): WritableTensor => ({
      name: placesName(name),
      dtype: 'I32',
      shape: [data.length],
      data,
    }),
  );
  await writeSafetensors(path.join(folder, CONTEXT_FILE), [...tensors, ...cells, ...places], {
    nextPosition: String(nextPosition),
    promptTokens: String(promptTokens),
    layerVisualTokens: JSON.stringify(layerVisualTokens),
    layers: String(context.layers.length),
    drops: String(keptCells.length),
    ...(questionFirst !== undefined && { questionFirst }),
  });
  return storedBytes(context, { kvHeads, headDim });
}

const placesName = (name: string) => `rows.${name}`;

const scalesName = (name: string) => `${name}.scales`;

function rowTensors(name: string, rows: KvRows, shape: readonly number[]): WritableTensor[] {
  if (rows instanceof Float32Array) throw new Error('float32 is not stored');
  if (rows instanceof Uint16Array) return [{ name, dtype: 'F16', shape, data: rows }];
  const scales = { name: scalesName(name), dtype: 'F32' as const, shape: shape.slice(0, 2) };
  return [
    { name, dtype: 'I8', shape, data: rows.codes },
    { ...scales, data: rows.scales },
  ];
}

/** Keys and values as they are stored, without the file's header. */
export function storedBytes(
  { layers }: Pick<PrefilledContext, 'layers'>,
  { kvHeads, headDim }: ContextShape,
): number {
  return layers.reduce((sum, { length, keys }) => {
    const rowBytes = kvRowBytes(storedKvDtype(kvDtypeOf(keys)), headDim);
    return sum + 2 * kvHeads * length * rowBytes;
  }, 0);
}

/** The context as {@link readContext} would give it, without a file: float32 is rounded to float16. */
export function asStored(
  context: PrefilledContext,
  { headDim }: Pick<ContextShape, 'headDim'>,
): PrefilledContext {
  const stored = (rows: KvRows) =>
    rows instanceof Float32Array ? kvFromFloat32(rows, 'fp16', headDim) : rows;
  return {
    ...context,
    layers: context.layers.map(({ length, keys, values }) => ({
      length,
      keys: stored(keys),
      values: stored(values),
    })),
  };
}

/** The same context as it was stored. */
export function readContext(bytes: Uint8Array): PrefilledContext {
  const file = parseSafetensors(bytes, { code: 'GP_ARTIFACT_DAMAGED', name: CONTEXT_FILE });
  const { metadata } = file;
  const rows = (name: string): KvRows => {
    // A copy of its own: memory of odd offsets cannot be seen as numbers.
    const numbers = new Uint8Array(file.readBytes(name)).buffer;
    if (!file.tensors.has(scalesName(name))) return new Uint16Array(numbers);
    return { codes: new Int8Array(numbers), scales: file.readFloat32(scalesName(name)) };
  };
  const layers = Array.from({ length: Number(metadata.layers) }, (_, layer) => ({
    length: file.tensors.get(`layers.${layer}.keys`)!.shape[1]!,
    keys: rows(`layers.${layer}.keys`),
    values: rows(`layers.${layer}.values`),
  }));
  const int32 = (name: string) => new Int32Array(new Uint8Array(file.readBytes(name)).buffer);
  const places = file.tensors.has(placesName('image'))
    ? { image: int32(placesName('image')), cell: int32(placesName('cell')) }
    : undefined;
  const keptCells: PrefilledContext['keptCells'] = Array.from(
    { length: Number(metadata.drops) },
    () => [],
  );
  for (const name of file.tensors.keys()) {
    const match = /^drops\.(\d+)\.images\.(\d+)\.cells$/.exec(name);
    if (!match) continue;
    keptCells[Number(match[1])]!.push({ image: Number(match[2]), cell: int32(name) });
  }
  return {
    layers,
    nextPosition: Number(metadata.nextPosition),
    promptTokens: Number(metadata.promptTokens),
    layerVisualTokens: JSON.parse(metadata.layerVisualTokens!) as number[],
    keptCells,
    ...(places && { places }),
    ...(metadata.questionFirst !== undefined && { questionFirst: metadata.questionFirst }),
  };
}
