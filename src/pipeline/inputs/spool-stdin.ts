/** Standard input → a file, so that whatever it is can be read like one. */

import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GlyphpressError } from '../../errors.js';

/** @throws {GlyphpressError} GP_INPUT_UNREADABLE for more than `maxBytes` */
export async function spoolStdin(
  stdin: Readable,
  target: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<void> {
  let bytes = 0;
  await pipeline(
    stdin,
    async function* (chunks: AsyncIterable<Buffer | string>) {
      for await (const chunk of chunks) {
        bytes += Buffer.byteLength(chunk);
        if (bytes > maxBytes) {
          throw new GlyphpressError('GP_INPUT_UNREADABLE', {
            message: `Standard input has more than ${maxBytes} bytes`,
            hint: 'Split the document.',
            details: { limit: maxBytes },
          });
        }
        yield chunk;
      }
    },
    createWriteStream(target),
    { signal },
  );
}
