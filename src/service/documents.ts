/** The documents of a service: taken in, watched, cancelled, deleted. */

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import type { CompressionQueue } from '../queue/compression-queue.js';
import type { DocumentEvent } from '../queue/document-events.js';
import {
  type DocumentRecord,
  type DocumentRef,
  isAtRest,
  isDocumentId,
  isTerminal,
  type Priority,
} from '../queue/document-record.js';
import type { DocumentRecords, ListPage, RecordLimits } from '../queue/document-records.js';
import { CHANGED_CHANNEL } from '../queue/document-scripts.js';
import { aborted, Changes, later } from './changes.js';
import type { ContentStore, Upload } from './content-store.js';
import { type DocumentSettings, readingOf } from './document-settings.js';
import { encodingOf } from './extract.js';
import { contentLock, removeLeftovers, whileIdle } from './idle-content.js';
import type { ModelRegistry } from './models.js';
import { keysOfParts } from './pieces.js';

export interface Submission {
  tenant: string;
  upload: Upload;
  settings: DocumentSettings;
  filename: string | null;
  mediaType: string;
  origin: 'document' | 'file' | 'inline';
  purpose?: string;
  priority: Priority;
  /** Deleted by itself so long after it came; null for never. */
  expiresInMs: number | null;
}

export interface DocumentServiceParts {
  store: ContentStore;
  models: ModelRegistry;
  records: DocumentRecords;
  queue: CompressionQueue;
  /** In subscriber mode; for changes that other processes make. */
  subscriber: Redis;
  limits: RecordLimits;
}

/** Looks again by itself this often, should a change ever go unheard. */
const LOOK_AGAIN_MS = 15_000;

export class DocumentService {
  readonly #parts: DocumentServiceParts;
  readonly #changes: Changes;

  private constructor(parts: DocumentServiceParts, changes: Changes) {
    this.#parts = parts;
    this.#changes = changes;
  }

  static async open(parts: DocumentServiceParts): Promise<DocumentService> {
    return new DocumentService(parts, await Changes.open(parts.subscriber, CHANGED_CHANNEL));
  }

  /**
   * Takes a document in; once this returns it is compressed, whatever happens to this process.
   *
   * @throws {GlyphpressError} GP_QUEUE_FULL, and what is wrong with the settings
   */
  async submit(submission: Submission): Promise<DocumentRecord> {
    const { store, models, records, queue, limits } = this.#parts;
    const { tenant, upload, settings, expiresInMs, mediaType, ...rest } = submission;
    encodingOf(settings.encoding);
    const { contextKey } = readingOf(settings, models.info(settings.model), mediaType);
    await store.prepare(tenant, upload);
    const id = `doc_${randomBytes(12).toString('hex')}`;
    // Nobody may delete the last document of this content while this one joins it.
    await records.exclusively(contentLock(tenant, upload.hash), async () => {
      await records.create(
        {
          tenant,
          id,
          origin: rest.origin,
          purpose: rest.purpose ?? null,
          filename: rest.filename,
          mediaType,
          bytes: upload.bytes,
          contentHash: upload.hash,
          settings: JSON.stringify(settings),
          settingsKey: contextKey,
          priority: rest.priority,
          expiresAt: expiresInMs === null ? null : Date.now() + expiresInMs,
        },
        limits,
      );
      try {
        await store.adopt(tenant, upload);
      } catch (error) {
        await records.remove({ tenant, id, contentHash: upload.hash, settingsKey: contextKey });
        throw error;
      }
    });
    // Should this fail, the document is accepted nevertheless: the sweeper finds it without jobs.
    await queue.add({ tenant, id, generation: 1 }, rest.priority).catch(() => {});
    return (await records.get({ tenant, id }))!;
  }

  /** @throws {GlyphpressError} GP_DOCUMENT_UNKNOWN, also for what belongs to another tenant */
  async get(ref: DocumentRef): Promise<DocumentRecord> {
    const record = isDocumentId(ref.id) ? await this.#parts.records.get(ref) : null;
    if (record) return record;
    throw new GlyphpressError('GP_DOCUMENT_UNKNOWN', {
      message: `There is no document ${JSON.stringify(ref.id.slice(0, 80))}`,
      hint: 'It may have expired or been deleted: submit it again.',
      details: { param: 'document' },
    });
  }

  list(tenant: string, page: ListPage): Promise<DocumentRecord[]> {
    return this.#parts.records.list(tenant, page);
  }

  /** A document of the tenant with these bytes and settings that is not lost, if there is one. */
  async findEqual(
    tenant: string,
    hash: string,
    settings: DocumentSettings,
    mediaType: string,
  ): Promise<DocumentRecord | null> {
    const { models, records } = this.#parts;
    const { contextKey } = readingOf(settings, models.info(settings.model), mediaType);
    for (const [id, key] of Object.entries(await records.siblings(tenant, hash))) {
      const record = key === contextKey ? await records.get({ tenant, id }) : null;
      if (record && !['failed', 'cancelled'].includes(record.state)) return record;
    }
    return null;
  }

