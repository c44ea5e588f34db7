/** Archives that strangers send: what they hold is known before it is unpacked, and counted as it is. */

import yauzl from 'yauzl';
import { GlyphpressError } from '../errors.js';

const MAX_ENTRIES = 10_000;
const MAX_ENTRY_BYTES = 64 * 1024 ** 2;
const MAX_TOTAL_BYTES = 256 * 1024 ** 2;
/** Text packs to a tenth; only an attack packs to less than this share. */
const MAX_RATIO = 500;
const RATIO_MATTERS_FROM_BYTES = 1024 ** 2;

export class ZipArchive {
  private constructor(
    private readonly file: yauzl.ZipFile,
    private readonly entries: ReadonlyMap<string, yauzl.Entry>,
  ) {}

  /** @throws {GlyphpressError} GP_INPUT_FORMAT for no archive, and for one that would unpack to too much */
  static async open(path: string): Promise<ZipArchive> {
    const file = await new Promise<yauzl.ZipFile>((resolve, reject) => {
      yauzl.open(
        path,
        { lazyEntries: true, autoClose: false, validateEntrySizes: true, strictFileNames: false },
        (error, opened) => (error ? reject(broken(error.message)) : resolve(opened)),
      );
    });
    try {
      return new ZipArchive(file, await readEntries(file));
    } catch (error) {
      file.close();
      throw error;
    }
  }

  get names(): string[] {
    return [...this.entries.keys()];
  }

  async read(name: string): Promise<Buffer> {
    const entry = this.entries.get(name);
    if (!entry) throw broken(`it has no ${name}`);
    const stream = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
      this.file.openReadStream(entry, (error, opened) =>
        error ? reject(broken(error.message)) : resolve(opened),
      );
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > MAX_ENTRY_BYTES)
          throw tooMuch(`${name} has more than ${MAX_ENTRY_BYTES} bytes`);
        chunks.push(chunk);
      }
    } catch (error) {
      throw error instanceof GlyphpressError ? error : broken((error as Error).message);
    }
    return Buffer.concat(chunks);
  }

  /** Unpacks everything once, for a reader that trusts the sizes that are stated. */
  async verify(): Promise<void> {
    for (const name of this.names) if (!name.endsWith('/')) await this.read(name);
  }

  close(): void {
    this.file.close();
  }
}

async function readEntries(file: yauzl.ZipFile): Promise<Map<string, yauzl.Entry>> {
  if (file.entryCount > MAX_ENTRIES) throw tooMuch(`it has ${file.entryCount} entries`);
  const entries = new Map<string, yauzl.Entry>();
  let total = 0;
  await new Promise<void>((resolve, reject) => {
    file.on('error', (error: Error) => reject(broken(error.message)));
    file.on('end', () => resolve());
    file.on('entry', (entry: yauzl.Entry) => {
      const { fileName, uncompressedSize: size, compressedSize: packed } = entry;
      total += size;
      const ratio = size / Math.max(1, packed);
      if (entry.isEncrypted()) return reject(broken('it is encrypted'));
      if (size > MAX_ENTRY_BYTES || total > MAX_TOTAL_BYTES)
        return reject(tooMuch(`it unpacks to more than ${MAX_TOTAL_BYTES} bytes`));
      if (size > RATIO_MATTERS_FROM_BYTES && ratio > MAX_RATIO)
        return reject(tooMuch(`${fileName} is packed ${Math.round(ratio)} times`));
      if (entries.has(fileName)) return reject(broken(`it has two entries ${fileName}`));
      entries.set(fileName, entry);
      file.readEntry();
    });
    file.readEntry();
  });
  return entries;
}

function broken(problem: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FORMAT', {
    message: `The archive cannot be read: ${problem}`,
    hint: 'Open the document and save it again.',
  });
}

function tooMuch(problem: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FORMAT', {
    message: `The archive is not unpacked: ${problem}`,
    hint: 'Split the document, or hand it in as text.',
  });
}
