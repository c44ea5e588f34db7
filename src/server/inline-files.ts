/**
 * Files inside a JSON body (`file_data`, base64) go to the store while they come. The route sees a name in
 * their place, which {@link inlineFilesOf} knows; what is not used up is thrown away with the answer.
 */

import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest, preParsingAsyncHookHandler } from 'fastify';
import { GlyphpressError } from '../errors.js';
import type { ContentStore, Upload } from '../service/content-store.js';
import { FileDataCutter } from './file-data-cutter.js';
import type { ServiceLimits } from './limits.js';

export interface InlineFile {
  upload: Upload;
  /** As a data: address says. */
  mediaType: string | undefined;
}

export type InlineFiles = ReadonlyMap<string, InlineFile>;

/** A body with inline files: one document in base64, and the JSON around it. */
export const inlineBodyBytes = ({ documentBytes, jsonBytes }: Limits) =>
  Math.ceil((documentBytes * 4) / 3) + jsonBytes;

type Limits = Pick<ServiceLimits, 'documentBytes' | 'jsonBytes'>;

const filesOf = new WeakMap<FastifyRequest, Map<string, InlineFile>>();

export const inlineFilesOf = (request: FastifyRequest): InlineFiles =>
  filesOf.get(request) ?? new Map();

/** The hook of routes that take `file_data`; their `bodyLimit` is {@link inlineBodyBytes}. */
export function takeInlineFiles(store: ContentStore, limits: Limits): preParsingAsyncHookHandler {
  return async (request: FastifyRequest, reply: FastifyReply, payload) => {
    const files = new Map<string, InlineFile>();
    filesOf.set(request, files);
    const uploads: Upload[] = [];
    reply.raw.once('close', () => {
      for (const upload of uploads) void store.discard(upload);
    });
    const bytes = { received: 0 };
    const left = Readable.from(
      withoutFiles(payload as Readable, store, limits, files, uploads, bytes),
      {
        objectMode: false,
      },
    );
    // Fastify compares it with Content-Length.
    return Object.defineProperty(left, 'receivedEncodedLength', { get: () => bytes.received });
  };
}

async function* withoutFiles(
  payload: Readable,
  store: ContentStore,
  { documentBytes, jsonBytes }: Limits,
  files: Map<string, InlineFile>,
  uploads: Upload[],
  bytes: { received: number },
): AsyncGenerator<Buffer> {
  const cutter = new FileDataCutter();
  let json = 0;
  let file: FileSink | null = null;
  try {
    // A body that is refused must not end the connection that has to say so.
    for await (const chunk of payload.iterator({ destroyOnReturn: false })) {
      bytes.received += (chunk as Buffer).length;
      for (const piece of cutter.push(chunk as Buffer)) {
        if ('json' in piece) {
          json += piece.json.length;
          if (json > jsonBytes) throw tooMuchJson(jsonBytes);
          yield piece.json;
        } else if ('begin' in piece) {
          file = new FileSink(store, documentBytes);
        } else if ('data' in piece) {
          await file!.write(piece.data);
        } else {
          const taken = await file!.end();
          file = null;
          if (!taken) continue;
          uploads.push(taken.upload);
          // The same body twice has the same names: it may be the second try of one request.
          const name = `inline ${taken.upload.hash} ${taken.mediaType ?? ''}`.replace(
            /["\\\p{C}]/gu,
            '',
          );
          files.set(name, taken);
          yield Buffer.from(name);
        }
      }
    }
  } finally {
    await file?.abandon();
  }
}

/** Longest `data:` head, before its comma. */
const MAX_HEAD = 300;

/** One value: what stands before its base64, and its bytes on the way to the store. */
class FileSink {
  readonly #store: ContentStore;
  readonly #maxBytes: number;
  #head: string | null = '';
  #mediaType: string | undefined;
  #rest = '';
  #isOver = false;
  #stream: PassThrough | null = null;
  #upload: Promise<Upload> | null = null;

  constructor(store: ContentStore, maxBytes: number) {
    this.#store = store;
    this.#maxBytes = maxBytes;
  }

  async write(data: Buffer): Promise<void> {
    let text = data.toString('latin1');
    if (this.#head !== null) {
      this.#head += text;
      if ('data:'.startsWith(this.#head.slice(0, 5)) && !this.#head.includes(',')) {
        if (this.#head.length > MAX_HEAD) throw notBase64();
        return;
      }
      text = this.#behindHead();
    }
    await this.#decode(text);
  }

  /** @returns null for an empty value, which is none */
  async end(): Promise<InlineFile | null> {
    if (this.#head !== null) await this.#decode(this.#behindHead());
    if (this.#rest.length === 1) throw notBase64();
    if (this.#rest !== '') await this.#pass(Buffer.from(this.#rest, 'base64'));
    if (!this.#stream) return null;
    this.#stream.end();
    return { upload: await this.#upload!, mediaType: this.#mediaType };
  }

  /** What has come is no use. */
  async abandon(): Promise<void> {
    this.#stream?.destroy(new Error('the body ended early'));
    await this.#upload?.then(
      (upload) => this.#store.discard(upload),
      () => {},
    );
  }

  #behindHead(): string {
    const [, mediaType, text] = /^data:([^;,]*)[^,]*,([\s\S]*)$/.exec(this.#head!) ?? [];
    const all = text ?? this.#head!;
    this.#mediaType = mediaType || undefined;
    this.#head = null;
    return all;
  }

  /** Whole groups of four characters; the rest waits for more. */
  async #decode(text: string): Promise<void> {
    const [, digits = '', padding = ''] = /^([A-Za-z0-9+/_-]*)([=\s]*)$/.exec(text) ?? [];
    if (digits.length + padding.length !== text.length) throw notBase64();
    if (this.#isOver && digits !== '') throw notBase64();
    this.#isOver ||= padding.includes('=');
    const all = this.#rest + digits;
    const whole = all.length - (all.length % 4);
    this.#rest = all.slice(whole);
    if (whole > 0) await this.#pass(Buffer.from(all.slice(0, whole), 'base64'));
  }

  async #pass(bytes: Buffer): Promise<void> {
    if (!this.#stream) {
      this.#stream = new PassThrough();
      this.#stream.on('error', () => {}); // told by the upload
      this.#upload = this.#store.receive(this.#stream, this.#maxBytes);
      this.#upload.catch(() => {}); // whoever waits for it next is told
    }
    // What is too large is not read to its end: it never drains.
    if (!this.#stream.write(bytes)) await Promise.race([once(this.#stream, 'drain'), this.#upload]);
  }
}

function notBase64(): GlyphpressError {
  return new GlyphpressError('GP_REQUEST', {
    message: 'file_data is not base64',
    hint: 'Send the bytes of the file as base64, or as data:TYPE;base64,….',
    details: { param: 'file_data' },
  });
}

function tooMuchJson(limit: number): GlyphpressError {
  return new GlyphpressError('GP_REQUEST_TOO_LARGE', {
    message: `The body has more than ${limit} bytes beside its files`,
    hint: 'Long text belongs into a document. GET /v1/limits says what is taken.',
    details: { limit },
  });
}
