/** Server-sent events, written by hand: a few lines, and in step with the client's pace. */

import { once } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';

const HEARTBEAT_MS = 15_000;

export class EventStream {
  readonly #raw: FastifyReply['raw'];
  readonly #heartbeat: NodeJS.Timeout;
  #drained: Promise<void> | null = null;

  constructor(request: FastifyRequest, reply: FastifyReply) {
    reply.hijack();
    this.#raw = reply.raw;
    this.#raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // Proxies that gather what they pass on would hold events back.
      'x-accel-buffering': 'no',
      'x-request-id': request.id,
    });
    this.#raw.flushHeaders();
    this.#raw.on('error', () => {}); // the client is gone; its signal says so
    this.#heartbeat = setInterval(() => this.#raw.write(': \n\n'), HEARTBEAT_MS);
  }

  async send(event: { id?: string; type?: string; data: unknown }): Promise<void> {
    const lines = [
      ...(event.id === undefined ? [] : [`id: ${event.id}`]),
      ...(event.type === undefined ? [] : [`event: ${event.type}`]),
      `data: ${typeof event.data === 'string' ? event.data : JSON.stringify(event.data)}`,
    ];
    await this.#write(`${lines.join('\n')}\n\n`);
  }

  /** When a client that lost the stream comes back. */
  retryAfter(ms: number): Promise<void> {
    return this.#write(`retry: ${ms}\n\n`);
  }

  end(): void {
    clearInterval(this.#heartbeat);
    this.#raw.end();
  }

  async #write(text: string): Promise<void> {
    if (this.#raw.destroyed || this.#raw.writableEnded) return;
    if (this.#raw.write(text)) return;
    // A slow reader is waited for, by all that write meanwhile together; one that has left is not.
    this.#drained ??= Promise.race([once(this.#raw, 'drain'), once(this.#raw, 'close')])
      .catch(() => {})
      .then(() => {
        this.#drained = null;
      });
    await this.#drained;
  }
}

/** Aborted when the client leaves before it has its answer, or the server closes. */
export function clientSignal(reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort();
  reply.raw.once('close', () => {
    closing.removeEventListener('abort', stop);
    if (!reply.raw.writableFinished) stop();
  });
  if (closing.aborted) stop();
  else closing.addEventListener('abort', stop, { once: true });
  return controller.signal;
}
