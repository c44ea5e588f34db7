/**
 * Default dtype of a model, and the memory that each dtype takes.
 */
import { totalmem } from 'node:os';
import { GlyphpressError } from '../../errors.js';
import type { Checkpoint } from '../checkpoint.js';
import { DTYPES, type Dtype, formFor, type ModelWeights, weightUses } from './recipe.js';
import { elementCount } from './stored-weight.js';

export interface ChosenDtype {
  dtype: Dtype;
  /** A sentence for people when the choice was made for them and is not the plain one; else null. */
  reason: string | null;
}

/**
 * Bytes that a loaded weight takes, by the bits it is held in: the runtime repacks quantised weights, and
 * keeps scales and sums of their blocks in float32. Measured 2026-11, onnxruntime-node 1.30; four bits in the
 * shapes of Glyph-9B by test/bench/full-size.bench.ts.
 */
const LOADED_BYTES = { float: 4, 8: 1.35, 4: 1.06 } as const;

/** Up to this size float32 is kept: it costs little, and nothing is rounded. */
const SMALL_BYTES = 1024 ** 3;

/** Share of the machine's memory that weights may take, beside contexts, pages and other programs. */
const MEMORY_SHARE = 0.5;

/** Memory of the weights once loaded, in bytes, without contexts and scratch. */
export function weightMemory(checkpoint: ModelWeights, dtype: Dtype): number {
  let bytes = 0;
  for (const [name, use] of weightUses(checkpoint)) {
    if (use.part === 'embedding') continue;
    const weight = checkpoint.weights.get(name)!;
    const form = formFor(weight, use, dtype);
    bytes += elementCount(weight.shape) * LOADED_BYTES['float' in form ? 'float' : form.bits];
  }
  return bytes;
}

/**
 * What was asked for; else as the weights are stored if they are quantised; else float32 for a small
 * model, and for others int8, or int4 where int8 does not fit.
 *
 * Decided by the machine's memory, not by what is free at the moment: the dtype is part of every key,
 * and a service's processes must come to one answer.
 */
export function chooseDtype(
  checkpoint: Checkpoint,
  requested?: string,
  memory = machineMemory(),
): ChosenDtype {
  if (requested !== undefined) return { dtype: checkDtype(requested), reason: null };
  if (checkpoint.quantisedDtype) return { dtype: checkpoint.quantisedDtype, reason: null };
  const full = weightMemory(checkpoint, 'fp32');
  if (full <= SMALL_BYTES) return { dtype: 'fp32', reason: null };
  const int8 = weightMemory(checkpoint, 'int8');
  const dtype = int8 <= MEMORY_SHARE * memory ? 'int8' : 'int4';
  const needed = dtype === 'int8' ? int8 : weightMemory(checkpoint, 'int4');
  return {
    dtype,
    reason: `weights in ${dtype}: ${gigabytes(needed)} of this machine's ${gigabytes(memory)}, in float32 they would take ${gigabytes(full)}; --dtype chooses another type`,
  };
}

export function checkDtype(dtype: string): Dtype {
  const known = DTYPES.find((candidate) => candidate === dtype);
  if (known) return known;
  throw new GlyphpressError('GP_MODEL_DTYPE', {
    message: `Unknown weight type ${JSON.stringify(dtype)}; ${DTYPES.join(', ')} are available.`,
    hint: 'Use --dtype int8 for less memory at little loss, int4 for the least, fp32 for no loss.',
    details: { dtype, available: DTYPES },
  });
}

function machineMemory(): number {
  // A container's limit; without one it is 0 or beyond all memory.
  const limit = process.constrainedMemory() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
