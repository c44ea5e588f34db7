/** Objects in a bucket of Amazon S3, or of anything that speaks its protocol. */

import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { sha256Hex } from '../../sha256.js';
import type {
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  PutCondition,
  PutOptions,
} from './object-store.js';
import { isConditionFailure, isMissingObject, isPassing, s3Failure } from './s3-failure.js';

export interface S3Options {
  bucket: string;
  /** Begins every key; without slashes at its ends. */
  prefix: string;
  /** @defaultValue what AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL say, else Amazon's */
  endpoint?: string | undefined;
  /** How long a store that does not respond is waited for. @defaultValue 30,000 */
  patienceMs?: number | undefined;
  /** A request without an answer for so long is made again. @defaultValue 30,000 */
  requestMs?: number | undefined;
  /** Files of more bytes are put in parts of this size. @defaultValue 8 MiB, which is the minimum but for 5 */
  partBytes?: number | undefined;
}

const MIB = 1024 ** 2;
const PATIENCE_MS = 30_000;
const REQUEST_MS = 30_000;
const CONNECT_MS = 5_000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
/** As many as one request may name. */
const REMOVED_AT_ONCE = 1_000;

type Sdk = typeof import('@aws-sdk/client-s3');

export class S3Store implements ObjectStore {
  readonly name: string;
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #endpoint: string | null;
  readonly #patienceMs: number;
  readonly #partBytes: number;
  readonly #closing = new AbortController();

  private constructor(sdk: Sdk, client: S3Client, endpoint: string | null, options: S3Options) {
    const { bucket, prefix, patienceMs = PATIENCE_MS, partBytes = 8 * MIB } = options;
    this.name = `s3://${bucket}${prefix && `/${prefix}`}`;
    this.#sdk = sdk;
    this.#client = client;
    this.#endpoint = endpoint;
    this.#bucket = bucket;
    this.#prefix = prefix && `${prefix}/`;
    this.#patienceMs = patienceMs;
    this.#partBytes = partBytes;
  }

