/**
 * The heads of a model that look where a question's answer stands, as a calibration found them. They lie
 * beside what is compiled of the model, in its cache folder.
 */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../output-folder.js';
import type { AttentionHead } from './attention-scores.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { modelCacheDir } from './weights/placement.js';

const FILE = 'attention-heads.json';
const VERSION = 1;

export interface AttentionHeads {
  /** The best first. */
  heads: AttentionHead[];
  /** Look-ups that they were chosen on. */
  questions: number;
  /** Of the line with the answer among all lines, by these heads together, on those look-ups. */
  meanReciprocalRank: number;
}

/** @returns null where the model was not calibrated, or what lies there is of another version */
export function readAttentionHeads(
  checkpoint: Checkpoint,
  cacheDir?: string,
): AttentionHeads | null {
  try {
    const file = join(modelCacheDir(checkpoint, cacheDir), FILE);
    const stored = JSON.parse(readFileSync(file, 'utf8')) as AttentionHeads & { version: number };
    if (stored.version !== VERSION || !Array.isArray(stored.heads)) return null;
    const { heads, questions, meanReciprocalRank } = stored;
    return { heads, questions, meanReciprocalRank };
  } catch {
    return null;
  }
}

/** @returns the file that was written */
export async function storeAttentionHeads(
  dir: string,
  found: AttentionHeads,
  cacheDir?: string,
): Promise<string> {
  const checkpoint = openCheckpoint(dir);
  try {
    const folder = modelCacheDir(checkpoint, cacheDir);
    await makeFolder(folder);
    const file = join(folder, FILE);
    const temporary = `${file}.${process.pid}.tmp`;
    await writeFile(temporary, `${JSON.stringify({ version: VERSION, ...found }, null, 1)}\n`);
    await rename(temporary, file);
    return file;
  } finally {
    checkpoint.close();
  }
}
