/** Tries configurations in worker processes; what they return is what would have been measured here. */

import type { EvalDocument } from '../eval/task.js';
import type { TrialJob, TrialQueue } from '../queue/trial-queue.js';
import type { Evaluator, Spent } from './evaluator.js';
import type { Settings } from './settings.js';
import { type SearchTasks, SPLITS } from './tasks.js';
import type { DocumentScore, RenderCheck } from './trial.js';

/** What a worker returns: the result, and what it cost. */
interface Done<Result> {
  result: Result;
  spent: Spent;
}

export class TrialEvaluator implements Evaluator {
  readonly layers: number | null;
  readonly hasProbe: boolean;
  readonly key: Readonly<Record<string, string>>;
  readonly spent: Spent;
  readonly expand: Evaluator['expand'];

  /**
   * @param here the evaluator of this process, of the same model
   * @param concurrency as many as there are workers
   */
  constructor(
    private readonly here: Evaluator,
    private readonly tasks: SearchTasks,
    private readonly queue: TrialQueue,
    readonly concurrency: number,
  ) {
    this.layers = here.layers;
    this.hasProbe = here.hasProbe;
    this.key = here.key;
    this.spent = here.spent;
    this.expand = here.expand;
  }

  checkRendering(
    settings: Settings,
    text: EvalDocument,
    minRenderRatio: number,
    signal?: AbortSignal,
  ) {
    return this.#run<RenderCheck>('glance', settings, text, minRenderRatio, signal);
  }

  score(settings: Settings, text: EvalDocument, signal?: AbortSignal) {
    return this.#run<DocumentScore>('score', settings, text, 0, signal);
  }

  firstPage(settings: Settings, text: EvalDocument, signal?: AbortSignal) {
    return this.here.firstPage(settings, text, signal);
  }

  isAlive(signal?: AbortSignal): Promise<boolean> {
    return this.here.isAlive(signal);
  }

  async #run<Result>(
    call: TrialJob['call'],
    settings: Settings,
    text: EvalDocument,
    minRenderRatio: number,
    signal?: AbortSignal,
  ): Promise<Result> {
    const split = SPLITS.find((name) => this.tasks[name].includes(text))!;
    const index = this.tasks[split].indexOf(text);
    const job = { call, settings, split, index, minRenderRatio };
    const { result, spent } = (await this.queue.run(job, signal)) as Done<Result>;
    this.spent.renderMs += spent.renderMs;
    this.spent.inferenceMs += spent.inferenceMs;
    return result;
  }
}

/** A worker's side of {@link TrialEvaluator}. */
export async function doTrial(
  evaluator: Evaluator,
  tasks: SearchTasks,
  { call, settings, split, index, minRenderRatio }: TrialJob,
): Promise<Done<unknown>> {
  const before = { ...evaluator.spent };
  const text = tasks[split as (typeof SPLITS)[number]][index]!;
  const result =
    call === 'glance'
      ? await evaluator.checkRendering(settings as Settings, text, minRenderRatio)
      : await evaluator.score(settings as Settings, text);
  const { renderMs, inferenceMs } = evaluator.spent;
  return {
    result,
    spent: {
      renderMs: renderMs - before.renderMs,
      inferenceMs: inferenceMs - before.inferenceMs,
    },
  };
}
