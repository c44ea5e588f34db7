/**
 * A checkpoint folder with its weights quantised, to be shipped without the original: the same configs
 * and tokenizer, the weights in the quantised form of `stored-weight.ts`, in shards with the usual index.
 */
import { cp, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { makeFolder } from '../../output-folder.js';
import { type Checkpoint, openCheckpoint } from '../checkpoint.js';
import type { RowErrors } from '../relative-error.js';
import {
  safetensorsByteLength,
  type WritableTensor,
  writeSafetensors,
} from '../safetensors-writer.js';
import { derivedTensors, formAsTrained } from './derive.js';
import { checkDtype } from './dtype.js';
import {
  type Dtype,
  formFor,
  MATRIX_FORMS,
  type ModelPart,
  type WeightForm,
  type WeightUse,
  weightUses,
} from './recipe.js';
import { elementCount } from './stored-weight.js';

export interface QuantiseFolderOptions {
  dtype: string;
  /** Of head and embedding. @defaultValue 8 bits beside a decoder of four, else as the decoder */
  head?: 'int8' | 'int4' | undefined;
  /**
   * Of the vision tower. `auto` takes 8 bits for its blocks where that costs its rows less than 1 % of their
   * norm, measured on a drawn page, else halves. Patch embedding and merger are never in 8 bits. @defaultValue auto beside quantised weights, else fp16
   */
  vision?: 'auto' | 'fp32' | 'fp16' | 'int8' | undefined;
  /** Largest shard; a single tensor above it gets a shard of its own. @defaultValue 48 MB */
  shardBytes?: number;
  onProgress?: (done: number, total: number) => void;
}

export interface QuantisedFolder {
  folder: string;
  dtype: Dtype;
  parameters: number;
  /** What the vision tower is held in; null for a model that reads text only. */
  vision: Dtype | null;
  /** What eight bits cost the tower, where that was measured. */
  towerError: RowErrors | null;
  shards: { file: string; bytes: number }[];
  bytes: number;
}

/** Below the 50 MB above which code hosts warn of a file. */
const SHARD_BYTES = 48_000_000;

const WEIGHTS =
  /\.(safetensors|bin|pt|pth|gguf|onnx|h5|msgpack)$|^model\.safetensors\.index\.json$|^\./;

/**
 * @param dir a checkpoint of floats
 * @param out folder to make; it must not hold anything yet
 * @throws GP_OUTPUT_EXISTS, GP_MODEL_DTYPE for a checkpoint that is quantised already
 */
export async function quantiseToFolder(
  dir: string,
  out: string,
  { dtype: requested, head, vision, shardBytes = SHARD_BYTES, onProgress }: QuantiseFolderOptions,
): Promise<QuantisedFolder> {
  const dtype = checkDtype(requested);
  const folder = resolve(out);
  const checkpoint = openCheckpoint(dir);
  try {
    checkIsFloat(checkpoint);
    await makeEmpty(folder);
    const tower = await towerForm(checkpoint, dtype, folder, vision);
    const parts = {
      ...(tower.form && { vision: MATRIX_FORMS[tower.form] }),
      ...(head && { head: MATRIX_FORMS[head], embedding: MATRIX_FORMS[head] }),
    };
    const total = [...checkpoint.weights.values()].reduce(
      (sum, { shape }) => sum + elementCount(shape),
      0,
    );
    let done = 0;
    const onElements = (count: number) => {
      done += count;
      onProgress?.(done, total);
    };
    const groups = shardsOf(weightTensors(checkpoint, dtype, parts, onElements), shardBytes);
    const shards: QuantisedFolder['shards'] = [];
    const map: Record<string, string> = {};
    for (const [n, tensors] of groups.entries()) {
      const number = (value: number) => String(value).padStart(5, '0');
      const file = `model-${number(n + 1)}-of-${number(groups.length)}.safetensors`;
      await writeSafetensors(join(folder, file), tensors, { format: 'pt' });
      for (const { name } of tensors) map[name] = file;
      shards.push({ file, bytes: safetensorsByteLength(tensors, { format: 'pt' }) });
    }
    const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
    await copyOtherFiles(checkpoint.dir, folder);
    const index = { metadata: { total_size: bytes }, weight_map: map };
    await writeFile(
      join(folder, 'model.safetensors.index.json'),
      `${JSON.stringify(index, null, 1)}\n`,
    );
    return {
      folder,
      dtype,
      parameters: checkpoint.parameters,
      vision: tower.form,
      towerError: tower.error,
      shards,
      bytes,
    };
  } finally {
    checkpoint.close();
  }
}

async function towerForm(
  checkpoint: Checkpoint,
  dtype: Dtype,
  folder: string,
  asked: QuantiseFolderOptions['vision'],
): Promise<{ form: Dtype | null; error: RowErrors | null }> {
  if (!checkpoint.config.vision) return { form: null, error: null };
  const isQuantised = dtype === 'int8' || dtype === 'int4';
  const wanted = asked ?? (isQuantised ? 'auto' : dtype);
  if (wanted !== 'auto') return { form: wanted, error: null };
  // Only this runs a model; all else works where ONNX Runtime is not installed.
  const { chooseTowerForm } = await import('../tower-form.js');
  const chosen = await chooseTowerForm(checkpoint, folder);
  return { form: chosen!.form, error: chosen!.int8Error };
}

/** In the order of the family, which is the order of use. */
function weightTensors(
  checkpoint: Checkpoint,
  dtype: Dtype,
  parts: Partial<Record<ModelPart, WeightForm>>,
  onElements: (count: number) => void,
): WritableTensor[] {
  const uses = weightUses(checkpoint);
  const unused: WeightUse = { part: 'decoder', multiplied: false, inBlock: false };
  return [...checkpoint.weights].flatMap(([name, weight]) => {
    const form = formFor(weight, uses.get(name) ?? unused, dtype, parts);
    return derivedTensors(weight, name, formAsTrained(weight, form), { onElements });
  });
}

function shardsOf(tensors: readonly WritableTensor[], limit: number): WritableTensor[][] {
  const groups: WritableTensor[][] = [];
  for (const tensor of tensors) {
    const last = groups.at(-1);
    if (last && safetensorsByteLength([...last, tensor], { format: 'pt' }) <= limit) {
      last.push(tensor);
    } else {
      groups.push([tensor]);
    }
  }
  return groups;
}

function checkIsFloat({ quantisedDtype, dir }: Checkpoint): void {
  if (!quantisedDtype) return;
  throw new GlyphpressError('GP_MODEL_DTYPE', {
    message: `The weights in ${dir} are quantised already, to ${quantisedDtype}.`,
    hint: 'Quantise the original: each rounding adds to the one before.',
    details: { file: dir, dtype: quantisedDtype },
  });
}

async function makeEmpty(folder: string): Promise<void> {
  await makeFolder(folder);
  if ((await readdir(folder)).length === 0) return;
  throw new GlyphpressError('GP_OUTPUT_EXISTS', {
    message: `The folder ${folder} is not empty.`,
    hint: 'Give -o a folder that does not exist yet.',
    details: { folder },
  });
}

/** Configs, tokenizer, template, licence, notes, and what the model brings in folders of its own. */
async function copyOtherFiles(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (WEIGHTS.test(name)) continue;
    // Hub caches hold links; a folder to ship holds files.
    await cp(join(from, name), join(to, name), { recursive: true, dereference: true });
  }
}
