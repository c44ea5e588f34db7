/**
 * A question to a document that is read in parts, by the rule of the command line: the parts that its words
 * point to, each in its own context, and the best of their answers. Each part waits for its turn at the
 * model, so that others are answered between them.
 */

import { GlyphpressError } from '../errors.js';
import { askParts, type PartsAnswer } from '../pipeline/parts/ask-parts.js';
import { expandedOfWhole } from '../pipeline/parts/merge-answers.js';
import { mergeReports } from '../pipeline/parts/merge-reports.js';
import type { DocumentPart } from '../pipeline/parts/plan-parts.js';
import type { CompressionReport } from '../pipeline/report.js';
import { aborted, later } from './changes.js';
import { notThere } from './document-pages.js';
import { piecesOf } from './pieces.js';
import type { EngineAnswer, EngineQuestion, QuestionEngine } from './question-engine.js';
import { contextFolder, sourceOf, storedText, type Work } from './work.js';

export interface PartedQuestion extends Omit<EngineQuestion, 'folders' | 'openJoint' | 'onText'> {
  /** How many of the likeliest parts are asked. */
  asked: number | 'all';
  /** Gets the answer as it grows, where only one part is asked. */
  onText: (text: string) => void;
  /** How the answer of one of several parts is ended before its time. */
  ending(): { onText: (text: string) => void; stop: AbortSignal };
}

/** Until the next try, where more questions wait for the model than the engine takes. */
const BUSY_PAUSE_MS = 1_000;

/**
 * @returns the best answer, with report, usage and times of all parts that were asked
 * @throws {GlyphpressError} as {@link QuestionEngine.ask}
 */
export async function askInParts(
  engine: QuestionEngine,
  work: Work,
  { asked, ending, onText, stop, ...question }: PartedQuestion,
): Promise<EngineAnswer<CompressionReport>> {
  const text = await storedText(work);
  if (text === null) throw notThere(work, 'text');
  const { parts } = work.record;
  const folders = new Map(piecesOf(work).map((piece) => [piece.part, contextFolder(piece)]));
  const answers = await askParts(
    sourceOf(work.record, text),
    parts!,
    question.question,
    asked,
    (_, { part, number, isOnly }) => {
      const one = { ...question, folders: [folders.get(part)!] };
      if (isOnly) return engine.ask({ ...one, onText, ...(stop && { stop }) });
      return patiently(number > 1, question.signal, () => engine.ask({ ...one, ...ending() }));
    },
  );
  return merged(answers, parts!, work.record.id);
}

/** A question that is begun is not given up because others came meanwhile. */
export async function patiently<T>(
  isBegun: boolean,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const isBusy = error instanceof GlyphpressError && error.code === 'GP_BUSY';
      if (!isBusy || !isBegun || signal.aborted) throw error;
      await Promise.race([later(BUSY_PAUSE_MS), aborted(signal)]);
      signal.throwIfAborted();
    }
  }
}

function merged(
  { best, ranked }: PartsAnswer<EngineAnswer<CompressionReport>>,
  parts: readonly DocumentPart[],
  documentId: string,
): EngineAnswer<CompressionReport> {
  const replies = ranked.map(({ reply }) => reply);
  const sum = (field: (reply: EngineAnswer) => number) =>
    replies.reduce((total, reply) => total + field(reply), 0);
  return {
    ...best,
    ...(best.expansion && {
      expansion: {
        ...best.expansion,
        tokens: sum(({ expansion }) => expansion?.tokens ?? 0),
        expanded: ranked.flatMap(({ part, reply }) =>
          expandedOfWhole(reply.expansion?.expanded ?? [], part),
        ),
      },
    }),
    report: mergeReports(
      replies.map(({ report }) => report),
      documentId,
    ),
    usage: {
      promptTokens: sum(({ usage }) => usage.promptTokens),
      completionTokens: sum(({ usage }) => usage.completionTokens),
    },
    timings: { ...best.timings, totalMs: sum(({ timings }) => timings.totalMs) },
    contextTokens: sum(({ contextTokens }) => contextTokens),
    waitMs: sum(({ waitMs }) => waitMs),
    loadMs: sum(({ loadMs }) => loadMs),
    parts: ranked.map(({ part, reply, lexicalScore }) => ({
      number: parts.indexOf(part) + 1,
      part,
      answer: reply.answer,
      found: reply.found,
      confidence: reply.confidence,
      lexicalScore,
    })),
  };
}
