/** The real `glyphpress serve` and a worker beside it, started again when they end, as an init system does. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { privateRedisSocket } from '../../src/environment/private-redis.js';
import { TINY_MODEL } from '../support/models.js';
import { ROOT } from '../support/repository.js';
import { until } from '../support/service.js';
import { type FoundProcess, processesOf, type Role, send } from './processes.js';

const BIN = path.join(ROOT, 'bin/glyphpress.js');
const RESTART_MS = 300;

/** Locks that live this long, so that a run does not spend itself in waiting. */
export const LOCK_SECONDS = 3;

export interface SupervisedOptions {
  /** Names everything of this run: processes are found by it. */
  base: string;
  data: string;
  port: number;
  workers: number;
  /** Of the worker beside `serve`. @defaultValue that of `serve` */
  workerData?: string;
  /** For both, beside their own. */
  args?: readonly string[];
}

export class SupervisedService {
  readonly url: string;
  readonly scratch: string;
  readonly #options: SupervisedOptions;
  readonly #log: WriteStream;
  readonly #children = new Map<'serve' | 'worker', ChildProcess>();
  #stopping = false;
  /** How supervised processes ended, by command and signal or exit code. */
  readonly ends: Record<string, number> = {};

  constructor(options: SupervisedOptions) {
    this.#options = options;
    this.url = `http://127.0.0.1:${options.port}`;
    this.scratch = path.join(options.base, 'scratch');
    mkdirSync(this.scratch, { recursive: true });
    this.#log = createWriteStream(path.join(options.base, 'service.log'), { flags: 'a' });
  }

  get logFile(): string {
    return path.join(this.#options.base, 'service.log');
  }

  async start(): Promise<void> {
    this.#stopping = false;
    this.#keep('serve', [
      ...['--port', String(this.#options.port), '--workers', String(this.#options.workers)],
      ...['--json', '--log-level', 'warn', '--max-unfinished', '100000'],
    ]);
    await this.untilReady();
    this.#keep('worker', ['--pages-per-job', '4']);
  }

  untilReady(timeoutMs = 60_000): Promise<void> {
    return until(() => this.answers(), timeoutMs, 'an answer of the service');
  }

  async answers(): Promise<boolean> {
    const answer = await fetch(`${this.url}/livez`, { signal: AbortSignal.timeout(2_000) }).catch(
      () => null,
    );
    return answer?.ok ?? false;
  }

  processes(...roles: Role[]): FoundProcess[] {
    return processesOf(this.#options.base).filter(
      ({ role }) => roles.length === 0 || roles.includes(role),
    );
  }

  /** As an init system asks a service to end; it comes back. */
  terminate(): void {
    this.#children.get('serve')?.kill('SIGTERM');
  }

  /** Ends everything in order. @returns what is left of it after `graceMs` */
  async stop(graceMs: number): Promise<FoundProcess[]> {
    this.#stopping = true;
    for (const child of this.#children.values()) child.kill('SIGTERM');
    await until(() => this.processes().length === 0, graceMs, 'the end').catch(() => {});
    return this.processes();
  }

  /** Whatever is left goes. */
  killAll(): void {
    this.#stopping = true;
    for (const { pid } of this.processes()) {
      send(pid, 'SIGCONT');
      send(pid, 'SIGKILL');
    }
    this.#log.end();
  }

  #keep(command: 'serve' | 'worker', args: string[]): void {
    const { data: serveData, workerData = serveData, args: more = [] } = this.#options;
    const data = command === 'serve' ? serveData : workerData;
    const child = spawn(
      process.execPath,
      [BIN, command, '--data', data, '--model', TINY_MODEL, '--threads', '1', ...args, ...more],
      {
        env: {
          ...process.env,
          REDIS_URL: data === serveData ? undefined : privateRedisSocket(serveData),
          TMPDIR: this.scratch,
          GLYPHPRESS_LOCK_SECONDS: String(LOCK_SECONDS),
        },
        stdio: ['ignore', 'ignore', 'pipe'],
        detached: true,
      },
    );
    this.#children.set(command, child);
    child.stderr!.pipe(this.#log, { end: false });
    child.once('exit', (code, signal) => {
      if (this.#stopping) return;
      this.#log.write(`# ${new Date().toISOString()} ${command} ended: ${code} ${signal}\n`);
      const how = `${command} ${signal ?? code}`;
      this.ends[how] = (this.ends[how] ?? 0) + 1;
      setTimeout(() => {
        if (!this.#stopping) this.#keep(command, args);
      }, RESTART_MS);
    });
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
