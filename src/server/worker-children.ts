/** Worker processes of `serve`: started, started again when they die, ended in order. */

import { type ChildProcess, fork } from 'node:child_process';

export interface ChildOptions {
  /** Program and arguments of a worker; it must end when its channel to us closes. */
  entry: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  count: number;
  onExit?: (pid: number | undefined, code: number | null, signal: NodeJS.Signals | null) => void;
}

/** A worker that dies at once would otherwise be started without end. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;
const STABLE_AFTER_MS = 60_000;

export class WorkerChildren {
  readonly #options: ChildOptions;
  readonly #children = new Set<ChildProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #closing = false;

  constructor(options: ChildOptions) {
    this.#options = options;
    for (let i = 0; i < options.count; i++) this.#start(FIRST_PAUSE_MS);
  }

  get pids(): number[] {
    return [...this.#children].map(({ pid }) => pid).filter((pid) => pid !== undefined);
  }

  /** Asks all to end, and kills after `graceMs` those that do not. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(
      [...this.#children].map(
        (child) =>
          new Promise<void>((resolve) => {
            if (child.exitCode !== null || child.signalCode !== null) return resolve();
            const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
            child.once('exit', () => {
              clearTimeout(force);
              resolve();
            });
            child.kill('SIGTERM');
          }),
      ),
    );
  }

  #start(pauseMs: number): void {
    const { entry, args, env, onExit } = this.#options;
    const started = Date.now();
    const child = fork(entry, args, {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Ctrl-C is for us to pass on.
      detached: true,
    });
    this.#children.add(child);
    child.on('error', () => {}); // its exit follows
    child.once('exit', (code, signal) => {
      this.#children.delete(child);
      if (this.#closing) return;
      onExit?.(child.pid, code, signal);
      const next =
        Date.now() - started > STABLE_AFTER_MS
          ? FIRST_PAUSE_MS
          : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#start(next);
      }, pauseMs);
      this.#timers.add(timer);
    });
  }
}
