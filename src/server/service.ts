/** A running service in this process: connections, store, models, engine, HTTP. */

import type { AddressInfo } from 'node:net';
import type { FastifyServerOptions } from 'fastify';
import type { Redis } from 'ioredis';
import { findChromium } from '../environment/chromium.js';
import { GlyphpressError } from '../errors.js';
import { CompressionQueue } from '../queue/compression-queue.js';
import { connectRedis } from '../queue/connection.js';
import { DocumentRecords } from '../queue/document-records.js';
import { Changes } from '../service/changes.js';
import { DocumentService } from '../service/documents.js';
import { introduceService } from '../service/introduction.js';
import type { ModelRegistry } from '../service/models.js';
import { openCheckedStore, type StoreOptions } from '../service/open-store.js';
import { PassagesEngine } from '../service/passages-engine.js';
import { type EngineOptions, QuestionEngine } from '../service/question-engine.js';
import {
  RESPONSE_CHANGED_CHANNEL,
  RESPONSE_STOP_CHANNEL,
  ResponseRecords,
} from '../service/response-records.js';
import { Sweeper, type SweeperOptions } from '../service/sweeper.js';
import { type WebhookOptions, Webhooks } from '../service/webhooks.js';
import { ApiKeys } from './api-keys.js';
import { createApp } from './app.js';
import type { ServerParts } from './context.js';
import { DEFAULT_LIMITS, type ServiceLimits } from './limits.js';
import { Listeners } from './listeners.js';
import { Metrics } from './metrics.js';
import { RateLimiter } from './rate-limit.js';
import { ResponseRunner, type RunnerOptions } from './response-runner.js';
import { readTlsIdentity, type TlsFiles, type TlsIdentity } from './tls.js';
import type { TrustProxy } from './trusted-proxies.js';
import type { App } from './typed-app.js';

export interface ServiceOptions {
  redisUrl: string;
  dataFolder: string;
  /** @defaultValue documents lie in the data folder */
  store?: StoreOptions | undefined;
  models: ModelRegistry;
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Off this machine a key is needed in any case. */
  requireKey: boolean;
  /** @defaultValue plain HTTP */
  tls?: TlsFiles;
  /** Whose forwarded addresses are believed; whoever comes through a proxy needs a key. */
  trustProxy?: TrustProxy;
  limits?: Partial<ServiceLimits>;
  engine?: EngineOptions;
  sweeper?: SweeperOptions;
  webhooks?: Partial<Pick<WebhookOptions, 'policy' | 'attempts' | 'backoffMs'>>;
  runner?: Pick<RunnerOptions, 'leaseMs'>;
  logger?: FastifyServerOptions['logger'] | undefined;
  version: string;
}

export interface RunningService {
  app: App;
  url: string;
  keys: ApiKeys;
  /**
   * Reads the certificate again, for the connections from now on.
   *
   * @returns null for a service without one
   * @throws {GlyphpressError} GP_TLS; the one before stays in use
   */
  renewTls(): Promise<TlsIdentity | null>;
  /** No new requests; answers under way go on for `graceMs`, event streams end at once. */
  close(graceMs: number): Promise<void>;
}

/** For an answer that is cut off to say so. */
const LAST_WORDS_MS = 500;

