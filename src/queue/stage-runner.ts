/** Runs the jobs of one stage and keeps the document's record; says what BullMQ is to do with the job. */

import { ATTEMPTS, type JobPayload, type PageRange } from './compression-queue.js';
import type { DocumentRecord, DocumentRef, RecordedPart, Stage } from './document-record.js';
import type { DocumentRecords } from './document-records.js';
import { asGlyphpressError, describeFailure, mayPass, poisonError } from './job-failure.js';
import { ProgressReporter, type StepProgress } from './progress-reporter.js';

/** What a step gets. */
export interface StepContext {
  record: DocumentRecord;
  /** Aborted when the document is cancelled or deleted, its lock is lost, or the worker shuts down. */
  signal: AbortSignal;
  progress(state: StepProgress): void;
  /** Only these pages; absent for all. */
  range?: PageRange;
  /** Whether the step may give its pages to jobs of their own. */
  maySplit: boolean;
  /** To be waited for before each piece of work on the model. */
  makeWay(): Promise<void>;
}

/** What a step leaves in the record. */
export interface StepResult {
  pages?: number;
  characters?: number;
  /** Of the text, in UTF-8. */
  textBytes?: number;
  /** Those that the document is read in; known before any of their pages is drawn. */
  parts?: readonly RecordedPart[];
  /** What its content takes in the store now. */
  storedBytes?: number;
  /** The last step's: it completes the document. */
  report?: string;
  /** Beside the report of a document whose context waits until somebody needs it. */
  context?: 'none';
  /** Instead of having done them: pages for jobs of their own. The step is asked again after them. */
  ranges?: readonly PageRange[];
}

export type Step = (context: StepContext) => Promise<StepResult>;

/** The job as far as a run needs it. */
export interface StageJob {
  payload: JobPayload;
  isLastAttempt: boolean;
  /** Aborted when others wait and it must go on later. */
  turn: AbortSignal;
  makeWay(signal: AbortSignal): Promise<void>;
  /** Gives pages to jobs of their own, children of this one. */
  split(ranges: readonly PageRange[]): Promise<void>;
  /** What those took, all together. */
  msOfParts(): Promise<number>;
}

export type StageOutcome =
  /** `ms` of a job for some pages, which the step's own job adds up; null for any other. */
  | { kind: 'done'; ms: number | null }
  /** Its pages are jobs of their own now. */
  | { kind: 'split' }
  /** Cancelled, deleted, or replaced by a newer submission. */
  | { kind: 'unwanted' }
  /** This worker shuts down; the next one goes on. */
  | { kind: 'given back' }
  /** Others have their turn; it goes on where it stopped. */
  | { kind: 'turn over' }
  /** For good; the record says so. */
  | { kind: 'failed'; reason: string }
  /** Another try may help, or another worker took the job over. */
  | { kind: 'interrupted'; error: unknown };

/** Retries and two crashes; a document that has more ends its workers. */
export const MAX_STARTS = ATTEMPTS + 2;

/** Why work on a job stops early. */
export type StopReason = 'unwanted' | 'shutdown' | 'lost' | 'turn';

/** What another worker may have: a file that is not there, or not as it was. */
function isMissing(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === 'ENOENT' || code === 'GP_ARTIFACT_DAMAGED';
}

class Interruption extends Error {
  override readonly name = 'AbortError';
  constructor(readonly why: StopReason) {
    super(`interrupted: ${why}`);
  }
}

export class StageRunner {
  /** What is under way, by `tenant id`. */
  readonly #running = new Map<string, Set<AbortController>>();

  /** @param isUnfit whether what was not found is the fault of this worker, whose store is another by now */
  constructor(
    readonly stage: Stage,
    private readonly step: Step,
    private readonly records: DocumentRecords,
    private readonly onError: (error: unknown, ref: DocumentRef | null) => void,
    private readonly isUnfit: () => Promise<boolean> = async () => false,
  ) {}

