/** Copies of the tiny checkpoint, changed in one way each. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { float16ToFloat32, float32ToFloat16 } from '../../src/vlm/float16.js';
import { SafetensorsFile } from '../../src/vlm/safetensors.js';
import { type WritableTensor, writeSafetensors } from '../../src/vlm/safetensors-writer.js';
import { TINY } from './golden.js';

export interface Variant {
  dir: string;
  remove(): void;
}

export function copyCheckpoint(change: (dir: string) => void = () => {}): Variant {
  const parent = mkdtempSync(join(tmpdir(), 'glyphpress-checkpoint-'));
  const dir = join(parent, 'model');
  cpSync(TINY, dir, { recursive: true });
  change(dir);
  return { dir, remove: () => rmSync(parent, { recursive: true, force: true }) };
}

// biome-ignore lint/suspicious/noExplicitAny: tests reach into JSON at will
export function editJson(dir: string, name: string, edit: (value: any) => void): void {
  const file = join(dir, name);
  const value = JSON.parse(readFileSync(file, 'utf8'));
  edit(value);
  writeFileSync(file, JSON.stringify(value));
}

export function editTemplate(dir: string, template: string): void {
  writeFileSync(join(dir, 'chat_template.jinja'), template);
}

export interface Weight {
  name: string;
  shape: number[];
  data: Float32Array;
}

export function tinyWeights(): Weight[] {
  const file = SafetensorsFile.open(join(TINY, 'model.safetensors'));
  const weights = [...file.tensors.values()].map(({ name, shape }) => ({
    name,
    shape,
    data: file.readFloat32(name),
  }));
  file.close();
  return weights;
}

export const asF32 = ({ name, shape, data }: Weight): WritableTensor => ({
  name,
  shape,
  dtype: 'F32',
  data,
});
export const asF16 = ({ name, shape, data }: Weight): WritableTensor => ({
  name,
  shape,
  dtype: 'F16',
  data: float32ToFloat16(data),
});
/** The values that halves can hold, as float32. */
export const roundedToF16 = (weight: Weight): Weight => ({
  ...weight,
  data: float16ToFloat32(float32ToFloat16(weight.data)),
});

export async function replaceWeights(dir: string, tensors: WritableTensor[]): Promise<void> {
  await writeSafetensors(join(dir, 'model.safetensors'), tensors);
}
