/** Figures for Prometheus. No label grows with documents or tenants. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { isConnectionLoss } from '../queue/connection.js';
import type { App, ServerParts } from './context.js';
import type { Pressure } from './pressure.js';

export class Metrics {
  readonly #registry = new Registry();

  constructor(
    app: App,
    { queue, records, engine, pressure }: ServerParts & { pressure: Pressure },
  ) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, prefix: 'glyphpress_' });
    const requests = new Histogram({
      name: 'glyphpress_http_request_seconds',
      help: 'Time until a response was complete, streams included.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
      registers,
    });
    app.addHook('onResponse', async (request, reply) => {
      const route = request.routeOptions.url ?? 'none';
      requests.observe(
        { method: request.method, route, status: reply.statusCode },
        reply.elapsedTime / 1000,
      );
    });
    new Gauge({
      name: 'glyphpress_jobs',
      help: 'Jobs in the queues.',
      labelNames: ['stage', 'state'],
      registers,
      async collect() {
        const counts = await whileConnected(() => queue.counts());
        this.reset();
        for (const [stage, states] of Object.entries(counts ?? {}))
          for (const [state, count] of Object.entries(states)) this.set({ stage, state }, count);
      },
    });
    new Gauge({
      name: 'glyphpress_documents_unfinished',
      help: 'Documents that are queued or in progress.',
      registers,
      async collect() {
        const count = await whileConnected(() => records.unfinishedCount());
        if (count !== null) this.set(count);
      },
    });
    new Gauge({
      name: 'glyphpress_requests_refused',
      help: 'Requests refused so far because the service had enough to do, by reason.',
      labelNames: ['reason'],
      registers,
      collect() {
        for (const [reason, count] of pressure.refused) this.set({ reason }, count);
      },
    });
    for (const [name, help, value] of [
      ['requests_open', 'Requests that make work, under way.', () => pressure.openRequests],
      ['questions_running', 'Questions being answered.', () => engine.running],
      ['questions_waiting', 'Questions in line.', () => engine.waiting],
      ['contexts', 'Contexts in memory.', () => engine.contexts],
    ] as const) {
      new Gauge({
        name: `glyphpress_${name}`,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    }
  }

  /** Counts questions; made here so that every figure has one home. */
  readonly tokens = new Counter({
    name: 'glyphpress_tokens_total',
    help: 'Tokens of questions answered, by kind.',
    labelNames: ['kind'],
    registers: [this.#registry],
  });

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** Figures of this process are worth having while Redis is away. */
async function whileConnected<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (isConnectionLoss(error)) return null;
    throw error;
  }
}
