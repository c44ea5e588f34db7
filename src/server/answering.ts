/** The answer to a question: by passages where they are enough, else over contexts, built where there are none. */

import { mayAnswerWithoutPages } from '../pipeline/expanding/passages-document.js';
import { mergeDrawnReports } from '../pipeline/parts/merge-reports.js';
import type { ReportSoFar } from '../pipeline/report.js';
import { withContexts } from '../service/built-contexts.js';
import { assertJoinable, openJoint } from '../service/joint-context.js';
import { askInParts, patiently } from '../service/parted-question.js';
import type { EngineAnswer } from '../service/question-engine.js';
import { contextFolder, type Work } from '../service/work.js';
import type { AskingParts, Question } from './asking.js';
import type { StopFilter } from './chat-request.js';

/** How an answer is told. */
export interface Telling {
  signal: AbortSignal;
  stops: StopFilter;
  onText(text: string): void;
  /** Called where it takes longer, since the pages are read for the first time. */
  onBuild?(): void;
}

/** An answer, and its documents as they were then. */
export interface Answered {
  answer: EngineAnswer;
  documents: readonly Work[];
}

/**
 * @param drawn documents that are completed, as `untilReady` gives them
 * @throws {GlyphpressError} as {@link withContexts} and the engine
 */
export async function answerOver(
  parts: AskingParts,
  question: Question,
  drawn: readonly Work[],
  telling: Telling,
): Promise<Answered> {
  const { models, documents, metrics } = parts;
  const isParted = drawn.some(({ record }) => record.parts !== null);
  if (drawn.length > 1 && !isParted) assertJoinable(drawn, models.info(question.model));
  const triesPassages = mayTryPassages(parts, question);
  const passages = triesPassages && (await answerByPassages(parts, question, drawn, telling));
  if (passages) {
    metrics.asked(drawn.map(reportOf), passages);
    return { answer: passages, documents: drawn };
  }
  const { signal, onBuild = () => {} } = telling;
  const until = question.waitUntil;
  const built = await withContexts(documents, drawn, { until, signal, onBuild });
  const answer = isParted
    ? await answerInParts(parts, question, built, telling)
    : await patiently(triesPassages || built !== drawn, signal, () =>
        answerOverContexts(parts, question, built, telling),
      );
  metrics.asked(isParted ? [answer.report] : built.map(reportOf), answer);
  return { answer, documents: built };
}

/** Parts that are asked for by number are read as pages. */
function mayTryPassages({ models }: AskingParts, { model, expand, parts }: Question): boolean {
  return parts === 'all' && mayAnswerWithoutPages(models.info(model), expand);
}

/** @returns null where the question has no passages */
async function answerByPassages(
  { passages }: AskingParts,
  question: Question,
  works: readonly Work[],
  telling: Telling,
): Promise<EngineAnswer | null> {
  const reports = works.map(reportOf);
  return passages.ask({
    ...question.generate,
    ...ending(telling.stops, telling.onText),
    model: question.model,
    works,
    report: reports.length > 1 ? mergeDrawnReports(reports) : reports[0]!,
    expand: question.expand!,
    question: question.text,
    asker: question.tenant,
    citations: question.citations,
    signal: telling.signal,
  });
}

async function answerOverContexts(
  { engine }: AskingParts,
  question: Question,
  works: readonly Work[],
  { signal, stops, onText }: Telling,
): Promise<EngineAnswer> {
  return engine.ask({
    ...question.generate,
    ...ending(stops, onText),
    model: question.model,
    folders: works.map(contextFolder),
    ...(works.length > 1 && { openJoint: (backend) => openJoint(backend, works) }),
    question: question.text,
    asker: question.tenant,
    citations: question.citations,
    expand: question.expand,
    signal,
  });
}

async function answerInParts(
  { engine }: AskingParts,
  question: Question,
  documents: readonly Work[],
  { signal, stops, onText }: Telling,
): Promise<EngineAnswer> {
  const answer = await askInParts(engine, documents, {
    ...question.generate,
    ...ending(stops, onText),
    ending: () => ending(stops.anew(), () => {}),
    model: question.model,
    question: question.text,
    asked: question.parts,
    asker: question.tenant,
    citations: question.citations,
    expand: question.expand,
    signal,
  });
  // Which of several is the best was not known before.
  if (answer.parts!.length > 1) onText(stops.push(answer.answer));
  return answer;
}

/** Ends an answer at a stop sequence. @param say gets what goes before it */
function ending(filter: StopFilter, say: (text: string) => void) {
  const enough = new AbortController();
  const onText = (text: string) => {
    say(filter.push(text));
    if (filter.stopped) enough.abort();
  };
  return { onText, stop: enough.signal };
}

const reportOf = ({ record }: Work) => JSON.parse(record.report!) as ReportSoFar;
