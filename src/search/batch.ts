/**
 * Runs the steps of a generation, some side by side, and writes them into the journal in their order,
 * so that the log is the same however many ran at once. What fails for one configuration is a result
 * like any other; what fails because the surroundings are gone ends the run, unwritten.
 */

import { GlyphpressError } from '../errors.js';
import type { Journal } from './journal.js';
import type { Failure, Outcome } from './trial.js';

export interface Job {
  step: string;
  work: (signal?: AbortSignal) => Promise<Outcome>;
}

/** So many steps in a row without a single success, each tried twice: the surroundings are gone. */
const HOPELESS = 3;

/** No configuration is to blame for these, nor does another one help. */
const SURROUNDINGS: ReadonlySet<string> = new Set([
  'GP_BACKEND_UNAVAILABLE',
  'GP_BACKEND_REQUEST',
  'GP_BACKEND_RESPONSE',
  'GP_BROWSER_LAUNCH',
  'GP_BROWSER_NOT_FOUND',
  'GP_CHECKPOINT',
  'GP_STORAGE',
  'GP_REDIS_UNAVAILABLE',
  'GP_REDIS_NOT_FOUND',
]);

type Tried = { outcome: Outcome; blame?: unknown };

export class Batch {
  /** Of this run: a surrounding that worked once is more likely to blame the configuration. */
  #successes = 0;

  constructor(
    private readonly journal: Journal,
    private readonly concurrency: number,
    private readonly signal?: AbortSignal,
  ) {}

  /**
   * @param take gets every outcome, in the order of the jobs
   * @throws the error of the surroundings, when nothing works any more; the signal's reason
   */
  async run(jobs: readonly Job[], take: (outcome: Outcome, i: number) => void): Promise<void> {
    let next = 0;
    for (; next < jobs.length; next++) {
      const known = this.journal.replay<Outcome>(jobs[next]!.step);
      if (known === undefined) break;
      take(known, next);
    }
    const writer = new InOrder(this.journal, jobs, next, take, () => this.#successes++);
    const work = async () => {
      while (next < jobs.length && !writer.broken) {
        const i = next++;
        writer.put(i, await this.#try(jobs[i]!));
      }
    };
    const workers = Array.from({ length: Math.max(1, this.concurrency) }, work);
    await Promise.all(workers).catch(async (error) => {
      next = jobs.length;
      await Promise.allSettled(workers);
      throw error;
    });
    writer.finish(this.#successes > 0);
  }

  async #try({ work }: Job): Promise<Tried> {
    for (let attempt = 1; ; attempt++) {
      this.signal?.throwIfAborted();
      try {
        return { outcome: await work(this.signal) };
      } catch (error) {
        this.signal?.throwIfAborted();
        const failure = failureOf(error);
        const isOutside = SURROUNDINGS.has(failure.code);
        if (isOutside && attempt === 1) continue;
        const outcome: Outcome = { kind: 'failed', failure };
        return isOutside ? { outcome, blame: error } : { outcome };
      }
    }
  }
}

/** Holds outcomes back until those before them are there, and failures until something works again. */
class InOrder {
  readonly #waiting = new Map<number, Tried>();
  #held: [Tried, number][] = [];
  broken: unknown;

  constructor(
    private readonly journal: Journal,
    private readonly jobs: readonly Job[],
    private next: number,
    private readonly take: (outcome: Outcome, i: number) => void,
    private readonly onSuccess: () => void,
  ) {}

  put(i: number, tried: Tried): void {
    this.#waiting.set(i, tried);
    for (let at = this.#waiting.get(this.next); at; at = this.#waiting.get(this.next)) {
      this.#waiting.delete(this.next);
      this.#held.push([at, this.next++]);
      if (at.blame === undefined) {
        this.onSuccess();
        this.#flush();
      } else if (this.#held.length >= HOPELESS) {
        this.broken = at.blame;
        throw at.blame;
      }
    }
  }

  /** @param hasWorked something did in this run: then what is held is the configurations' own fault */
  finish(hasWorked: boolean): void {
    const last = this.#held.at(-1);
    if (last && !hasWorked) throw last[0].blame;
    this.#flush();
  }

  #flush(): void {
    for (const [{ outcome }, i] of this.#held) {
      this.journal.add(this.jobs[i]!.step, outcome);
      this.take(outcome, i);
    }
    this.#held = [];
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof GlyphpressError) return { code: error.code, message: error.message };
  return { code: 'GP_INTERNAL', message: String(error) };
}
