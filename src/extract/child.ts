/** The child process that reads what strangers made: one document, one answer, the end. */

import { GlyphpressError } from '../errors.js';
import { FORMATS, type Format } from './formats.js';

export type ChildReply =
  | { text: string }
  | { error: { code: string; message: string; hint: string } | null; problem: string };

const [format, file] = process.argv.slice(2) as [Format, string];

let reply: ChildReply;
try {
  reply = { text: await FORMATS[format](file) };
} catch (error) {
  const { message } = error as Error;
  const known = error instanceof GlyphpressError ? error.toJSON() : null;
  reply = { error: known && { ...known }, problem: message };
}
process.send!(reply, () => process.exit(0));
