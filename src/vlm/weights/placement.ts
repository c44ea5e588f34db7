/**
 * Gives every weight of the graphs a place in a file that ONNX Runtime can map, in the form that the
 * dtype asks for.
 *
 * A checkpoint that has this form already is used where it lies. Else its weights are turned once into
 * one safetensors file in the cache folder: half precision, for one, has no matrix product on the CPU
 * provider and is widened.
 */
import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { cacheFolder } from '../../cache-folder.js';
import { GlyphpressError } from '../../errors.js';
import { makeFolder, unusableOutput } from '../../output-folder.js';
import type { Checkpoint } from '../checkpoint.js';
import type { PlacedBlocks, PlacedFloats, WeightPlacement } from '../graph-builder.js';
import type { ExternalData } from '../onnx-model.js';
import { SafetensorsFile } from '../safetensors.js';
import {
  safetensorsByteLength,
  type WritableTensor,
  writeSafetensors,
} from '../safetensors-writer.js';
import { derivedTensors, isInForm } from './derive.js';
import {
  ACCURACY_LEVEL,
  type AccuracyLevel,
  type Dtype,
  formFor,
  QUANTISER_VERSION,
  type WeightForm,
  weightUses,
} from './recipe.js';
import {
  elementCount,
  findWeight,
  type LocatedTensor,
  type StoredOffset,
  type StoredWeight,
  tensorsOf,
} from './stored-weight.js';

/** Everything compiled from one checkpoint lies in one folder. */
export function modelCacheDir(checkpoint: Checkpoint, cacheDir = cacheFolder()): string {
  return join(resolve(cacheDir), 'models', checkpoint.hash.slice(0, 32));
}

export interface PlacedWeights extends WeightPlacement {
  /** File written by us, or undefined when the checkpoint is used in place. */
  readonly derivedFile: string | undefined;
}

export interface PlaceOptions {
  cacheDir?: string | undefined;
  /** How exactly quantised weights are multiplied. @defaultValue 4 */
  accuracyLevel?: AccuracyLevel | undefined;
  /** How many numbers are turned at a time. */
  pieceElements?: number;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

export async function placeWeights(
  checkpoint: Checkpoint,
  dtype: Dtype,
  { cacheDir, accuracyLevel = ACCURACY_LEVEL, ...options }: PlaceOptions = {},
): Promise<PlacedWeights> {
  const uses = [...weightUses(checkpoint)].filter(([, { part }]) => part !== 'embedding');
  const wanted = uses.map(([name, use]) => {
    const weight = checkpoint.weights.get(name)!;
    return { name, weight, form: formFor(weight, use, dtype) };
  });
  // Rounded rows cost a tower more than they save it: its products have many rows, and are no faster.
  const tower = new Set(uses.filter(([, { part }]) => part === 'vision').map(([name]) => name));
  const isStored =
    dtype === checkpoint.quantisedDtype ||
    wanted.every(({ weight, form }) => isInForm(weight, form));
  if (isStored) {
    const weights = new Map(wanted.map(({ name, weight }) => [name, weight]));
    return placeStored(weights, accuracyLevel, tower);
  }
  const folder = modelCacheDir(checkpoint, cacheDir);
  const file = join(folder, `weights-${dtype}-v${QUANTISER_VERSION}.safetensors`);
  const derived = await deriveWeights(wanted, file, options);
  return { ...placeStored(derived, accuracyLevel, tower), derivedFile: file };
}

/** The weights in the forms that are wanted, in a file that is written unless it is there. */
export async function deriveWeights(
  wanted: readonly WantedWeight[],
  file: string,
  options: Pick<PlaceOptions, 'pieceElements' | 'onProgress'> = {},
): Promise<Map<string, StoredWeight>> {
  const shard = openWhole(file) ?? (await derive(wanted, file, options));
  const found = wanted.map(({ name, weight }) => {
    const derived = findWeight([name], weight.shape, [shard]);
    if (!derived) throw new Error(`${file} lacks ${name}`);
    return [name, derived] as const;
  });
  shard.close();
  return new Map(found);
}

export interface WantedWeight {
  name: string;
  weight: StoredWeight;
  form: WeightForm;
}

async function derive(
  wanted: readonly WantedWeight[],
  file: string,
  { pieceElements, onProgress }: PlaceOptions,
): Promise<SafetensorsFile> {
  const total = wanted.reduce((sum, { weight }) => sum + elementCount(weight.shape), 0);
  let done = 0;
  const onElements = (count: number) => {
    done += count;
    onProgress?.(done, total);
  };
  const tensors = wanted.flatMap(({ name, weight, form }) =>
    derivedTensors(weight, name, form, { ...(pieceElements && { pieceElements }), onElements }),
  );
  await writeDerived(file, tensors);
  return SafetensorsFile.open(file);
}

async function writeDerived(file: string, tensors: readonly WritableTensor[]): Promise<void> {
  try {
    await makeFolder(dirname(file));
    await writeSafetensors(file, tensors);
  } catch (cause) {
    if (cause instanceof GlyphpressError) throw cause;
    const megabytes = Math.ceil(safetensorsByteLength(tensors) / 1e6);
    throw unusableOutput(
      file,
      cause,
      `The model's weights take ${megabytes} MB in this type: set GLYPHPRESS_CACHE to a folder that this user may write to, with that much space.`,
    );
  }
}

/** A file that somebody cut short is written again. */
function openWhole(file: string): SafetensorsFile | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return SafetensorsFile.open(file);
  } catch {
    return undefined;
  }
}

