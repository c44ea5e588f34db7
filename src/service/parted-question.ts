/**
 * A question to documents that no one context holds, by the rule of the command line: the parts that its words
 * point to, each in its own context, and the best of their answers. Asked together, all their parts are those
 * of one text; a document that is read as a whole is one part of it. Each part waits for its turn at the model,
 * so that others are answered between them.
 */

import { GlyphpressError } from '../errors.js';
import { askParts, type PartsAnswer } from '../pipeline/parts/ask-parts.js';
import { expandedOfWhole } from '../pipeline/parts/merge-answers.js';
import { mergeReports } from '../pipeline/parts/merge-reports.js';
import type { CompressionReport } from '../pipeline/report.js';
import { aborted, later } from './changes.js';
import { PartedDocuments } from './parted-documents.js';
import type { EngineAnswer, EngineQuestion, QuestionEngine } from './question-engine.js';
import type { Work } from './work.js';

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
 * @param works completed, for one model
 * @returns the best answer, with report, usage and times of all parts that were asked
 * @throws {GlyphpressError} as {@link QuestionEngine.ask}
 */
export async function askInParts(
  engine: QuestionEngine,
  works: readonly Work[],
  { asked, ending, onText, stop, ...question }: PartedQuestion,
): Promise<EngineAnswer<CompressionReport>> {
  const documents = await PartedDocuments.open(works);
  const answers = await askParts(
    documents.source,
    documents.parts,
    question.question,
    asked,
    (_, { part, number, isOnly }) => {
      const one = { ...question, folders: [documents.contextOf(part)] };
      if (isOnly) return engine.ask({ ...one, onText, ...(stop && { stop }) });
      return patiently(number > 1, question.signal, () => engine.ask({ ...one, ...ending() }));
    },
  );
  return merged(answers, documents);
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
  documents: PartedDocuments,
): EngineAnswer<CompressionReport> {
  const replies = ranked.map(({ reply }) => reply);
  const sum = (field: (reply: EngineAnswer) => number) =>
    replies.reduce((total, reply) => total + field(reply), 0);
  return {
    ...best,
    citations: best.citations.map((citation) => documents.inOwn(citation)),
    ...(best.expansion && {
      expansion: {
        ...best.expansion,
        tokens: sum(({ expansion }) => expansion?.tokens ?? 0),
        expanded: ranked.flatMap(({ part, reply }) =>
          expandedOfWhole(reply.expansion?.expanded ?? [], part).map((place) =>
            documents.inOwn(place),
          ),
        ),
      },
    }),
    report: mergeReports(
      replies.map(({ report }) => report),
      documents.source.id,
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
      ...documents.nameOf(part),
      answer: reply.answer,
      found: reply.found,
      confidence: reply.confidence,
      lexicalScore,
    })),
  };
}
