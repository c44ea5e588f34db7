/**
 * The records of all documents in Redis. Every change is one script, so that a state, its event and
 * the lists it stands in never disagree, and a document comes to exactly one terminal state.
 */

import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import { nameOfRange, type PageRange } from './compression-queue.js';
import { type DocumentEvent, parseEvents } from './document-events.js';
import {
  type DocumentRecord,
  type DocumentRef,
  decodeRecord,
  encodeFields,
  type Failure,
  type NewDocument,
  STAGES,
  type Stage,
  type TerminalState,
} from './document-record.js';
import { SCRIPTS } from './document-scripts.js';
import { KEY_PREFIX } from './key-prefix.js';
import {
  type Quota,
  quotaArguments,
  quotaError,
  storedKey,
  type Usage,
  usageKey,
} from './usage.js';

export interface RecordLimits extends Quota {
  /** Unfinished documents of one tenant. */
  perTenant: number;
  /** Unfinished documents in all. */
  total: number;
}

export interface ListPage {
  limit: number;
  /** The document behind which to go on. */
  after?: string | undefined;
  /** @defaultValue newest */
  order?: 'newest' | 'oldest' | undefined;
  origin?: string | undefined;
  purpose?: string | undefined;
  /** What the file name or the id holds, whatever its case. */
  name?: string | undefined;
}

/** Records that are looked at in one go where not all are wanted. */
const LIST_STEP = 200;

export type StepStart =
  | { verdict: 'go'; record: DocumentRecord }
  /** It is cancelled, finished, deleted, or its jobs were replaced by newer ones. */
  | { verdict: 'unwanted' }
  /** It was started too often without coming to an end. */
  | { verdict: 'poison'; starts: number };

const EVENTS_AFTER_END_MS = 24 * 3_600_000;

const ACTIVE = `${KEY_PREFIX}:active`;
const EXPIRY = `${KEY_PREFIX}:expiry`;
const keysOf = ({ tenant, id }: DocumentRef) => ({
  record: `${KEY_PREFIX}:doc:${tenant}:${id}`,
  events: `${KEY_PREFIX}:events:${tenant}:${id}`,
  index: `${KEY_PREFIX}:docs:${tenant}`,
  unfinished: `${KEY_PREFIX}:unfinished:${tenant}`,
  member: `${tenant} ${id}`,
});
const contentKey = (tenant: string, contentHash: string) =>
  `${KEY_PREFIX}:content:${tenant}:${contentHash}`;

/** Starts are counted for each part of a step: many parts of a good document are no poison. */
function counterOf(stage: Stage, range: PageRange | undefined): string {
  return range ? `${stage}:${nameOfRange(range)}` : stage;
}

type Script = keyof typeof SCRIPTS;
type ScriptCall = (...args: (string | number)[]) => Promise<unknown>;

