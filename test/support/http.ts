/** A service with workers in this process, asked over real HTTP. */

import { STAGES } from '../../src/queue/document-record.js';
import { type ServiceOptions, startService } from '../../src/server/service.js';
import { SMALL_PAGES, startTestWorkers, type TestRedis, TINY_NAME, tinyModels } from './service.js';

export interface TestServer {
  url: string;
  service: Awaited<ReturnType<typeof startService>>;
  /** A path with what fetch takes; JSON bodies as objects. */
  fetch(path: string, init?: RequestInit & { json?: unknown; key?: string }): Promise<Response>;
  /** Hands in a small text and gives its document. */
  submit(text: string, fields?: Record<string, unknown>, key?: string): Promise<DocumentJson>;
  /** The document once it is finished. */
  finished(id: string, key?: string): Promise<DocumentJson>;
}

export interface DocumentJson {
  id: string;
  status: string;
  stage: string | null;
  error: { code: string } | null;
  progress: { pages: number | null; pages_done: number };
  [field: string]: unknown;
}

export async function testServer(
  redis: TestRedis,
  cleanUp: (() => Promise<unknown>)[],
  options: Partial<ServiceOptions> = {},
  workers: Parameters<typeof startTestWorkers>[1] | null = {},
): Promise<TestServer> {
  const service = await startService({
    redisUrl: redis.url,
    dataFolder: redis.dataFolder,
    models: tinyModels(),
    host: '127.0.0.1',
    port: 0,
    requireKey: false,
    version: '0.0.0',
    ...options,
    // A slow machine is no reason to refuse work, but where that is what is tested.
    limits: { eventLoopDelayMs: 60_000, ...options.limits },
  });
  cleanUp.push(() => service.close(1_000));
  if (workers) {
    const running = await startTestWorkers(redis, { stages: STAGES, ...workers });
    cleanUp.push(() => running.close(0));
  }
  const server: TestServer = {
    url: service.url,
    service,
    fetch(path, { json, key, headers, ...init } = {}) {
      return fetch(`${service.url}${path}`, {
        ...(json !== undefined && { method: 'POST', body: JSON.stringify(json) }),
        ...init,
        headers: {
          ...(json !== undefined && { 'content-type': 'application/json' }),
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
          ...(headers as Record<string, string>),
        },
      });
    },
    async submit(text, fields = {}, key) {
      const json = { text, model: TINY_NAME, render: SMALL_PAGES, ...fields };
      const response = await server.fetch('/v1/documents', { json, ...(key && { key }) });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      return (await response.json()) as DocumentJson;
    },
    async finished(id, key) {
      const path = `/v1/documents/${id}`;
      const events = await server.fetch(`${path}/events`, { ...(key && { key }) });
      await events.text(); // ends with the document
      return (await (await server.fetch(path, { ...(key && { key }) })).json()) as DocumentJson;
    },
  };
  return server;
}