/**
 * Weights where they lie.
 *
 * @param widened names of those whose eight bits are widened when they are loaded
 */
export function placeStored(
  weights: ReadonlyMap<string, StoredWeight>,
  accuracyLevel: AccuracyLevel,
  widened: ReadonlySet<string>,
): PlacedWeights {
  const paths = [...weights.values()].flatMap(tensorsOf).map(({ shard }) => shard.path);
  const folder = commonFolder([...new Set(paths)]);
  const external = ({ shard, byteOffset, byteLength }: LocatedTensor): ExternalData => ({
    location: relative(folder, shard.path).split(sep).join('/'),
    offset: byteOffset,
    length: byteLength,
  });
  return {
    folder,
    derivedFile: undefined,
    locate(name): PlacedFloats | PlacedBlocks {
      const weight = weights.get(name);
      if (!weight) throw new Error(`a graph uses undeclared weight ${name}`);
      const { shape } = weight;
      if (weight.form === 'float') {
        const element = ELEMENT[weight.tensor.dtype as keyof typeof ELEMENT];
        return { form: 'float', element, data: external(weight.tensor), shape };
      }
      const { form, bits, blockSize, blocks, scales, offset } = weight;
      return {
        form,
        bits,
        blockSize,
        product: widened.has(name) && bits === 8 ? 'widened' : accuracyLevel,
        shape,
        blocks: external(blocks),
        scales: external(scales),
        offset: placedOffset(offset, external),
      };
    },
  };
}

function placedOffset(
  offset: StoredOffset<LocatedTensor>,
  external: (tensor: LocatedTensor) => ExternalData,
): StoredOffset<ExternalData> {
  if (offset.kind === 'none') return offset;
  if (offset.kind === 'minima') return { ...offset, minima: external(offset.minima) };
  const { kind, zeros, steps } = offset;
  return { kind, zeros: external(zeros), steps: external(steps) };
}

const ELEMENT = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;

/** The deepest folder above all files. Links were resolved before. */
function commonFolder(paths: readonly string[]): string {
  let folder = dirname(paths[0]!);
  while (paths.some((path) => !path.startsWith(folder.endsWith(sep) ? folder : folder + sep)))
    folder = dirname(folder);
  return folder;
}
