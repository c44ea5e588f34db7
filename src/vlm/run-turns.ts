/**
 * Whose run of a graph comes next: one thread runs them all, one after the other, and no run can be
 * interrupted. Groups take turns by the time that their runs took, so that whoever comes to a busy model
 * waits for the run that is under way and for none behind it.
 *
 * Source: P. Goyal, H. M. Vin, H. Cheng, Start-time Fair Queueing, 1996; a run is charged what it took.
 */

/** Runs the work when its turn comes. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

interface Group {
  /** What its runs took, ms; never less than the clock when it came. */
  usedMs: number;
  /** Runs that wait, the first one first. */
  line: (() => void)[];
}

export class RunTurns {
  readonly #groups = new Map<string, Group>();
  /** `usedMs` of the group whose run was started last. */
  #clockMs = 0;
  #running = false;

  /** @param nowMs of a clock that only goes forward. @defaultValue performance.now */
  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  /** Runs the work when it is the group's turn. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const group = await this.#turn(name);
    const startMs = this.nowMs();
    try {
      return await work();
    } finally {
      group.usedMs += this.nowMs() - startMs;
      // What was sent to this thread while it ran is received before the next run is chosen.
      setImmediate(() => this.#next());
    }
  }

  async #turn(name: string): Promise<Group> {
    const known = this.#groups.get(name);
    const group = known ?? { usedMs: this.#clockMs, line: [] };
    if (!known) this.#groups.set(name, group);
    if (!this.#running) {
      this.#running = true;
      this.#start(group);
    } else await new Promise<void>((resolve) => group.line.push(resolve));
    return group;
  }

  #next(): void {
    let first: Group | undefined;
    for (const [name, group] of this.#groups) {
      if (group.line.length === 0) {
        // Nobody saves up turns while there is nothing to run.
        if (group.usedMs <= this.#clockMs) this.#groups.delete(name);
      } else if (!first || group.usedMs < first.usedMs) first = group;
    }
    this.#running = first !== undefined;
    if (!first) return;
    this.#start(first);
    first.line.shift()!();
  }

  #start(group: Group): void {
    group.usedMs = Math.max(group.usedMs, this.#clockMs);
    this.#clockMs = group.usedMs;
  }
}
