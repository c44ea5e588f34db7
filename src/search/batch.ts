/**
 * Runs the steps of a generation, some side by side, and writes them into the journal in their order,
 * so that the log is the same however many ran at once. What fails for one configuration is a result
 * like any other; what fails because the surroundings are gone ends the run, unwritten.
 */

import { GlyphpressError } from '../errors.js';
import type { Evaluator } from './evaluator.js';
import type { Journal } from './journal.js';
import type { Failure, Outcome } from './trial.js';

export interface Job {
  step: string;
  work: (signal?: AbortSignal) => Promise<Outcome>;
}

/** Another configuration would most likely meet these as well. */
const SURROUNDINGS: ReadonlySet<string> = new Set([
  'GP_BACKEND_UNAVAILABLE',
  'GP_BACKEND_REQUEST',
  'GP_BACKEND_RESPONSE',
  'GP_BROWSER_LAUNCH',
  'GP_BROWSER_NOT_FOUND',
  'GP_CHECKPOINT',
  'GP_OUTPUT_UNWRITABLE',
  'GP_STORAGE',
  'GP_REDIS_UNAVAILABLE',
  'GP_REDIS_NOT_FOUND',
  'GP_JOB',
]);

/** As Node says that the disk refuses. */
const DISK = /^(ENOSPC|EDQUOT|EROFS|EACCES|EPERM|EMFILE|EIO)$/;

export class Batch {
  constructor(
    private readonly journal: Journal,
    private readonly evaluator: Pick<Evaluator, 'concurrency' | 'isAlive'>,
    private readonly signal?: AbortSignal,
  ) {}

  /**
   * @param take gets every outcome, in the order of the jobs
   * @throws the error of the surroundings when they are gone; the signal's reason
   */
  async run(jobs: readonly Job[], take: (outcome: Outcome, i: number) => void): Promise<void> {
    let next = 0;
    for (; next < jobs.length; next++) {
      const known = this.journal.replay<Outcome>(jobs[next]!.step);
      if (known === undefined) break;
      take(known, next);
    }
    let due = next;
    const waiting = new Map<number, Outcome>();
    const work = async () => {
      while (next < jobs.length) {
        const i = next++;
        waiting.set(i, await this.#try(jobs[i]!));
        for (let outcome = waiting.get(due); outcome; outcome = waiting.get(due)) {
          this.journal.add(jobs[due]!.step, outcome);
          take(outcome, due++);
        }
      }
    };
    const workers = Array.from({ length: Math.max(1, this.evaluator.concurrency) }, work);
    try {
      await Promise.all(workers);
    } finally {
      next = jobs.length;
      await Promise.allSettled(workers);
    }
  }

  async #try({ work }: Job): Promise<Outcome> {
    for (let attempt = 1; ; attempt++) {
      this.signal?.throwIfAborted();
      try {
        return await work(this.signal);
      } catch (error) {
        this.signal?.throwIfAborted();
        if (DISK.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
        const failure = failureOf(error);
        if (!SURROUNDINGS.has(failure.code)) return { kind: 'failed', failure };
        if (attempt === 1) continue;
        if (!(await this.evaluator.isAlive(this.signal))) throw error;
        return { kind: 'failed', failure };
      }
    }
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof GlyphpressError) return { code: error.code, message: error.message };
  return { code: 'GP_INTERNAL', message: String(error) };
}