  /** @throws {GlyphpressError} GP_DOCUMENT_STATE when it is finished */
  async cancel(ref: DocumentRef): Promise<DocumentRecord> {
    const { records, queue } = this.#parts;
    const record = await this.get(ref);
    const cancelled = await records.finish(ref, 'cancelled');
    const now = await this.get(ref);
    if (!cancelled && now.state !== 'cancelled') {
      throw new GlyphpressError('GP_DOCUMENT_STATE', {
        message: `The document is ${now.state} already`,
        hint: 'Only a document that is not finished can be cancelled; DELETE removes any.',
        details: { state: now.state },
      });
    }
    await queue.remove({ ...ref, generation: record.generation });
    // The sweeper does what this leaves.
    await removeLeftovers(this.#parts, record).catch(() => {});
    return now;
  }

  /** Also its pages and its context, unless another document of the tenant needs them. */
  async remove(ref: DocumentRef): Promise<void> {
    const { records, queue, store } = this.#parts;
    const record = await this.get(ref);
    const { tenant, contentHash, settingsKey } = record;
    await records.exclusively(contentLock(tenant, contentHash), async () => {
      const { sameContent, sameSettings } = await records.remove(record);
      if (sameContent === 0) await store.removeContent(tenant, contentHash);
      else if (sameSettings === 0) {
        for (const key of keysOfParts(settingsKey, record))
          await store.removeContext(tenant, contentHash, key);
      }
    });
    await queue.remove({ ...ref, generation: record.generation });
  }

  /** As {@link whileIdle}. */
  async whileIdle(
    tenant: string,
    hash: string,
    work: (documents: number, tokensKeys: ReadonlySet<string> | null) => Promise<void>,
  ): Promise<void> {
    await whileIdle(this.#parts, tenant, hash, work);
  }

  /**
   * What happened to a document after the event `after`, and then what happens, until it is finished
   * or deleted.
   */
  async *follow(
    ref: DocumentRef,
    after: string | null,
    signal: AbortSignal,
  ): AsyncGenerator<DocumentEvent> {
    const change = this.#changes.watch(memberOf(ref));
    const stopped = aborted(signal);
    try {
      let isOver = false;
      for (let last = after; !signal.aborted; ) {
        const heard = change.next();
        const events = await this.#parts.records.events(ref, last);
        for (const event of events) {
          yield event;
          last = event.id;
          if (isTerminalType(event.type)) return;
        }
        if (events.length === 0) {
          if (isOver) return;
          const record = await this.#parts.records.get(ref);
          isOver = !record || isTerminal(record.state);
          // It may have ended after its events were read: they are read once more.
          if (!isOver) await Promise.race([heard, stopped, later(LOOK_AGAIN_MS)]);
        }
      }
    } finally {
      change.stop();
    }
  }

  /**
   * Has the context of a completed document built, unless that is under way.
   *
   * @throws {GlyphpressError} GP_DOCUMENT_UNKNOWN
   */
  async build(ref: DocumentRef): Promise<void> {
    const { records, queue } = this.#parts;
    const generation = await records.build(ref);
    if (generation === null) return;
    const { tenant, id, priority } = await this.get(ref);
    // Should this fail, the sweeper finds it without jobs.
    await queue.add({ tenant, id, generation }, priority).catch(() => {});
  }

  /**
   * @returns the document once it is finished, or as it is when the time is over
   * @throws {GlyphpressError} GP_DOCUMENT_UNKNOWN when it is deleted meanwhile
   */
  untilFinished(ref: DocumentRef, timeoutMs: number, signal: AbortSignal): Promise<DocumentRecord> {
    return this.#until(ref, ({ state }) => isTerminal(state), timeoutMs, signal);
  }

  /** As {@link untilFinished}, for its context too. */
  untilAtRest(ref: DocumentRef, timeoutMs: number, signal: AbortSignal): Promise<DocumentRecord> {
    return this.#until(ref, isAtRest, timeoutMs, signal);
  }

  async #until(
    ref: DocumentRef,
    isReached: (record: DocumentRecord) => boolean,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<DocumentRecord> {
    const end = Date.now() + timeoutMs;
    const change = this.#changes.watch(memberOf(ref));
    const stopped = aborted(signal);
    try {
      for (;;) {
        const heard = change.next();
        const record = await this.get(ref);
        const left = end - Date.now();
        if (isReached(record) || left <= 0 || signal.aborted) return record;
        await Promise.race([heard, stopped, later(Math.min(left, LOOK_AGAIN_MS))]);
      }
    } finally {
      change.stop();
    }
  }
}

const memberOf = ({ tenant, id }: DocumentRef) => `${tenant} ${id}`;

function isTerminalType(type: DocumentEvent['type']): boolean {
  return type === 'completed' || type === 'failed' || type === 'cancelled';
}
