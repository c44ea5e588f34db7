/**
 * The jobs that a worker has under way in one stage. When all of them have been at it for a while and
 * somebody else is next in line, one job of his may pass; where a job can be taken up where it stopped, its
 * turn ends after its time.
 */

export interface LaneOptions {
  /** Jobs at once when nobody has to wait for another. */
  concurrency: number;
  /** Further jobs that may pass at once. @defaultValue 2 */
  passing?: number | undefined;
  /** How long everything under way must have been at it before another may pass. @defaultValue 300 */
  passAfterMs?: number | undefined;
  /** How long a job has its turn when others wait; null for jobs that would begin anew. */
  turnMs: number | null;
  /**
   * Sees that the next job in line is of none of these tenants, who have one under way.
   *
   * @returns false where nobody else waits
   */
  bringForward(running: ReadonlySet<string>): Promise<boolean>;
  /** Lets one more job in than the concurrency. */
  letPass(): void;
  /** @defaultValue performance.now */
  nowMs?: (() => number) | undefined;
}

interface Running {
  tenant: string;
  sinceMs: number;
  turnMs: number | null;
  endTurn: () => void;
  isOver: boolean;
}

/** A job that was given back has a longer turn each time, so that it comes on whatever its start takes. */
const MAX_DOUBLINGS = 6;

export class Lanes {
  readonly #options: LaneOptions;
  readonly #running = new Set<Running>();
  readonly #nowMs: () => number;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  get size(): number {
    return this.#running.size;
  }

  /**
   * @param turns how often the job was given back
   * @param endTurn called once, when its turn is over and others wait
   * @returns to be called when it ends
   */
  enter(tenant: string, turns: number, endTurn: () => void): () => void {
    const { turnMs } = this.#options;
    const job: Running = {
      tenant,
      sinceMs: this.#nowMs(),
      turnMs: turnMs === null ? null : turnMs * 2 ** Math.min(turns, MAX_DOUBLINGS),
      endTurn,
      isOver: false,
    };
    this.#running.add(job);
    return () => this.#running.delete(job);
  }

  /** Looks whether anybody waits for what is under way. Called often. */
  async look(): Promise<void> {
    const { concurrency, passing = 2, passAfterMs = 300, bringForward, letPass } = this.#options;
    if (this.#running.size < concurrency) return;
    const now = this.#nowMs();
    const running = [...this.#running];
    if (!running.every(({ sinceMs }) => now - sinceMs >= passAfterMs)) return;
    const mayPass = running.length < concurrency + passing;
    const longest = running.find(
      ({ turnMs, sinceMs, isOver }) => turnMs !== null && !isOver && now - sinceMs >= turnMs,
    );
    if (!mayPass && !longest) return;
    if (!(await bringForward(new Set(running.map(({ tenant }) => tenant))))) return;
    if (mayPass) {
      letPass();
      return;
    }
    if (!longest) return;
    longest.isOver = true;
    longest.endTurn();
  }
}
