/** Where a search stands, on one line of stderr. */

import type { SearchProgress } from '../search/index.js';
import { formatSeconds } from './progress.js';

const TERMINAL_EVERY_MS = 200;
const LOG_EVERY_MS = 10_000;

const STAGES: Record<SearchProgress['stage'], string> = {
  propose: 'proposing',
  look: 'drawing',
  ask: 'asking',
  compare: 'comparing the best',
};

export class SearchProgressLine {
  readonly #start = performance.now();
  /** Trials that this process did not have to do. */
  #replayed: number | null = null;
  #shownAt: number;
  #open = false;

  constructor(private readonly out: NodeJS.WriteStream = process.stderr) {
    this.#shownAt = out.isTTY ? Number.NEGATIVE_INFINITY : this.#start;
  }

  update(state: SearchProgress): void {
    if (state.replayed === 0 || this.#replayed === null) this.#replayed = state.trials;
    const now = performance.now();
    const every = this.out.isTTY ? TERMINAL_EVERY_MS : LOG_EVERY_MS;
    if (now - this.#shownAt < every) return;
    this.#shownAt = now;
    const line = searchProgressLine(state, (now - this.#start) / 1000, this.#replayed ?? 0);
    this.out.write(this.out.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
    this.#open = true;
  }

  stop(): void {
    if (this.#open && this.out.isTTY) this.out.write('\r\x1b[K');
    this.#open = false;
  }
}

/** @param before trials of an earlier run: they say nothing about the pace of this one */
function searchProgressLine(state: SearchProgress, seconds: number, before: number): string {
  const { trials, budget, stage, generation, front, hypervolume } = state;
  const parts = [`${trials} of ${budget} trials, generation ${generation}, ${STAGES[stage]}`];
  const best = front.toSorted(
    (a, b) => b.accuracy - a.accuracy || b.stackedRatio - a.stackedRatio,
  )[0];
  if (best) {
    parts.push(
      `best ${(best.accuracy * 100).toFixed(0)} % at ${best.stackedRatio.toFixed(2)}×`,
      `front of ${front.length}`,
      `hypervolume ${hypervolume.toFixed(3)}`,
    );
  }
  const done = trials - before;
  if (done > 0 && seconds > 2 && trials < budget)
    parts.push(`about ${formatSeconds((seconds / done) * (budget - trials))} left`);
  return parts.join(', ');
}
