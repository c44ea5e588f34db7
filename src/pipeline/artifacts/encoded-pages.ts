/**
 * Visual tokens of pages in the store, one file a page: encoding goes on after a crash where it stopped.
 * They are kept as float16, of which a token's numbers lose at most one part in 2,048, and handed on as
 * they are kept, so that a context is the same whether they were read or made.
 */

import { GlyphpressError } from '../../errors.js';
import { sha256Hex } from '../../sha256.js';
import { FolderFiles } from '../../store/folder-files.js';
import type { FileSet } from '../../store/place.js';
import { PROCESS_TAG } from '../../store/process-tag.js';
import {
  type EncodedImage,
  float16ToFloat32,
  float32ToFloat16,
  parseSafetensors,
  type VisionLanguageModel,
  writeSafetensors,
} from '../../vlm/index.js';
import { decodePage } from './page-images.js';

/** The page as the file was made from it; another page in its place is another name. */
const fileOf = (index: number, png: Buffer) =>
  `page-${index + 1}-${sha256Hex(png).slice(0, 16)}.safetensors`;

/** A path stands for the files in that folder. */
export type TokensPlace = string | FileSet;

const filesAt = (place: TokensPlace) =>
  typeof place === 'string' ? new FolderFiles(place) : place;

/**
 * The visual tokens of one page, from the folder or from the model.
 *
 * @param folder for one checkpoint: its name must tell which
 * @returns also whether the model had to work
 */
export async function ensureEncodedPage(
  model: VisionLanguageModel,
  folder: TokensPlace,
  page: { index: number; png: Buffer },
): Promise<{ image: EncodedImage; encoded: boolean }> {
  const files = filesAt(folder);
  const file = fileOf(page.index, page.png);
  const stored = parseTokens(file, await files.read(file));
  if (stored) return { image: stored, encoded: false };
  const image = await model.encodeImage(await decodePage(page.png));
  const { tokens, data } = asKept(image.tokens);
  await write(files, file, image, data);
  return { image: { ...image, tokens }, encoded: true };
}

/** Beyond the largest finite float16 they stay as they are. */
function asKept(tokens: Float32Array): { tokens: Float32Array; data: Uint16Array | Float32Array } {
  const halves = float32ToFloat16(tokens);
  const rounded = float16ToFloat32(halves);
  return rounded.every(Number.isFinite)
    ? { tokens: rounded, data: halves }
    : { tokens, data: tokens };
}

/** How many pages have their tokens in the folder. */
export async function countEncodedPages(folder: TokensPlace): Promise<number> {
  const names = await filesAt(folder).names();
  return names.filter((name) => name.endsWith('.safetensors')).length;
}

async function write(
  files: FileSet,
  file: string,
  { gridThw, tokenGrid }: EncodedImage,
  data: Uint16Array | Float32Array,
): Promise<void> {
  const cells = tokenGrid.rows * tokenGrid.cols;
  const shape = [cells, data.length / cells];
  const dtype = data instanceof Uint16Array ? ('F16' as const) : ('F32' as const);
  const metadata = {
    gridThw: JSON.stringify(gridThw),
    tokenGrid: JSON.stringify(tokenGrid),
    sha256: sha256Hex(Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  };
  const tensors = [{ name: 'tokens', dtype, shape, data }];
  await files.make(file, (path) => writeSafetensors(path, tensors, metadata, PROCESS_TAG));
}

/** @returns null if it is missing or damaged: then it is made again */
function parseTokens(file: string, bytes: Buffer | null): EncodedImage | null {
  if (!bytes) return null;
  try {
    const parsed = parseSafetensors(bytes, { code: 'GP_ARTIFACT_DAMAGED', name: file });
    const { gridThw, tokenGrid, sha256: expected } = parsed.metadata;
    if (sha256Hex(Buffer.from(parsed.readBytes('tokens'))) !== expected) return null;
    const tokens = Float32Array.from(parsed.readFloat32('tokens'));
    return { gridThw: JSON.parse(gridThw!), tokenGrid: JSON.parse(tokenGrid!), tokens };
  } catch (error) {
    if (error instanceof GlyphpressError || error instanceof SyntaxError) return null;
    throw error;
  }
}
