/** Plans of parts, kept: a document that was asked before needs no second layout, and no browser. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../../output-folder.js';
import { keyName } from '../../store/artifact-key.js';
import { writeWhole } from '../../store/write-whole.js';
import type { PartsPlan } from './plan-parts.js';

/** Raised whenever the same document and settings would be parted otherwise. */
export const PARTS_VERSION = 1;

/**
 * @param folder of all plans
 * @param key what the plan depends on
 */
export async function storedPlan(
  folder: string,
  key: Record<string, string>,
  make: () => Promise<PartsPlan>,
): Promise<PartsPlan> {
  const file = path.join(folder, `${keyName({ ...key, version: String(PARTS_VERSION) })}.json`);
  const stored = await readPlan(file);
  if (stored) return stored;
  const plan = await make();
  await makeFolder(folder);
  await writeWhole(file, JSON.stringify(plan));
  return plan;
}

/** @returns null for none, and for one that cannot be read: it is made again */
async function readPlan(file: string): Promise<PartsPlan | null> {
  try {
    const plan = JSON.parse(await readFile(file, 'utf8')) as PartsPlan;
    return Array.isArray(plan.parts) && plan.parts.length > 0 ? plan : null;
  } catch {
    return null;
  }
}
