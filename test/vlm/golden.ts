/** Reads test/fixtures/vlm: see the README there for what is in it. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { PageImage } from '../../src/vlm/image-processor.js';
import type { KvRows } from '../../src/vlm/kv-rows.js';
import { SafetensorsFile } from '../../src/vlm/safetensors.js';

export const FIXTURES = fileURLToPath(new URL('../fixtures/vlm', import.meta.url));
export const TINY = `${FIXTURES}/tiny-glm4v`;
export { LOOK_UP_READER as READER } from '../support/models.js';
export const CASES = ['one', 'three'] as const;
export type CaseName = (typeof CASES)[number];

/** Largest difference allowed between float32 here and float32 in PyTorch. */
export const TOLERANCE = 1e-4;

export class Golden {
  readonly #file: SafetensorsFile;
  readonly question: string;
  readonly rendered: string;
  /** What stands before the question where there are no images. */
  readonly document: string | null;
  /** Before it every third visual row goes. */
  readonly dropLayer: number;

  /** @param folder of the family. @defaultValue that of glm4v */
  constructor(name: CaseName, folder = FIXTURES) {
    this.#file = SafetensorsFile.open(`${folder}/golden-${name}.safetensors`);
    const prompts = JSON.parse(readFileSync(`${folder}/prompts.json`, 'utf8'));
    ({ question: this.question, rendered: this.rendered } = prompts[name]);
    this.document = prompts[name].document ?? null;
    this.dropLayer = prompts.dropLayer ?? 2;
  }

  floats(name: string): Float32Array {
    return this.#file.readFloat32(name);
  }

  bytes(name: string): Uint8Array {
    return this.#file.readBytes(name);
  }

  integers(name: string): number[] {
    const bytes = this.#file.readBytes(name);
    return Array.from(new BigInt64Array(bytes.buffer), Number);
  }

  shape(name: string): number[] {
    return this.#file.entry(name).shape;
  }

  get images(): PageImage[] {
    const count = [...this.#file.tensors.keys()].filter((name) => name.startsWith('image.')).length;
    return Array.from({ length: count }, (_, n) => {
      const [heightPx, widthPx, channels] = this.shape(`image.${n}`) as [number, number, 1 | 3];
      return { data: this.bytes(`image.${n}`), widthPx, heightPx, channels };
    });
  }

  get grids(): [number, number, number][] {
    const values = this.integers('image_grid_thw');
    return this.images.map((_, n) => values.slice(3 * n, 3 * n + 3) as [number, number, number]);
  }

  /** float32 [patches, 3 · frames · patchSize²], put together from the byte codes of the first frame. */
  pixelValues(patchSize: number, frames: number): Float32Array {
    const codes = this.bytes('pixel_codes');
    const table = this.floats('pixel_table');
    const area = patchSize ** 2;
    const values = new Float32Array(codes.length * frames);
    for (let at = 0; at < values.length; at += 1) {
      const plane = Math.floor(at / (frames * area)); // one colour of one patch
      const code = codes[plane * area + (at % area)]!;
      values[at] = table[(plane % 3) * 256 + code]!;
    }
    return values;
  }
}

/** Of float32 numbers; infinite for lengths or types that differ. */
export function maxAbsDifference(a: KvRows, b: KvRows): number {
  if (!(a instanceof Float32Array && b instanceof Float32Array)) return Number.POSITIVE_INFINITY;
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let n = 0; n < a.length; n += 1) {
    const difference = Math.abs(a[n]! - b[n]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

export function concatenate(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
