/** How long a search took, over all runs that it was broken into. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeWholeSync } from '../store/write-whole.js';
import type { Spent } from './evaluator.js';

export interface Timings extends Spent {
  wallMs: number;
}

const TIMINGS_FILE = 'timings.json';

export class RunClock {
  readonly #file: string;
  readonly #before: Timings;
  readonly #start = performance.now();
  readonly #spentBefore: Spent;

  /** @param spent grows while the run goes on; an evaluator may have served another search before */
  constructor(
    folder: string,
    private readonly spent: Spent,
  ) {
    this.#file = path.join(folder, TIMINGS_FILE);
    this.#before = readTimings(this.#file);
    this.#spentBefore = { ...spent };
  }

  get timings(): Timings {
    const { wallMs, renderMs, inferenceMs } = this.#before;
    return {
      wallMs: wallMs + performance.now() - this.#start,
      renderMs: renderMs + this.spent.renderMs - this.#spentBefore.renderMs,
      inferenceMs: inferenceMs + this.spent.inferenceMs - this.#spentBefore.inferenceMs,
    };
  }

  /** A run that is killed loses what came after the last call. */
  save(): void {
    writeWholeSync(this.#file, `${JSON.stringify(this.timings)}\n`);
  }
}

function readTimings(file: string): Timings {
  if (existsSync(file)) {
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as Timings;
    } catch {}
  }
  return { wallMs: 0, renderMs: 0, inferenceMs: 0 };
}
