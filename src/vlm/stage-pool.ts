/**
 * Decoder sessions. The layers are always partitioned into stages; a new cut splits the stage it falls
 * into, and cuts never go away, because any partition computes the same.
 */
import type { RunForm } from './attention.js';
import { type CompiledModel, checkCuts, stageName, stageRanges } from './compile.js';
import type { Device } from './device.js';
import type { StageRange, VariationMetric } from './families/family.js';
import { Session } from './runtime.js';

export interface Stage extends StageRange {
  /**
   * The session for a run, opened when first needed.
   *
   * @param isOneRow whether it is one row behind rows that the cache holds
   */
  session(isOneRow: boolean): Promise<Session>;
}

interface PooledStage extends Stage {
  users: number;
  retired: boolean;
  release(): Promise<void>;
}

/** Stages in layer order, kept alive until released. */
export interface StageLease {
  stages: readonly Stage[];
  release(): Promise<void>;
}

export class StagePool {
  #cuts: number[];
  /** What the stage that ends at a cut measures; L2 until somebody wants another. */
  readonly #metrics = new Map<number, VariationMetric>();
  #stages: PooledStage[] = [];
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly model: CompiledModel,
    private readonly threads: number,
    cuts: readonly number[],
    private readonly device: Device = 'cpu',
  ) {
    this.#cuts = checkCuts(cuts, this.#layers);
  }

  get #layers(): number {
    return this.model.checkpoint.config.text.layers;
  }

  /**
   * Stages that end at each of `cuts`, and perhaps at others.
   *
   * @param metrics what to measure at a cut, where it matters
   */
  acquire(
    cuts: readonly number[],
    metrics: ReadonlyMap<number, VariationMetric> = new Map(),
  ): Promise<StageLease> {
    const wanted = checkCuts(cuts, this.#layers);
    // One change at a time: two callers must not build the same stage twice.
    const lease = this.#lastChange.then(() => this.#acquire(wanted, metrics));
    this.#lastChange = lease.catch(() => {});
    return lease;
  }

  async close(): Promise<void> {
    await this.#lastChange;
    await Promise.all(this.#stages.splice(0).map((stage) => stage.release()));
  }

  async #acquire(
    cuts: readonly number[],
    metrics: ReadonlyMap<number, VariationMetric>,
  ): Promise<StageLease> {
    this.#cuts = checkCuts([...this.#cuts, ...cuts], this.#layers);
    for (const [cut, metric] of metrics) this.#metrics.set(cut, metric);
    const ranges = stageRanges(this.#cuts, this.#layers, this.#metrics);
    const isWanted = (stage: PooledStage) =>
      ranges.some(
        ({ from, to, variation }) =>
          from === stage.from && to === stage.to && variation === stage.variation,
      );
    // Old stages go first: otherwise their weights would be in memory twice.
    for (const stage of this.#stages.filter((candidate) => !isWanted(candidate))) {
      stage.retired = true;
      if (stage.users === 0) await stage.release();
    }
    this.#stages = this.#stages.filter(isWanted);
    const held: PooledStage[] = [];
    for (const range of ranges) {
      let stage = this.#stages.find(({ from }) => from === range.from);
      if (!stage) {
        stage = { ...this.#stage(range), users: 0, retired: false };
        this.#stages.push(stage);
      }
      held.push(stage);
    }
    for (const stage of held) stage.users += 1;
    return { stages: held, release: () => this.#release(held) };
  }

  async #release(held: PooledStage[]): Promise<void> {
    for (const stage of held.splice(0)) {
      stage.users -= 1;
      if (stage.retired && stage.users === 0) await stage.release();
    }
  }

  #stage(range: StageRange): Stage & Pick<PooledStage, 'release'> {
    const [row, rows = row] = this.model.runForms;
    const opened = new Map<RunForm, Promise<Session>>();
    return {
      ...range,
      session: (isOneRow) => {
        const form = isOneRow ? row : rows;
        let session = opened.get(form);
        if (!session) {
          session = this.#open(range, form);
          opened.set(form, session);
          session.catch(() => opened.delete(form));
        }
        return session;
      },
      release: async () => {
        const sessions = await Promise.allSettled(opened.values());
        await Promise.all(
          sessions.map((one) => (one.status === 'fulfilled' ? one.value.release() : null)),
        );
      },
    };
  }

  #open(range: StageRange, form: RunForm): Promise<Session> {
    return Session.create(stageName(range), this.model.stageGraph(range, form), {
      weightsFolder: this.model.weightsFolder,
      threads: this.threads,
      device: this.device,
      arena: true,
    });
  }
}
