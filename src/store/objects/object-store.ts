/** What is asked of an object store: keys and streams, no paths. */

import type { Readable } from 'node:stream';

export interface ObjectInfo {
  key: string;
  bytes: number;
  /** Changes with the bytes; for {@link PutCondition}. */
  etag: string;
  modifiedMs: number;
}

/** Bytes to put: those of a file are read as a stream. */
export type ObjectBody = Buffer | { file: string; bytes: number };

/** When an object may be put; what is there by then stays otherwise. */
export type PutCondition = 'absent' | { etag: string };

export interface PutOptions {
  condition?: PutCondition;
  /** SHA-256 of the bytes, hex, where it is known: the store compares it with what came. */
  sha256?: string;
}

/**
 * All of them wait for a store that does not respond, as long as its patience is.
 *
 * @throws {GlyphpressError} GP_STORE_UNAVAILABLE, GP_STORE_REFUSED
 */
export interface ObjectStore {
  /** For messages. */
  readonly name: string;
  /**
   * @param take reads the stream; it is called again with a new one where a connection breaks
   * @returns what `take` returned, null where there is no such object
   */
  get<T>(key: string, take: (stream: Readable, etag: string) => Promise<T>): Promise<T | null>;
  head(key: string): Promise<ObjectInfo | null>;
  /** Readers see all of it or what was there before. @returns false where the condition is not met */
  put(key: string, body: ObjectBody, options?: PutOptions): Promise<boolean>;
  /** All objects whose key begins so, in the order of their keys. */
  list(prefix: string): AsyncGenerator<ObjectInfo>;
  /** The different names that follow a prefix up to the next slash. */
  below(prefix: string): AsyncGenerator<string>;
  /** Objects that are not there are ignored. */
  remove(keys: Iterable<string> | AsyncIterable<string>): Promise<void>;
  /** Parts of uploads that were never finished. @returns of how many uploads */
  removeAbandonedUploads(olderThanMs: number): Promise<number>;
  /**
   * Writes, reads and removes an object.
   *
   * @returns whether the store keeps conditions of writes
   */
  probe(): Promise<{ conditions: boolean }>;
  /** Ends connections, and waits of {@link get} and others. */
  close(): void;
}
