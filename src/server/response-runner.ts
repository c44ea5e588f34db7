/**
 * Makes background answers. Each is leased to one process; what a process leaves behind, because it was
 * stopped or died, another one takes over.
 */

import { GlyphpressError } from '../errors.js';
import { aborted, later } from '../service/changes.js';
import type {
  ResponseEvent,
  ResponseRecord,
  ResponseRecords,
  ResponseRef,
} from '../service/response-records.js';
import { type AskingParts, readQuestion } from './asking.js';
import {
  composeResponse,
  emptyResponse,
  failedResponse,
  type ResponseHead,
  type ResponseObject,
} from './compose-response.js';
import { type KeptRequest, questionOfKept } from './response-request.js';

export interface RunnerParts extends AskingParts {
  responses: ResponseRecords;
}

export interface RunnerOptions {
  /** A process that is not heard of for so long has lost its answers. @defaultValue 15,000 */
  leaseMs?: number;
  onError?: (error: unknown) => void;
}

/** An answer that ends its process again and again is given up. */
const MAX_TAKEOVERS = 5;
const BATCH = 20;
/** Until the next try, where more questions wait than the engine takes. */
const BUSY_PAUSE_MS = 1_000;

type Record = ResponseRecord<KeptRequest> & { response: ResponseObject };

export class ResponseRunner {
  readonly #parts: RunnerParts;
  readonly #leaseMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #running = new Map<string, { ref: ResponseRef; stop: AbortController }>();
  readonly #work = new Set<Promise<void>>();
  #closing = false;
  #ticking = false;

  constructor(parts: RunnerParts, { leaseMs = 15_000, onError = () => {} }: RunnerOptions = {}) {
    this.#parts = parts;
    this.#leaseMs = leaseMs;
    this.#onError = onError;
    this.#timer = setInterval(() => void this.#tick(), leaseMs / 3);
    this.#timer.unref();
  }

  /** For {@link RunnerParts.responses}: until when work is ours that begins now. */
  get leaseUntil(): number {
    return Date.now() + this.#leaseMs;
  }

  /** The lease must be ours. */
  start(ref: ResponseRef): void {
    const stop = new AbortController();
    const member = memberOf(ref);
    this.#running.set(member, { ref, stop });
    const work = this.#make(ref, stop.signal)
      .catch((error) => this.#onError(error))
      .finally(() => {
        this.#running.delete(member);
        this.#work.delete(work);
      });
    this.#work.add(work);
  }

  /** Somebody cancelled or deleted it, perhaps in another process. */
  stop(member: string): void {
    this.#running.get(member)?.stop.abort();
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#timer);
    const refs = [...this.#running.values()];
    for (const { stop } of refs) stop.abort();
    await Promise.all(this.#work);
    for (const { ref } of refs) await this.#parts.responses.giveBack(ref).catch(() => {}); // it ends by itself
  }

  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      const { responses } = this.#parts;
      const mine = [...this.#running.values()].map(({ ref }) => ref);
      for (const ref of await responses.renew(mine, this.leaseUntil)) this.stop(memberOf(ref));
      for (const ref of await responses.abandoned(Date.now(), BATCH)) {
        if (this.#closing || this.#running.has(memberOf(ref))) continue;
        const takeovers = await responses.claim(ref, Date.now(), this.leaseUntil);
        if (takeovers > MAX_TAKEOVERS) await this.#giveUp(ref, takeovers);
        else if (takeovers > 0) this.start(ref);
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#ticking = false;
    }
  }

  async #make(ref: ResponseRef, signal: AbortSignal): Promise<void> {
    const { responses } = this.#parts;
    const record = (await responses.get<KeptRequest>(ref)) as Record;
    const head = headOf(record);
    // One after the other, in order; the answer does not wait for what is told of it.
    let told: Promise<unknown> = Promise.resolve();
    const gone = new AbortController();
    const wanted = AbortSignal.any([signal, gone.signal]);
    const tell = (event: ResponseEvent) => {
      const { response } = event as { response?: ResponseObject };
      told = told
        .then(() => responses.note(ref, event, response))
        .then((open) => {
          if (!open) gone.abort();
        })
        .catch((error) => this.#onError(error));
    };
    try {
      const last = await this.#answer(head, ref.tenant, wanted, tell);
      await told;
      await responses.finish(ref, last, last.response);
    } catch (error) {
      await told;
      if (wanted.aborted) return; // cancelled, deleted, or for another process to go on with
      const last = failedResponse(head, error);
      await responses.finish(ref, last, last.response);
      if (!(error instanceof GlyphpressError)) this.#onError(error);
    }
  }

  async #answer(
    head: ResponseHead,
    tenant: string,
    signal: AbortSignal,
    tell: (event: ResponseEvent) => void,
  ) {
    const { request } = head;
    for (;;) {
      let said = false;
      try {
        const question = await readQuestion(
          this.#parts,
          tenant,
          questionOfKept(request),
          new Map(),
        );
        // A background answer has no open connection: no timeout while the document is compressed.
        const patient = { ...question, waitUntil: Number.MAX_SAFE_INTEGER };
        return await composeResponse(this.#parts, head, patient, signal, (event) => {
          said ||= event.type === 'response.output_item.added';
          tell(event);
        });
      } catch (error) {
        const busy = error instanceof GlyphpressError && error.code === 'GP_BUSY';
        if (!busy || said || signal.aborted) throw error;
        await Promise.race([later(BUSY_PAUSE_MS), aborted(signal)]);
        signal.throwIfAborted();
      }
    }
  }

  async #giveUp(ref: ResponseRef, takeovers: number): Promise<void> {
    const { responses } = this.#parts;
    const head = headOf((await responses.get<KeptRequest>(ref)) as Record);
    const error = new GlyphpressError('GP_BUSY', {
      message: `The answer was started ${takeovers} times and never finished`,
      hint: 'Ask again; ask for a shorter answer if it stays.',
    });
    const last = failedResponse(head, error);
    await responses.finish(ref, last, last.response);
  }
}

function headOf({ request, response }: Record): ResponseHead {
  return {
    id: response.id,
    createdAt: response.created_at,
    background: true,
    store: true,
    request,
  };
}

export function queuedEvents(head: ResponseHead): ResponseEvent[] {
  const response = emptyResponse(head, 'queued');
  return ['response.created', 'response.queued'].map((type) => ({ type, response }));
}

const memberOf = ({ tenant, id }: ResponseRef) => `${tenant} ${id}`;
