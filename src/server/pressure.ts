/**
 * Refuses new work before this process falls behind or runs out of memory. What is under way goes on,
 * and looking is always allowed: only requests that make work (POST) are counted and refused.
 */

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GlyphpressError } from '../errors.js';

export interface PressureLimits {
  /** Requests that make work, under way at once, with those that wait for their document. */
  openRequests: number;
  /** Of them, those of one tenant. */
  openRequestsPerTenant: number;
  /** Milliseconds that the event loop may be late, on average over a second or at its end. */
  eventLoopDelayMs: number;
  /** Resident bytes of this process. */
  memoryBytes: number;
}

const SAMPLE_EVERY_MS = 1_000;
const RESOLUTION_MS = 20;

export type Refusal = 'tenant' | 'total' | 'event-loop' | 'memory';

export class Pressure {
  readonly #limits: PressureLimits;
  readonly #delay: IntervalHistogram;
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Map<string, number>();
  readonly #refused = new Map<Refusal, number>();
  #total = 0;
  #delayMs = 0;
  #rss = 0;

  /** @param readRss for tests */
  constructor(limits: PressureLimits, readRss: () => number = () => process.memoryUsage.rss()) {
    this.#limits = limits;
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delay.enable();
    let sampledAt = performance.now();
    this.#timer = setInterval(() => {
      // What it measures is the whole interval of its own timer. A long stop may be told to it only after this
      // sample, which then has nothing to tell (NaN), and drown in the next one: but this timer itself is late.
      const now = performance.now();
      const lateMs = now - sampledAt - SAMPLE_EVERY_MS;
      sampledAt = now;
      this.#delayMs = Math.max(0, lateMs, (this.#delay.mean || 0) / 1e6 - RESOLUTION_MS);
      this.#delay.reset();
      this.#rss = readRss();
    }, SAMPLE_EVERY_MS);
    this.#timer.unref();
  }

  get openRequests(): number {
    return this.#total;
  }

  /** Requests refused so far, by reason. */
  get refused(): ReadonlyMap<Refusal, number> {
    return this.#refused;
  }

  /** Why new work of any tenant is refused at the moment; null while it is taken. */
  get overload(): string | null {
    const { eventLoopDelayMs, memoryBytes } = this.#limits;
    if (this.#delayMs > eventLoopDelayMs) return 'behind';
    return this.#rss > memoryBytes ? 'short of memory' : null;
  }

  /**
   * Counts a request in.
   *
   * @returns counts it out again, once
   * @throws {GlyphpressError} GP_BUSY
   */
  enter(tenant: string): () => void {
    const { openRequests, openRequestsPerTenant, eventLoopDelayMs, memoryBytes } = this.#limits;
    const own = this.#open.get(tenant) ?? 0;
    if (own >= openRequestsPerTenant)
      this.#refuse('tenant', `${own} requests of yours are under way`, openRequestsPerTenant);
    if (this.#total >= openRequests)
      this.#refuse('total', `${this.#total} requests are under way`, openRequests);
    const delayMs = Math.round(this.#delayMs);
    if (delayMs > eventLoopDelayMs)
      this.#refuse('event-loop', `The service is ${delayMs} ms behind`, eventLoopDelayMs);
    if (this.#rss > memoryBytes)
      this.#refuse('memory', 'The service is short of memory', memoryBytes);
    this.#total++;
    this.#open.set(tenant, own + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#total--;
      const rest = this.#open.get(tenant)! - 1;
      if (rest === 0) this.#open.delete(tenant);
      else this.#open.set(tenant, rest);
    };
  }

  /** Put it behind what says whose a request is. */
  guard(app: FastifyInstance): void {
    app.addHook('onRequest', async (request, reply) => {
      if (!makesWork(request)) return;
      const leave = this.enter(request.caller.tenant);
      reply.raw.once('close', leave);
    });
    app.addHook('onClose', async () => {
      clearInterval(this.#timer);
      this.#delay.disable();
    });
  }

  #refuse(scope: Refusal, message: string, limit: number): never {
    this.#refused.set(scope, (this.#refused.get(scope) ?? 0) + 1);
    throw new GlyphpressError('GP_BUSY', {
      message: `${message}; it takes no more work for now`,
      hint: 'Try again in a few seconds, with fewer requests at once.',
      details: { scope, limit },
    });
  }
}

/** Cancelling makes less work, not more. */
function makesWork({ method, routeOptions, is404 }: FastifyRequest): boolean {
  const isOurs = !is404 && routeOptions.config.access !== 'public';
  return method === 'POST' && isOurs && !routeOptions.url?.endsWith('/cancel');
}
