/** Figures for Prometheus. No label grows with documents or tenants. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ReportSoFar } from '../pipeline/report.js';
import type { CompressionQueue } from '../queue/compression-queue.js';
import { isConnectionLoss } from '../queue/connection.js';
import type { DocumentRecords } from '../queue/document-records.js';
import type { EngineAnswer, QuestionEngine } from '../service/question-engine.js';
import type { Pressure } from './pressure.js';
import type { App } from './typed-app.js';

/** Whose state is shown. */
interface Observed {
  queue: Pick<CompressionQueue, 'counts'>;
  records: Pick<DocumentRecords, 'unfinishedCount'>;
  engine: Pick<QuestionEngine, 'running' | 'waiting' | 'contexts'>;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #tokens = new Counter({
    name: 'glyphpress_tokens_total',
    help: 'Tokens of questions answered: text is what their documents would have cost as text.',
    labelNames: ['kind'],
    registers: [this.#registry],
  });
  readonly #contexts = new Counter({
    name: 'glyphpress_context_lookups_total',
    help: 'Questions that found their context in memory, and those that had to load it.',
    labelNames: ['result'],
    registers: [this.#registry],
  });
  readonly #firstToken = new Histogram({
    name: 'glyphpress_first_token_seconds',
    help: 'From the arrival of a question at the engine to the first token of its answer.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.#registry],
  });

  constructor({ queue, records, engine }: Observed) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, prefix: 'glyphpress_' });
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
    for (const [name, help, value] of [
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

  /** Times the requests of a server from here on, and counts those that it refuses. */
  watch(app: App, pressure: Pressure): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'glyphpress_requests_refused',
      help: 'Requests refused so far because the service had enough to do, by reason.',
      labelNames: ['reason'],
      registers,
      collect() {
        for (const [reason, count] of pressure.refused) this.set({ reason }, count);
      },
    });
    new Gauge({
      name: 'glyphpress_requests_open',
      help: 'Requests that make work, under way.',
      registers,
      collect() {
        this.set(pressure.openRequests);
      },
    });
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
  }

  /** One question answered. */
  asked(reports: readonly ReportSoFar[], answer: EngineAnswer): void {
    for (const { textTokens, visualTokens } of reports) {
      this.#tokens.inc({ kind: 'text' }, textTokens);
      this.#tokens.inc({ kind: 'visual' }, visualTokens ?? 0);
    }
    this.#tokens.inc({ kind: 'context' }, answer.contextTokens);
    this.#tokens.inc({ kind: 'question' }, answer.usage.promptTokens - answer.contextTokens);
    this.#tokens.inc({ kind: 'answer' }, answer.usage.completionTokens);
    this.#contexts.inc({ result: answer.loadMs === 0 ? 'hit' : 'miss' });
    this.#firstToken.observe((answer.waitMs + answer.loadMs + answer.timings.firstTokenMs) / 1000);
  }

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
