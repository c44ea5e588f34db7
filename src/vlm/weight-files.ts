/**
 * Gives every weight a place in a file that ONNX Runtime can map as float32.
 *
 * A float32 checkpoint is used where it lies. Half precision has no matrix product on the CPU
 * provider, so such a checkpoint is widened once into one file in the cache folder.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { cacheFolder } from '../cache-folder.js';
import { GlyphpressError } from '../errors.js';
import { makeFolder, unusableOutput } from '../output-folder.js';
import type { Checkpoint, StoredTensor } from './checkpoint.js';
import { bfloat16ToFloat32, float16ToFloat32 } from './float16.js';
import type { WeightPlacement } from './graph-builder.js';
import { elementBytes } from './safetensors.js';

/** Part of the file name: raise it when the layout changes. */
const LAYOUT_VERSION = 1;
const ALIGNMENT = 4096;
const PIECE_ELEMENTS = 4 * 1024 * 1024;

/** Everything compiled from one checkpoint lies in one folder. */
export function modelCacheDir(checkpoint: Checkpoint, cacheDir = cacheFolder()): string {
  return join(resolve(cacheDir), 'models', checkpoint.hash.slice(0, 32));
}

export interface PlacedWeights extends WeightPlacement {
  /** File written by us, or undefined when the checkpoint is used in place. */
  readonly widenedFile: string | undefined;
}

/** @param pieceElements how much is widened at a time */
export async function placeWeights(
  checkpoint: Checkpoint,
  cacheDir?: string,
  pieceElements = PIECE_ELEMENTS,
): Promise<PlacedWeights> {
  if (checkpoint.dtype === 'F32') return placeInCheckpoint(checkpoint);
  const folder = modelCacheDir(checkpoint, cacheDir);
  const offsets = new Map<string, number>();
  let size = 0;
  for (const [name, weight] of checkpoint.weights) {
    offsets.set(name, size);
    size = align(size + floatBytes(weight));
  }
  const file = join(folder, `weights-fp32-v${LAYOUT_VERSION}.bin`);
  if (!existsSync(file) || statSync(file).size !== size) {
    await widen(checkpoint, file, offsets, size, pieceElements);
  }
  return {
    folder,
    widenedFile: file,
    locate(name) {
      const weight = requireWeight(checkpoint, name);
      const location = relative(folder, file);
      return {
        location,
        offset: offsets.get(name)!,
        length: floatBytes(weight),
        shape: weight.shape,
      };
    },
  };
}

function placeInCheckpoint(checkpoint: Checkpoint): PlacedWeights {
  const folder = commonFolder(checkpoint.shards.map((shard) => shard.path));
  return {
    folder,
    widenedFile: undefined,
    locate(name) {
      const { shard, byteOffset, byteLength, shape } = requireWeight(checkpoint, name);
      const location = relative(folder, shard.path).split(sep).join('/');
      return { location, offset: byteOffset, length: byteLength, shape };
    },
  };
}

/** The deepest folder above all files. Links were resolved before. */
function commonFolder(paths: readonly string[]): string {
  let folder = dirname(paths[0]!);
  while (paths.some((path) => !path.startsWith(folder.endsWith(sep) ? folder : folder + sep)))
    folder = dirname(folder);
  return folder;
}

/** Tensor by tensor and piece by piece, so memory stays at a few pieces whatever the model's size. */
async function widen(
  checkpoint: Checkpoint,
  file: string,
  offsets: ReadonlyMap<string, number>,
  size: number,
  pieceElements: number,
): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await makeFolder(dirname(file));
    const handle = await open(temporary, 'wx');
    try {
      await handle.truncate(size);
      for (const [name, weight] of checkpoint.weights) {
        let position = offsets.get(name)!;
        for (const floats of floatPieces(weight, pieceElements)) {
          await writeAll(handle, floats, position);
          position += floats.byteLength;
        }
      }
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {});
    if (cause instanceof GlyphpressError) throw cause;
    const megabytes = Math.ceil(size / 1e6);
    throw unusableOutput(
      file,
      cause,
      `The model's weights in float32 take ${megabytes} MB: set GLYPHPRESS_CACHE to a folder that this user may write to, with that much space.`,
    );
  }
}

/** A single write may stop short, on a full disk for one; then the next one says why. */
async function writeAll(handle: FileHandle, floats: Float32Array, position: number): Promise<void> {
  const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  let done = 0;
  while (done < bytes.byteLength) {
    const rest = bytes.byteLength - done;
    done += (await handle.write(bytes, done, rest, position + done)).bytesWritten;
  }
}

function* floatPieces(
  { shard, name, byteLength, dtype }: StoredTensor,
  pieceElements: number,
): Generator<Float32Array> {
  const total = byteLength / elementBytes(dtype);
  for (let first = 0; first < total; first += pieceElements) {
    const count = Math.min(pieceElements, total - first);
    yield shard.readFloat32(name, first, count);
  }
}

/** Rows of the embedding table, read from the file when a prompt needs them. */
export class EmbeddingTable {
  constructor(
    private readonly weight: StoredTensor,
    readonly width: number,
  ) {}

  /** Writes row `tokenId` to `target` at `offset`. */
  read(tokenId: number, target: Float32Array, offset: number): void {
    const rows = this.weight.shape[0]!;
    if (tokenId < 0 || tokenId >= rows) {
      throw new GlyphpressError('GP_CHECKPOINT', {
        message: `Token ${tokenId} has no embedding; ${this.weight.shard.path} holds ${rows} rows.`,
        hint: 'tokenizer.json and weights belong to different models; get both from one place.',
        details: { tokenId, rows, tensor: this.weight.name },
      });
    }
    const size = elementBytes(this.weight.dtype);
    const bytes = this.weight.shard.readBytes(
      this.weight.name,
      tokenId * this.width * size,
      this.width * size,
    );
    const row = target.subarray(offset, offset + this.width);
    if (this.weight.dtype === 'F32') row.set(new Float32Array(bytes.buffer));
    else if (this.weight.dtype === 'F16') float16ToFloat32(new Uint16Array(bytes.buffer), row);
    else bfloat16ToFloat32(new Uint16Array(bytes.buffer), row);
  }
}

function requireWeight(checkpoint: Checkpoint, name: string): StoredTensor {
  const weight = checkpoint.weights.get(name);
  if (!weight)
    throw new Error(
      `family ${checkpoint.config.family} builds a graph with undeclared weight ${name}`,
    );
  return weight;
}

function floatBytes({ shape }: StoredTensor): number {
  return shape.reduce((product, size) => product * size, 4);
}

function align(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}