export class DocumentRecords {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
    for (const [name, { keys, lua }] of Object.entries(SCRIPTS)) {
      redis.defineCommand(name, { numberOfKeys: keys, lua });
    }
  }

  /**
   * @returns how many unfinished documents the tenant had before
   * @throws {GlyphpressError} GP_QUEUE_FULL, GP_QUOTA
   */
  async create(document: NewDocument, limits: RecordLimits): Promise<{ ahead: number }> {
    const now = Date.now();
    const { index, member } = keysOf(document);
    const fields = encodeFields({
      ...document,
      state: 'queued',
      stage: STAGES[0],
      generation: 1,
      pagesDone: 0,
      share: 0,
      createdAt: now,
      updatedAt: now,
    });
    const [verdict, count] = (await this.#run(
      'gpCreate',
      [...this.#keys(document), index, EXPIRY, contentKey(document.tenant, document.contentHash)],
      [
        member,
        now,
        limits.perTenant,
        limits.total,
        document.expiresAt ?? '',
        document.id,
        document.settingsKey,
        JSON.stringify({ state: 'queued' }),
        document.bytes,
        ...quotaArguments(limits),
        ...fields,
      ],
    )) as [string, number];
    if (verdict === 'ok') return { ahead: count };
    if (verdict === 'documents' || verdict === 'inflight' || verdict === 'stored')
      throw quotaError(verdict, count, document.bytes, limits);
    const limit = verdict === 'tenant' ? limits.perTenant : limits.total;
    throw new GlyphpressError('GP_QUEUE_FULL', {
      message:
        verdict === 'tenant'
          ? `${count} documents of yours are not finished; at most ${limit} are taken at once`
          : `${count} documents are not finished; the service takes at most ${limit} at once`,
      hint: 'Wait until some are done, or cancel some.',
      details: { scope: verdict, unfinished: count, limit },
    });
  }

  async get(ref: DocumentRef): Promise<DocumentRecord | null> {
    return decodeRecord(await this.#redis.hgetall(keysOf(ref).record));
  }

  /**
   * A tenant's documents.
   *
   * @throws {GlyphpressError} GP_DOCUMENT_UNKNOWN where `after` is no document of the tenant
   */
  async list(tenant: string, page: ListPage): Promise<DocumentRecord[]> {
    const { limit, after, order = 'newest', origin, purpose, name } = page;
    const { index } = keysOf({ tenant, id: '' });
    const [rankOf, rangeOf] =
      order === 'newest' ? (['zrevrank', 'zrevrange'] as const) : (['zrank', 'zrange'] as const);
    let from = 0;
    if (after !== undefined) {
      const rank = await this.#redis[rankOf](index, after);
      if (rank === null) throw noSuchPlace(after);
      from = rank + 1;
    }
    const wanted: DocumentRecord[] = [];
    const filter = { origin, purpose, name: name || undefined };
    const isFiltered = Object.values(filter).some((value) => value !== undefined);
    const step = isFiltered ? Math.max(limit, LIST_STEP) : limit;
    for (;;) {
      const ids = await this.#redis[rangeOf](index, from, from + step - 1);
      const matching = isFiltered ? await this.#matching(tenant, ids, filter) : ids;
      const records = await Promise.all(
        matching.slice(0, limit - wanted.length).map((id) => this.get({ tenant, id })),
      );
      wanted.push(...records.filter((record) => record !== null));
      if (wanted.length >= limit || ids.length < step) return wanted;
      from += ids.length;
    }
  }

  /** Those of these documents that came in by this door, for this purpose, and under such a name. */
  async #matching(
    tenant: string,
    ids: readonly string[],
    { origin, purpose, name }: Pick<ListPage, 'origin' | 'purpose' | 'name'>,
  ): Promise<string[]> {
    const pipeline = this.#redis.pipeline();
    for (const id of ids)
      pipeline.hmget(keysOf({ tenant, id }).record, 'origin', 'purpose', 'filename');
    const replies = (await pipeline.exec()) ?? [];
    const wanted = name?.toLowerCase();
    return ids.filter((id, i) => {
      const [error, fields] = replies[i] as [Error | null, (string | null)[]];
      if (error) throw error;
      const [itsOrigin, itsPurpose, filename] = fields;
      return (
        (origin === undefined || itsOrigin === origin) &&
        (purpose === undefined || itsPurpose === purpose) &&
        (wanted === undefined || `${filename ?? ''} ${id}`.toLowerCase().includes(wanted))
      );
    });
  }

  /** Other documents of the tenant with the same bytes: id → settings key. */
  siblings(tenant: string, contentHash: string): Promise<Record<string, string>> {
    return this.#redis.hgetall(contentKey(tenant, contentHash));
  }

  async begin(
    ref: DocumentRef,
    stage: Stage,
    generation: number,
    maxStarts: number,
    range?: PageRange,
  ): Promise<StepStart> {
    const [verdict, starts] = (await this.#run('gpBegin', this.#keys(ref), [
      keysOf(ref).member,
      Date.now(),
      stage,
      generation,
      maxStarts,
      range ? '' : JSON.stringify({ state: 'in_progress', stage }),
      counterOf(stage, range),
    ])) as [string, string?];
    if (verdict === 'poison') return { verdict, starts: Number(starts) };
    const record = verdict === 'go' ? await this.get(ref) : null;
    return record ? { verdict: 'go', record } : { verdict: 'unwanted' };
  }

  /** A start that ended because the worker shut down does not count against the document. */
  async takeBackStart(ref: DocumentRef, stage: Stage, range?: PageRange): Promise<void> {
    const args = [keysOf(ref).member, Date.now(), counterOf(stage, range)];
    await this.#run('gpTakeBackStart', this.#keys(ref), args);
  }

  /** @returns false if the document was deleted or cancelled: the worker must stop */
  async note(
    ref: DocumentRef,
    type: DocumentEvent['type'],
    data: Record<string, unknown>,
    fields: Partial<Pick<DocumentRecord, 'pagesDone' | 'pages' | 'share' | 'characters'>> &
      Record<string, unknown> = {},
  ): Promise<boolean> {
    const noted = await this.#run('gpNote', this.#keys(ref), [
      keysOf(ref).member,
      Date.now(),
      type,
      JSON.stringify(data),
      ...encodeFields(fields),
    ]);
    return noted === 1;
  }

  /**
   * Wants the context of a completed document.
   *
   * @returns the generation of the jobs that build it; null where it is being built already, or is not
   *   completed
   */
  async build(ref: DocumentRef): Promise<number | null> {
    const args = [keysOf(ref).member, Date.now()];
    return ((await this.#run('gpBuild', this.#keys(ref), args)) as number) || null;
  }

  /** @returns false when it had come to a terminal state before: that one stays */
  async finish(
    ref: DocumentRef,
    state: TerminalState,
    fields: { report?: string; failure?: Failure; context?: 'none' } = {},
  ): Promise<boolean> {
    const data = { state, ...(fields.failure && { error: fields.failure }) };
    const finished = await this.#run('gpFinish', this.#keys(ref), [
      keysOf(ref).member,
      Date.now(),
      ref.id,
      state,
      JSON.stringify(data),
      EVENTS_AFTER_END_MS,
      ...encodeFields({ ...fields, share: 1 }),
    ]);
    return finished === 1;
  }

  /** @returns the new generation, or null when somebody else was faster or the document is done */
  async requeue(ref: DocumentRef, generation: number): Promise<number | null> {
    const next = await this.#run('gpRequeue', this.#keys(ref), [
      keysOf(ref).member,
      Date.now(),
      generation,
    ]);
    return (next as number) || null;
  }

  async remove({
    tenant,
    id,
    contentHash,
    settingsKey,
  }: Pick<DocumentRecord, 'tenant' | 'id' | 'contentHash' | 'settingsKey'>): Promise<{
    existed: boolean;
    sameContent: number;
    sameSettings: number;
  }> {
    const ref = { tenant, id };
    const { index, member } = keysOf(ref);
    const [existed, sameContent, sameSettings] = (await this.#run(
      'gpRemove',
      [...this.#keys(ref), index, EXPIRY, contentKey(tenant, contentHash), storedKey(tenant)],
      [member, Date.now(), id, settingsKey, contentHash],
    )) as [number, number, number];
    return { existed: existed === 1, sameContent, sameSettings };
  }

  /** What a content takes in the store now, for the quota of its tenant. */
  async noteStored(tenant: string, contentHash: string, bytes: number): Promise<void> {
    const keys = [storedKey(tenant), usageKey(tenant), contentKey(tenant, contentHash)];
    await this.#run('gpStored', keys, [contentHash, bytes]);
  }

  async usage(tenant: string): Promise<Usage> {
    const [stored, inFlight] = await this.#redis.hmget(usageKey(tenant), 'stored', 'inflight');
    const documents = await this.#redis.zcard(keysOf({ tenant, id: '' }).index);
    return { documents, storedBytes: Number(stored ?? 0), inFlightBytes: Number(inFlight ?? 0) };
  }

  /** What happened after the event with this id; all of it for null. Of one that is over, no progress. */
  async events(ref: DocumentRef, after: string | null): Promise<DocumentEvent[]> {
    const first = after === null ? '-' : `(${after}`;
    const kept = await this.#run('gpEvents', [keysOf(ref).events], [first]);
    return parseEvents(kept as Parameters<typeof parseEvents>[0], after);
  }

  /** Unfinished documents that nothing happened to since then, longest first. */
  quietSince(time: number, limit: number): Promise<DocumentRef[]> {
    return this.#refs(this.#redis.zrangebyscore(ACTIVE, '-inf', time, 'LIMIT', 0, limit));
  }

  expired(now: number, limit: number): Promise<DocumentRef[]> {
    return this.#refs(this.#redis.zrangebyscore(EXPIRY, '-inf', now, 'LIMIT', 0, limit));
  }

  unfinishedCount(): Promise<number> {
    return this.#redis.zcard(ACTIVE);
  }

  /** Whether any document holds this content, so that its folder must stay. */
  async holdsContent(tenant: string, contentHash: string): Promise<boolean> {
    return (await this.#redis.exists(contentKey(tenant, contentHash))) === 1;
  }

  /** One at a time over all processes; the lock is lost by itself when its holder dies. */
  async exclusively<T>(name: string, work: () => Promise<T>, ttlMs = 30_000): Promise<T> {
    const key = `${KEY_PREFIX}:lock:${name}`;
    const token = `${process.pid}-${Math.random()}`;
    const end = Date.now() + ttlMs;
    while ((await this.#redis.set(key, token, 'PX', ttlMs, 'NX')) === null) {
      if (Date.now() > end) {
        throw new GlyphpressError('GP_REDIS_UNAVAILABLE', {
          message: `Another process holds the lock ${name} for more than ${ttlMs} ms`,
          hint: 'Try again.',
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    try {
      return await work();
    } finally {
      await this.#run('gpUnlock', [key], [token]).catch(() => {}); // it ends by itself
    }
  }

  async #refs(members: Promise<string[]>): Promise<DocumentRef[]> {
    return (await members).map((member) => {
      const [tenant, id] = member.split(' ') as [string, string];
      return { tenant, id };
    });
  }

  #keys(ref: DocumentRef): string[] {
    const { record, events, unfinished } = keysOf(ref);
    return [record, events, ACTIVE, unfinished, usageKey(ref.tenant)];
  }

  #run(script: Script, keys: string[], args: (string | number)[]): Promise<unknown> {
    const commands = this.#redis as unknown as Record<Script, ScriptCall>;
    return commands[script](...keys, ...args);
  }
}

function noSuchPlace(after: string): GlyphpressError {
  return new GlyphpressError('GP_DOCUMENT_UNKNOWN', {
    message: `There is no document ${JSON.stringify(after.slice(0, 80))} to continue after`,
    hint: 'It was deleted meanwhile: list from the start again.',
    details: { param: 'after' },
  });
}
