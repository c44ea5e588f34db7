/** Stands before a server and lets some requests fail, each in one of the ways in which networks and stores do. */

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { SeededRandom } from '../../src/eval/seeded-random.js';

export type Fault = 'refused' | 'lost request' | 'lost answer' | 'half an answer';

const FAULTS: readonly Fault[] = ['refused', 'lost request', 'lost answer', 'half an answer'];

export class FaultProxy {
  readonly #server: http.Server;
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #target: URL;
  readonly #chance: SeededRandom;
  #failShare = 0;
  #resumed: Promise<void> = Promise.resolve();
  /** Of each request that came: `GET key`. */
  readonly requests: string[] = [];
  readonly faults = new Map<Fault, number>();

  private constructor(target: string, seed: string) {
    this.#target = new URL(target);
    this.#chance = new SeededRandom(seed);
    this.#server = http.createServer((request, response) => void this.#handle(request, response));
    this.#server.keepAliveTimeout = 60_000;
  }

  static async open(
    target: string,
    cleanUp: (() => Promise<unknown>)[],
    seed = 'faults',
  ): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, seed);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    cleanUp.push(() => proxy.close());
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on this share of requests fails. */
  fail(share: number): void {
    this.#failShare = share;
  }

  /** Requests wait until the time is over, then go on. */
  pause(ms: number): Promise<void> {
    this.#resumed = new Promise((resolve) => setTimeout(resolve, ms));
    return this.#resumed;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    this.requests.push(`${request.method} ${decodeURIComponent(request.url!.split('?')[0]!)}`);
    await this.#resumed;
    const fails = this.#chance.below(1_000) < this.#failShare * 1_000;
    const fault = fails ? this.#chance.pick(FAULTS) : null;
    if (fault) this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
    if (fault === 'lost request') return void request.socket.destroy();
    if (fault === 'refused') {
      request.resume();
      response.writeHead(503, { 'content-type': 'application/xml', connection: 'close' });
      return void response.end('<Error><Code>SlowDown</Code><Message>no</Message></Error>');
    }
    const { hostname, port } = this.#target;
    const forwarded = http.request(
      {
        hostname,
        port,
        path: request.url,
        method: request.method,
        headers: request.headers,
        agent: this.#agent,
      },
      (answer) => {
        if (fault === 'lost answer') {
          answer.resume();
          return void request.socket.destroy();
        }
        response.writeHead(answer.statusCode!, answer.headers);
        if (fault !== 'half an answer') return void answer.pipe(response);
        response.flushHeaders();
        answer.once('data', (chunk: Buffer) => {
          response.write(chunk.subarray(0, chunk.length >> 1), () => response.destroy());
        });
        answer.once('end', () => response.destroy());
      },
    );
    forwarded.on('error', () => response.destroy());
    request.on('error', () => forwarded.destroy());
    request.pipe(forwarded);
  }
}