  /** The client is loaded here: whoever has no object store does without it. */
  static async open(options: S3Options, env: NodeJS.ProcessEnv = process.env): Promise<S3Store> {
    // It would print advice about the version of Node, which is ours to follow.
    env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
    const sdk = await import('@aws-sdk/client-s3');
    const { requestMs = REQUEST_MS } = options;
    const endpoint = options.endpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
    const client = new sdk.S3Client({
      ...(endpoint && { endpoint, forcePathStyle: true }),
      // Anything but Amazon takes any region; the client insists on one.
      ...(endpoint && !env.AWS_REGION && { region: 'us-east-1' }),
      // What we read is compared with the sums of our own manifests.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      maxAttempts: 3,
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        requestTimeout: requestMs,
        throwOnRequestTimeout: true,
      },
    });
    return new S3Store(sdk, client, endpoint ?? null, options);
  }

  get<T>(key: string, take: (stream: Readable, etag: string) => Promise<T>): Promise<T | null> {
    return this.#orNull(async () => {
      const { GetObjectCommand } = this.#sdk;
      const found = await this.#client.send(new GetObjectCommand(this.#at(key)));
      return take(found.Body as Readable, found.ETag ?? '');
    });
  }

  head(key: string): Promise<ObjectInfo | null> {
    return this.#orNull(async () => {
      const { HeadObjectCommand } = this.#sdk;
      const found = await this.#client.send(new HeadObjectCommand(this.#at(key)));
      return {
        key,
        bytes: found.ContentLength ?? 0,
        etag: found.ETag ?? '',
        modifiedMs: found.LastModified?.getTime() ?? 0,
      };
    });
  }

  put(key: string, body: ObjectBody, { condition, sha256 }: PutOptions = {}): Promise<boolean> {
    const params = { ...this.#at(key), ...headersOf(condition) };
    return this.#patiently(async () => {
      try {
        if (!Buffer.isBuffer(body) && body.bytes > this.#partBytes)
          await this.#putParts(params, body.file);
        else {
          const bytes = Buffer.isBuffer(body) ? body : await readFile(body.file);
          const sum = Buffer.from(sha256 ?? sha256Hex(bytes), 'hex').toString('base64');
          await this.#client.send(
            new this.#sdk.PutObjectCommand({ ...params, Body: bytes, ChecksumSHA256: sum }),
          );
        }
        return true;
      } catch (error) {
        if (condition === undefined) throw error;
        // What was to be replaced is gone.
        if (isConditionFailure(error) || isMissingObject(error)) return false;
        throw error;
      }
    });
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    for await (const page of this.#pages(prefix)) {
      for (const { Key = '', Size = 0, ETag = '', LastModified } of page.Contents ?? []) {
        const key = Key.slice(this.#prefix.length);
        yield { key, bytes: Size, etag: ETag, modifiedMs: LastModified?.getTime() ?? 0 };
      }
    }
  }

  async *below(prefix: string): AsyncGenerator<string> {
    const start = this.#prefix.length + prefix.length;
    for await (const page of this.#pages(prefix, '/'))
      for (const { Prefix = '' } of page.CommonPrefixes ?? []) yield Prefix.slice(start, -1);
  }

  async remove(keys: Iterable<string> | AsyncIterable<string>): Promise<void> {
    let batch: string[] = [];
    for await (const key of keys) {
      batch.push(key);
      if (batch.length < REMOVED_AT_ONCE) continue;
      await this.#removeAll(batch);
      batch = [];
    }
    if (batch.length > 0) await this.#removeAll(batch);
  }

  async removeAbandonedUploads(olderThanMs: number): Promise<number> {
    const { ListMultipartUploadsCommand, AbortMultipartUploadCommand } = this.#sdk;
    const Bucket = this.#bucket;
    const { Uploads = [] } = await this.#patiently(() =>
      this.#client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: this.#prefix })),
    );
    let removed = 0;
    for (const { Key, UploadId, Initiated } of Uploads) {
      if (!Initiated || Date.now() - Initiated.getTime() < olderThanMs) continue;
      const upload = { Bucket, Key, UploadId };
      await this.#patiently(() => this.#client.send(new AbortMultipartUploadCommand(upload)));
      removed++;
    }
    return removed;
  }

  async probe(): Promise<{ conditions: boolean }> {
    const key = `probe/${randomBytes(8).toString('hex')}`;
    const bytes = Buffer.from('glyphpress');
    await this.put(key, bytes);
    const conditions = !(await this.put(key, bytes, { condition: 'absent' }));
    const back = await this.get(key, bytesOf);
    for await (const _ of this.list('probe/')) break;
    await this.remove([key]);
    if (!back?.equals(bytes)) throw new Error(`${this.name} does not give back what is put there`);
    return { conditions };
  }

  close(): void {
    this.#closing.abort();
    this.#client.destroy();
  }

  #at(key: string) {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${key}` };
  }

  async #putParts(params: object & { Bucket: string; Key: string }, file: string): Promise<void> {
    const { Upload } = await import('@aws-sdk/lib-storage');
    await new Upload({
      client: this.#client,
      partSize: Math.max(this.#partBytes, 5 * MIB),
      // Each part is checked by the store.
      params: { ...params, Body: createReadStream(file), ChecksumAlgorithm: 'SHA256' },
    }).done();
  }

  async *#pages(prefix: string, delimiter?: string) {
    for (let token: string | undefined; ; ) {
      const page = await this.#patiently(() =>
        this.#client.send(
          new this.#sdk.ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: `${this.#prefix}${prefix}`,
            ...(delimiter && { Delimiter: delimiter }),
            ...(token && { ContinuationToken: token }),
          }),
        ),
      );
      yield page;
      token = page.NextContinuationToken;
      if (!page.IsTruncated || token === undefined) return;
    }
  }

  async #removeAll(keys: readonly string[]): Promise<void> {
    const Objects = keys.map((key) => ({ Key: this.#at(key).Key }));
    const { Errors = [] } = await this.#patiently(() =>
      this.#client.send(
        new this.#sdk.DeleteObjectsCommand({
          Bucket: this.#bucket,
          Delete: { Objects, Quiet: true },
        }),
      ),
    );
    const [failed] = Errors.filter(({ Code }) => Code !== 'NoSuchKey');
    if (!failed) return;
    const status = failed.Code === 'AccessDenied' ? 403 : 500;
    const error = { name: failed.Code, $metadata: { httpStatusCode: status } };
    throw s3Failure(error, { bucket: this.#bucket, endpoint: this.#endpoint });
  }

  #orNull<T>(request: () => Promise<T>): Promise<T | null> {
    return this.#patiently(() =>
      request().catch((error) => {
        if (isMissingObject(error)) return null;
        throw error;
      }),
    );
  }

  /** Again, with growing pauses, while the store does not respond and there is patience. */
  async #patiently<T>(request: () => Promise<T>): Promise<T> {
    const end = Date.now() + this.#patienceMs;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      try {
        return await request();
      } catch (error) {
        const failure = s3Failure(error, { bucket: this.#bucket, endpoint: this.#endpoint });
        if (!failure || !isPassing(failure)) throw failure ?? error;
        if (Date.now() + pauseMs > end || this.#closing.signal.aborted) throw failure;
        const { signal } = this.#closing;
        await sleep(pauseMs * (0.5 + Math.random() / 2), null, { signal }).catch(() => {});
      }
    }
  }
}

export async function bytesOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function headersOf(condition: PutCondition | undefined) {
  if (condition === undefined) return {};
  return condition === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: condition.etag };
}
