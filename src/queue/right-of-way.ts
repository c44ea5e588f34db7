/**
 * One model works for all jobs of a process, a page at a time. A job that came later has it for itself in
 * its first seconds: a short document waits for the page that is being encoded, and for no other.
 */

export interface RightOfWayOptions {
  /** How long a job has the right of way. @defaultValue 3,000 */
  firstMs?: number;
  /** After one ended, the next step of its document may be about to start. @defaultValue 150 */
  lingerMs?: number;
  /** @defaultValue performance.now */
  nowMs?: () => number;
}

interface Job {
  tenant: string;
  startedMs: number;
  endedMs: number | null;
}

const LOOK_EVERY_MS = 20;

export class RightOfWay {
  readonly #firstMs: number;
  readonly #lingerMs: number;
  readonly #nowMs: () => number;
  #jobs: Job[] = [];

  constructor({ firstMs = 3_000, lingerMs = 150, nowMs }: RightOfWayOptions = {}) {
    this.#firstMs = firstMs;
    this.#lingerMs = lingerMs;
    this.#nowMs = nowMs ?? (() => performance.now());
  }

  /** @returns how it makes way before each page, and its end */
  enter(tenant: string): { makeWay(signal: AbortSignal): Promise<void>; leave(): void } {
    const job: Job = { tenant, startedMs: this.#nowMs(), endedMs: null };
    this.#jobs.push(job);
    return {
      makeWay: async (signal) => {
        while (!signal.aborted && this.#mustWait(job))
          await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      },
      leave: () => {
        job.endedMs = this.#nowMs();
      },
    };
  }

  #mustWait(job: Job): boolean {
    const now = this.#nowMs();
    this.#jobs = this.#jobs.filter(
      ({ endedMs }) => endedMs === null || now - endedMs < this.#lingerMs,
    );
    return this.#jobs.some(
      ({ tenant, startedMs }) =>
        tenant !== job.tenant && startedMs > job.startedMs && now - startedMs < this.#firstMs,
    );
  }
}
