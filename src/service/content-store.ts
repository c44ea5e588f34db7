/**
 * Where documents lie. What was made from the same bytes lies in one place of its tenant, so equal
 * documents share it; tenants share nothing, because even the time saved would tell of the other's.
 */

import type { Readable } from 'node:stream';
import { GlyphpressError } from '../errors.js';
import { isTenant } from '../queue/document-record.js';
import type { AnyPlace, FileSet } from '../store/place.js';

export interface Upload {
  /** Temporary, on this machine; {@link ContentStore.adopt} moves it to its place. */
  file: string;
  bytes: number;
  /** SHA-256 of the bytes, hex. */
  hash: string;
}

/** Where the parts of one content lie. */
export interface ContentPlace {
  readonly name: string;
  /** @param use gets what came in as a file of this machine, for as long as it takes */
  withUpload<T>(use: (file: string) => Promise<T>): Promise<T>;
  text(key: string): AnyPlace;
  pages(key: string): AnyPlace;
  tokens(key: string): string | FileSet;
  context(key: string): AnyPlace;
}

export interface ContentStore {
  /** For people: where it is. */
  readonly name: string;
  /** Where documents lie: on a disk, or behind a network. */
  readonly kind: 'folder' | 'objects';
  /** Folder of this machine for what comes in. */
  readonly root: string;
  /** Held back of the disk that it is on; see disk-room.ts. */
  readonly reserveBytes: number;
  place(tenant: string, hash: string): ContentPlace;
  /**
   * Takes bytes in, counted as they come.
   *
   * @throws {GlyphpressError} GP_REQUEST_TOO_LARGE, GP_INPUT_EMPTY; GP_STORAGE before the disk is full
   */
  receive(source: Readable, maxBytes: number): Promise<Upload>;
  /** What takes long of {@link adopt}, to be done before others have to wait for it. */
  prepare(tenant: string, upload: Upload): Promise<void>;
  /** Puts an upload where its content belongs; it may lie there already. */
  adopt(tenant: string, upload: Upload): Promise<void>;
  discard(upload: Upload): Promise<void>;
  readUpload(tenant: string, hash: string): Promise<Readable>;
  /** Takes a content away at once; others may already write it anew while the bytes go. */
  removeContent(tenant: string, hash: string): Promise<void>;
  removeContext(tenant: string, hash: string, key: string): Promise<void>;
  /** Bytes of a content with all that was made of it; what two names share counts once. */
  bytesOf(tenant: string, hash: string): Promise<number>;
  /** What tells this store from others; null before a service was there. */
  readMarker(): Promise<string | null>;
  /** Marks it, unless it has a marker. */
  writeMarker(marker: string): Promise<void>;
  /** Writes something and takes it away again. @throws what the store says to it */
  probe(): Promise<void>;
  /** All contents in the store, of every tenant. */
  contents(): AsyncGenerator<{ tenant: string; hash: string }>;
  /** Uploads whose process is gone, and what a crash left half deleted. @returns how many */
  sweep(): Promise<number>;
  /**
   * Whether a content came so lately that it may be on its way to its first record. One without its
   * upload is not: work that outlived the last document wrote it.
   */
  isYoung(tenant: string, hash: string): Promise<boolean>;
  /** Whether work on a content left anything beside its artifacts, or visual tokens. */
  mayBeUntidy(tenant: string, hash: string): Promise<boolean>;
  /**
   * Removes the files of unfinished work. Only for contents without a running worker, which would
   * have to start again.
   *
   * @param tokensKeys the visual tokens that stay; null for all
   */
  removeUnfinished(
    tenant: string,
    hash: string,
    tokensKeys: ReadonlySet<string> | null,
  ): Promise<void>;
  /** @throws {GlyphpressError} GP_STORE_UNAVAILABLE, GP_STORE_REFUSED where it cannot be used now */
  reach(): Promise<void>;
  /**
   * Proves that it can be written and read.
   *
   * @returns what is not as it should be, though it works
   * @throws {GlyphpressError} as {@link reach}
   */
  check(): Promise<string[]>;
  /** Ends what waits for the store, too. */
  close(): void;
}

const HASH = /^[0-9a-f]{64}$/;
const KEY = /^[0-9a-f]{32}$/;

/** Younger contents may be on their way to their first record. */
export const YOUNG_MS = 3_600_000;

export const isContentHash = (name: string) => HASH.test(name);

/** No name of a client's becomes a part of a path. */
export function checkContent(tenant: string, hash: string): void {
  if (!isTenant(tenant) || !HASH.test(hash)) throw new Error(`no place for ${tenant} ${hash}`);
}

export function checkKey(kind: string, key: string): void {
  if (!KEY.test(key)) throw new Error(`no ${kind} called ${key}`);
}

export function tooLarge(maxBytes: number): GlyphpressError {
  return new GlyphpressError('GP_REQUEST_TOO_LARGE', {
    message: `The document has more than ${maxBytes} bytes`,
    hint: 'Split the document; GET /v1/limits says what is taken.',
    details: { maxBytes },
  });
}