  /** @param member `tenant id`, as messages between processes name a document */
  stop(member: string, why: StopReason): void {
    for (const controller of this.#running.get(member) ?? [])
      controller.abort(new Interruption(why));
  }

  stopAll(why: StopReason): void {
    for (const member of this.#running.keys()) this.stop(member, why);
  }

  async run(job: StageJob): Promise<StageOutcome> {
    const { tenant, id, generation, range } = job.payload;
    const ref = { tenant, id };
    const start = await this.records.begin(ref, this.stage, generation, MAX_STARTS, range);
    if (start.verdict === 'unwanted') return { kind: 'unwanted' };
    if (start.verdict === 'poison') return this.#fail(ref, poisonError(start.starts));
    const controller = new AbortController();
    const reporter = new ProgressReporter(this.records, ref, this.stage, () =>
      controller.abort(new Interruption('unwanted')),
    );
    const forget = this.#remember(ref, controller);
    const endTurn = () => controller.abort(new Interruption('turn'));
    job.turn.addEventListener('abort', endTurn, { once: true });
    try {
      return await this.#work(job, ref, start.record, controller.signal, reporter);
    } catch (error) {
      await reporter.settle();
      const { aborted, reason } = controller.signal;
      if (aborted) return await this.#interrupted(job.payload, reason);
      this.onError(error, ref);
      return await this.#failOrRetry(job, ref, error);
    } finally {
      job.turn.removeEventListener('abort', endTurn);
      forget();
    }
  }

  #remember({ tenant, id }: DocumentRef, controller: AbortController): () => void {
    const member = `${tenant} ${id}`;
    const running = this.#running.get(member) ?? new Set();
    this.#running.set(member, running.add(controller));
    return () => {
      running.delete(controller);
      if (running.size === 0) this.#running.delete(member);
    };
  }

  async #work(
    job: StageJob,
    ref: DocumentRef,
    record: DocumentRecord,
    signal: AbortSignal,
    reporter: ProgressReporter,
  ): Promise<StageOutcome> {
    const { range, isSplit = false } = job.payload;
    const startedMs = performance.now();
    const { report, context, ranges, parts, ...facts } = await this.step({
      record,
      signal,
      progress: (state) => reporter.report(state),
      maySplit: !range && !isSplit,
      makeWay: () => job.makeWay(signal),
      ...(range && { range }),
    });
    await reporter.settle();
    const ms = Math.round(performance.now() - startedMs);
    // The document's step is done when all of its parts are.
    if (range) return { kind: 'done', ms };
    if (parts) await this.records.note(ref, 'progress', { stage: this.stage, share: 0 }, { parts });
    if (ranges) {
      await job.split(ranges);
      await this.records.takeBackStart(ref, this.stage);
      return { kind: 'split' };
    }
    const totalMs = ms + (isSplit ? await job.msOfParts() : 0);
    const { storedBytes } = facts;
    if (storedBytes !== undefined)
      await this.records.noteStored(record.tenant, record.contentHash, storedBytes);
    const peakBytes = Math.max(storedBytes ?? 0, record.peakBytes ?? 0);
    const fields = {
      ...facts,
      ...(peakBytes > 0 && { peakBytes }),
      [`ms:${this.stage}`]: totalMs,
      share: 1,
    };
    await this.records.note(ref, 'progress', { stage: this.stage, share: 1, ...facts }, fields);
    if (report !== undefined)
      await this.records.finish(ref, 'completed', { report, ...(context && { context }) });
    return { kind: 'done', ms: null };
  }

  async #interrupted({ range, ...ref }: JobPayload, reason: unknown): Promise<StageOutcome> {
    const why = reason instanceof Interruption ? reason.why : 'unwanted';
    if (why === 'unwanted') return { kind: 'unwanted' };
    // Lost: whoever took the job over goes on with it.
    if (why === 'lost') return { kind: 'interrupted', error: reason };
    await this.records.takeBackStart(ref, this.stage, range);
    return { kind: why === 'turn' ? 'turn over' : 'given back' };
  }

  async #failOrRetry(job: StageJob, ref: DocumentRef, error: unknown): Promise<StageOutcome> {
    if (isMissing(error) && (await this.isUnfit())) {
      await this.records.takeBackStart(ref, this.stage, job.payload.range);
      return { kind: 'given back' };
    }
    if (job.isLastAttempt || !mayPass(error))
      return this.#fail(ref, asGlyphpressError(error) ?? error);
    const { code, message } = describeFailure(error, this.stage);
    await this.records.note(ref, 'retry', { stage: this.stage, code, message });
    return { kind: 'interrupted', error };
  }

  async #fail(ref: DocumentRef, error: unknown): Promise<StageOutcome> {
    const failure = describeFailure(error, this.stage);
    await this.records.finish(ref, 'failed', { failure });
    return { kind: 'failed', reason: `${failure.code}: ${failure.message}` };
  }
}
