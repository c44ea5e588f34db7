/** A prefilled context as a file: keys and values in float16, one pair of tensors a layer. */

import path from 'node:path';
import {
  float16ToFloat32,
  float32ToFloat16,
  type PrefilledContext,
  parseSafetensors,
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
  const tensors = context.layers.flatMap(({ length, keys, values }, layer): WritableTensor[] => {
    const shape = [kvHeads, length, headDim];
    return [
      { name: `layers.${layer}.keys`, dtype: 'F16', shape, data: () => [float32ToFloat16(keys)] },
      {
        name: `layers.${layer}.values`,
        dtype: 'F16',
        shape,
        data: () => [float32ToFloat16(values)],
      },
    ];
  });
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
  await writeSafetensors(path.join(folder, CONTEXT_FILE), [...tensors, ...cells], {
    nextPosition: String(nextPosition),
    promptTokens: String(promptTokens),
    layerVisualTokens: JSON.stringify(layerVisualTokens),
    layers: String(context.layers.length),
    drops: String(keptCells.length),
    ...(questionFirst !== undefined && { questionFirst }),
  });
  return storedBytes(context, { kvHeads, headDim });
}

/** Keys and values in float16, without the file's header. */
export function storedBytes(
  { layers }: Pick<PrefilledContext, 'layers'>,
  { kvHeads, headDim }: ContextShape,
): number {
  return layers.reduce((sum, { length }) => sum + length * kvHeads * headDim * 2 * 2, 0);
}

/** The context as {@link readContext} would give it, without a file. */
export function asStored(context: PrefilledContext): PrefilledContext {
  const rounded = (values: Float32Array) => float16ToFloat32(float32ToFloat16(values));
  return {
    ...context,
    layers: context.layers.map(({ length, keys, values }) => ({
      length,
      keys: rounded(keys),
      values: rounded(values),
    })),
  };
}

/** The same context, keys and values rounded to float16 on the way. */
export function readContext(bytes: Uint8Array): PrefilledContext {
  const file = parseSafetensors(bytes, { code: 'GP_ARTIFACT_DAMAGED', name: CONTEXT_FILE });
  const { metadata } = file;
  const layers = Array.from({ length: Number(metadata.layers) }, (_, layer) => ({
    length: file.tensors.get(`layers.${layer}.keys`)!.shape[1]!,
    keys: file.readFloat32(`layers.${layer}.keys`),
    values: file.readFloat32(`layers.${layer}.values`),
  }));
  const keptCells: PrefilledContext['keptCells'] = Array.from(
    { length: Number(metadata.drops) },
    () => [],
  );
  for (const name of file.tensors.keys()) {
    const match = /^drops\.(\d+)\.images\.(\d+)\.cells$/.exec(name);
    if (!match) continue;
    const cell = new Int32Array(new Uint8Array(file.readBytes(name)).buffer);
    keptCells[Number(match[1])]!.push({ image: Number(match[2]), cell });
  }
  return {
    layers,
    nextPosition: Number(metadata.nextPosition),
    promptTokens: Number(metadata.promptTokens),
    layerVisualTokens: JSON.parse(metadata.layerVisualTokens!) as number[],
    keptCells,
    ...(metadata.questionFirst !== undefined && { questionFirst: metadata.questionFirst }),
  };
}
