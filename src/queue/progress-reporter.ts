import type { DocumentRef, Stage } from './document-record.js';
import type { DocumentRecords } from './document-records.js';
import { Pace } from './pace.js';

export interface StepProgress {
  pagesDone?: number;
  /** 0 to 1. */
  share: number;
}

const INTERVAL_MS = 250;

/**
 * Writes a step's progress into the document's record: a few times a second at most, one write at a
 * time. The answer to a write also tells a worker of a cancellation that it missed.
 */
export class ProgressReporter {
  #lastMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  readonly #pace = new Pace();

  constructor(
    private readonly records: DocumentRecords,
    private readonly ref: DocumentRef,
    private readonly stage: Stage,
    private readonly onUnwanted: () => void,
  ) {}

  report({ pagesDone, share }: StepProgress): void {
    const nowMs = performance.now();
    const remaining = this.#pace.remainingSeconds(share, nowMs);
    if (this.#busy || nowMs - this.#lastMs < INTERVAL_MS) return;
    this.#lastMs = nowMs;
    this.#busy = true;
    const rounded = Math.round(share * 1_000) / 1_000;
    const data = {
      stage: this.stage,
      pages_done: pagesDone,
      share: rounded,
      ...(remaining !== null && { remaining_seconds: remaining }),
    };
    const fields = { share: rounded, ...(pagesDone !== undefined && { pagesDone }) };
    this.#writing = this.records
      .note(this.ref, 'progress', data, fields)
      .then((wanted) => {
        if (!wanted) this.onUnwanted();
      })
      .catch(() => {}) // the work itself meets a Redis that is away
      .finally(() => {
        this.#busy = false;
      });
  }

  /** Resolves when the last write is done. */
  settle(): Promise<void> {
    return this.#writing;
  }
}
