/** How long the rest of a stage takes at the pace of what is done. */

/** Minimum share of a stage, 0 to 1, for an estimate of its pace. */
const MIN_SHARE = 0.02;

export class Pace {
  #start: { ms: number; share: number } | null = null;

  /**
   * The first report is where counting starts: a stage that goes on where an earlier try stopped begins
   * with a share that took no time.
   *
   * @param share of the stage, 0 to 1
   * @param nowMs of a clock that only goes forward
   * @returns whole seconds; null while too little is done to tell
   */
  remainingSeconds(share: number, nowMs: number): number | null {
    this.#start ??= { ms: nowMs, share };
    const done = share - this.#start.share;
    if (done < MIN_SHARE) return null;
    return Math.round((((nowMs - this.#start.ms) / done) * (1 - share)) / 1000);
  }
}
