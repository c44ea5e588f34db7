/** Visual tokens of pages on disk, one file a page: encoding goes on after a crash where it stopped. */

import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { sha256Hex } from '../../sha256.js';
import { PROCESS_TAG } from '../../store/process-tag.js';
import {
  type EncodedImage,
  parseSafetensors,
  type VisionLanguageModel,
  writeSafetensors,
} from '../../vlm/index.js';
import { decodePage } from './page-images.js';

/** The page as the file was made from it; another page in its place is another name. */
const fileOf = (folder: string, index: number, png: Buffer) =>
  path.join(folder, `page-${index + 1}-${sha256Hex(png).slice(0, 16)}.safetensors`);

/**
 * The visual tokens of one page, from the folder or from the model.
 *
 * @param folder for one checkpoint: the name of the folder must tell which
 * @returns also whether the model had to work
 */
export async function ensureEncodedPage(
  model: VisionLanguageModel,
  folder: string,
  page: { index: number; png: Buffer },
): Promise<{ image: EncodedImage; encoded: boolean }> {
  const file = fileOf(folder, page.index, page.png);
  const stored = await read(file);
  if (stored) return { image: stored, encoded: false };
  const image = await model.encodeImage(await decodePage(page.png));
  await write(folder, file, image);
  return { image, encoded: true };
}

/** How many pages have their tokens in the folder. */
export async function countEncodedPages(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => name.endsWith('.safetensors')).length;
}

async function write(folder: string, file: string, image: EncodedImage): Promise<void> {
  const { gridThw, tokenGrid, tokens } = image;
  const data = Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  const cells = tokenGrid.rows * tokenGrid.cols;
  const shape = [cells, tokens.length / cells];
  if (!(await hasFolder(folder))) return;
  const tensors = [{ name: 'tokens', dtype: 'F32' as const, shape, data: tokens }];
  const metadata = {
    gridThw: JSON.stringify(gridThw),
    tokenGrid: JSON.stringify(tokenGrid),
    sha256: sha256Hex(data),
  };
  await writeSafetensors(file, tensors, metadata, PROCESS_TAG);
}

/** Made if need be, but in no folder that is gone: then the document was deleted meanwhile. */
async function hasFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return true;
    if (code === 'ENOENT') return false;
    throw error;
  }
}

/** @returns null if it is missing or damaged: then it is made again */
async function read(file: string): Promise<EncodedImage | null> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const parsed = parseSafetensors(bytes, { code: 'GP_ARTIFACT_DAMAGED', name: file });
    const tokens = Float32Array.from(parsed.readFloat32('tokens'));
    const { gridThw, tokenGrid, sha256: expected } = parsed.metadata;
    const data = Buffer.from(tokens.buffer);
    if (sha256Hex(data) !== expected) return null;
    return { gridThw: JSON.parse(gridThw!), tokenGrid: JSON.parse(tokenGrid!), tokens };
  } catch (error) {
    if (error instanceof GlyphpressError || error instanceof SyntaxError) return null;
    throw error;
  }
}