/** @throws {GlyphpressError} GP_SERVICE for a set-up that would be unsafe or whose port is taken */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { models, host, port, version, redisUrl } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const tls = options.tls ? await readTlsIdentity(options.tls) : null;
  const listeners = new Listeners(tls);
  const connections: Redis[] = [];
  const connect = async (use: 'request' | 'worker') => {
    const redis = await connectRedis(redisUrl, use);
    connections.push(redis);
    return redis;
  };
  // What works beside the requests may fail before there is a server to log it.
  let running: App | null = null;
  const logged = (what: string) => (err: unknown) => running?.log.error({ err }, what);
  const closing = new AbortController();
  const stopping = new AbortController();
  const cleanUp: (() => Promise<unknown> | unknown)[] = [
    () => models.close(),
    () => {
      for (const redis of connections) redis.disconnect();
    },
  ];
  const close = async () => {
    for (const step of cleanUp.toReversed()) await step();
  };
  try {
    const redis = await connect('request');
    const keys = new ApiKeys(redis);
    const requireKey = options.requireKey || !isLoopback(host) || options.trustProxy !== undefined;
    if (requireKey && (await keys.count()) === 0) throw noKeys(host);
    const records = new DocumentRecords(redis);
    const queue = new CompressionQueue(redis);
    cleanUp.push(() => queue.close());
    const store = await openCheckedStore(options.dataFolder, options.store, (warning) =>
      process.stderr.write(`warning: ${warning}\n`),
    );
    cleanUp.push(() => store.close());
    await introduceService({ redis, store, models });
    const subscriber = await connect('worker');
    const base = { store, models, records, queue, limits };
    const documents = await DocumentService.open({ ...base, subscriber });
    const engine = new QuestionEngine(models, options.engine);
    const passages = new PassagesEngine(models, engine);
    const changes = await Changes.open(subscriber, RESPONSE_CHANGED_CHANNEL);
    const webhooks = await Webhooks.open(
      { redis, workerRedis: await connect('worker'), subscriber },
      {
        policy: { allow: [] },
        version,
        ...options.webhooks,
        onError: logged('webhooks'),
      },
    );
    cleanUp.push(() => webhooks.close());
    const parts: ServerParts = {
      ...base,
      redis,
      documents,
      engine,
      passages,
      metrics: new Metrics({ queue, records, engine }),
      responses: new ResponseRecords(redis, changes, limits),
      webhooks,
      keys,
      rates: new RateLimiter(redis),
      closing: closing.signal,
      stopping: stopping.signal,
      version,
    };
    const runner = new ResponseRunner(parts, {
      ...options.runner,
      onError: logged('background answer'),
    });
    cleanUp.push(() => runner.close());
    subscriber.on('message', (channel, member) => {
      if (channel === RESPONSE_STOP_CHANNEL) runner.stop(member);
    });
    await subscriber.subscribe(RESPONSE_STOP_CHANNEL);
    const { logger, trustProxy } = options;
    const app = await createApp(
      { ...parts, runner },
      { requireKey, listeners, logger, trustProxy },
    );
    running = app;
    cleanUp.push(() => app.close());
    const sweeper = new Sweeper(
      { documents, records, queue, store, onError: logged('sweeper') },
      options.sweeper,
    );
    cleanUp.push(() => sweeper.close());
    // Asking a browser for its version blocks; from here on the answer is known.
    findChromium();
    await listen(app, host, port);
    const { port: bound } = app.server.address() as AddressInfo;
    const shown = host.includes(':') ? `[${host}]` : host;
    return {
      app,
      url: `http${tls ? 's' : ''}://${shown}:${bound}`,
      keys,
      async renewTls() {
        if (!options.tls) return null;
        const renewed = await readTlsIdentity(options.tls);
        listeners.renew(renewed);
        return renewed;
      },
      async close(graceMs) {
        closing.abort();
        const end = setTimeout(() => {
          stopping.abort();
          setTimeout(() => app.server.closeAllConnections(), LAST_WORDS_MS).unref();
        }, graceMs);
        try {
          await close();
        } finally {
          clearTimeout(end);
        }
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

async function listen(app: App, host: string, port: number): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw new GlyphpressError('GP_SERVICE', {
      message: `Cannot listen on ${host}:${port}: ${(cause as Error).message}`,
      hint: 'Give another --port or --host.',
      details: { host, port },
      cause,
    });
  }
}

function noKeys(host: string): GlyphpressError {
  return new GlyphpressError('GP_SERVICE', {
    message: isLoopback(host)
      ? 'API keys are required, and there is none yet'
      : `${host} can be reached by others, and there is no API key yet`,
    hint: 'Make one first: glyphpress keys create --tenant NAME. Or stay on 127.0.0.1.',
    details: { host },
  });
}
