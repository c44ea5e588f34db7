/**
 * The main thread's end: calls become messages, and a dead worker becomes an error, never a wait.
 */

import { Worker } from 'node:worker_threads';
import { GlyphpressError } from '../../errors.js';
import { builtFile } from '../../package-file.js';
import type { EngineOptions } from '../engine.js';
import type { DropInput, DropPoint, Selection } from '../prefill.js';
import {
  type Calls,
  deserialiseError,
  type FromWorker,
  type Method,
  type ToWorker,
  type WorkerData,
} from './protocol.js';

export interface CallHooks {
  onToken?(tokenId: number, logProb: number): void;
  onProgress?(done: number, total: number): void;
  select?(drop: DropPoint, input: DropInput): Selection;
  signal?: AbortSignal | undefined;
  /** Its runs take turns with those of others. @defaultValue '' */
  group?: string;
  /** Receives a reply that has no consumer, because one of the functions above threw. */
  onOrphan?(reply: unknown): void;
}

interface Pending {
  hooks: CallHooks;
  resolve(reply: unknown): void;
  reject(error: unknown): void;
  /** What a callback threw: it, not the worker's report of it, is the caller's error. */
  thrown?: { error: unknown };
}

export class WorkerClient {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #dead: GlyphpressError | undefined;

  constructor(dir: string, options: EngineOptions) {
    // ONNX Runtime reports its use to its makers unless this is set before it is loaded. Set here: the
    // worker's own process.env is a copy that native code does not see.
    process.env.ORT_DISABLE_TELEMETRY ??= '1';
    const workerData: WorkerData = { dir, options };
    this.#worker = new Worker(workerEntry(), { workerData, name: 'glyphpress-vlm' });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    this.#worker.on('error', (error) => this.#die(`failed: ${error.message}`, error));
    this.#worker.on('messageerror', (error) =>
      this.#die(`sent an unreadable message: ${error.message}`, error),
    );
    this.#worker.on('exit', (code) => this.#die(`ended with exit code ${code}`));
  }

  async call<M extends Method>(
    method: M,
    request: Calls[M]['request'],
    hooks: CallHooks = {},
    transfer: ArrayBuffer[] = [],
  ): Promise<Calls[M]['reply']> {
    if (this.#dead) throw this.#dead;
    hooks.signal?.throwIfAborted();
    const id = this.#nextId++;
    const abort = () => this.#send({ kind: 'abort', id });
    hooks.signal?.addEventListener('abort', abort, { once: true });
    // An idle model must not keep a finished program alive; a call in progress must.
    this.#worker.ref();
    try {
      return await new Promise<Calls[M]['reply']>((resolve, reject) => {
        this.#pending.set(id, { hooks, resolve: resolve as (reply: unknown) => void, reject });
        const { group = '' } = hooks;
        this.#send({ kind: 'call', id, group, method, request } as ToWorker, transfer);
      });
    } catch (error) {
      // The worker's AbortError lost the caller's reason on its way.
      if (error instanceof Error && error.name === 'AbortError') hooks.signal?.throwIfAborted();
      throw error;
    } finally {
      this.#pending.delete(id);
      hooks.signal?.removeEventListener('abort', abort);
      if (this.#pending.size === 0) this.#worker.unref();
    }
  }

  async close(): Promise<void> {
    if (this.#dead) return;
    await this.call('close', undefined).catch(() => {});
    this.#dead ??= stopped('was closed');
    // Nothing runs any more: `close` waits for all calls.
    await this.#worker.terminate();
  }

  /**
   * Ends the thread by an error of its own, for tests of what follows. It comes between two runs of a graph:
   * a thread that is terminated within one takes the process with it (ONNX Runtime's binding throws where
   * nothing can catch).
   */
  breakDown(): void {
    this.#worker.postMessage(null);
  }

  #receive(message: FromWorker): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    switch (message.kind) {
      case 'reply':
        if (pending.thrown) {
          pending.hooks.onOrphan?.(message.reply);
          pending.reject(pending.thrown.error);
        } else pending.resolve(message.reply);
        break;
      case 'error':
        pending.reject(pending.thrown ? pending.thrown.error : deserialiseError(message.error));
        break;
      case 'token':
        this.#guard(message.id, pending, () =>
          pending.hooks.onToken?.(message.tokenId, message.logProb),
        );
        break;
      case 'progress':
        this.#guard(message.id, pending, () =>
          pending.hooks.onProgress?.(message.done, message.total),
        );
        break;
      case 'select':
        this.#send({
          kind: 'selected',
          id: message.id,
          kept: this.#guard(message.id, pending, () =>
            pending.hooks.select!(message.drop, message.input),
          ),
        });
        break;
    }
  }

  /** Runs a caller's function; when it throws, the call ends and gives its error to the caller. */
  #guard<T>(id: number, pending: Pending, callback: () => T): T | undefined {
    try {
      return callback();
    } catch (error) {
      pending.thrown ??= { error };
      this.#send({ kind: 'abort', id });
      return undefined;
    }
  }

  #die(what: string, cause?: unknown): void {
    this.#dead ??= stopped(what, cause);
    for (const pending of this.#pending.values()) pending.reject(this.#dead);
    this.#pending.clear();
  }

  #send(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}

/** npm leaves an optional package out when its install script fails, as where it cannot fetch from the net. */
const NO_RUNTIME = /Cannot find (package|module) '?onnxruntime-node/;

function stopped(what: string, cause?: unknown): GlyphpressError {
  if (cause instanceof Error && NO_RUNTIME.test(cause.message)) {
    return new GlyphpressError('GP_MODEL_RUNTIME', {
      message: 'ONNX Runtime is not installed: a model cannot run here.',
      hint: 'Run npm install --ignore-scripts onnxruntime-node, or ask a model server (--backend openai).',
      cause,
    });
  }
  return new GlyphpressError('GP_MODEL_RUNTIME', {
    message: `The model worker ${what}.`,
    hint: 'Open the model again; if it happens again, check free memory.',
    cause,
  });
}

/** @throws {GlyphpressError} GP_MODEL_RUNTIME */
function workerEntry(): string {
  const file = builtFile('src/vlm/worker/entry.ts');
  if (file !== null) return file;
  throw new GlyphpressError('GP_MODEL_RUNTIME', {
    message: 'The model worker src/vlm/worker/entry.ts is not built.',
    hint: 'Run npm run build.',
  });
}
