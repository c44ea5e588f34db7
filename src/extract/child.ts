/** The child process that reads what strangers made: one document, one answer, the end. */

import { GlyphpressError } from '../errors.js';
import type { Extraction } from './extraction.js';
import { FORMATS, type Format } from './formats.js';

export type ChildMessage = ChildReply | { progress: { done: number; total: number } };

export type ChildReply =
  | Extraction
  | { error: { code: string; message: string; hint: string } | null; problem: string };

const PROGRESS_EVERY_MS = 250;

const [format, file] = process.argv.slice(2) as [Format, string];

let toldAt = performance.now();
const tellProgress = (done: number, total: number) => {
  if (performance.now() - toldAt < PROGRESS_EVERY_MS) return;
  toldAt = performance.now();
  process.send!({ progress: { done, total } } satisfies ChildMessage);
};

let reply: ChildReply;
try {
  reply = await FORMATS[format](file, tellProgress);
} catch (error) {
  const { message } = error as Error;
  const known = error instanceof GlyphpressError ? error.toJSON() : null;
  reply = { error: known && { ...known }, problem: message };
}
process.send!(reply satisfies ChildMessage, () => process.exit(0));
