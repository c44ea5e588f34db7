/** All questions about one text under one configuration, asked and scored. */

import { scoreAnswer } from '../eval/score.js';
import type { EvalQuestion } from '../eval/task.js';
import type { Backend } from '../pipeline/backend.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import { parsedConfig, type Settings } from './settings.js';
import type { DocumentScore } from './trial.js';

export interface ScoreOptions {
  /** Longest answer, in place of what the question says. */
  maxNewTokens?: number;
  signal?: AbortSignal | undefined;
  /** Milliseconds that the model worked for an opening, or an answer. */
  onInference: (ms: number) => void;
}

export async function scoreDocument(
  backend: Backend,
  document: SourceDocument,
  settings: Settings,
  questions: readonly EvalQuestion[],
  { maxNewTokens, signal, onInference }: ScoreOptions,
): Promise<Omit<DocumentScore, 'document'>> {
  const reading = {
    renderConfig: parsedConfig(settings),
    plan: settings.plan,
    sidecar: settings.sidecar,
  };
  const opened = await backend.open(document, reading, { signal });
  try {
    const { textTokens, visualTokens, contextTokens, timings } = opened.report;
    onInference(timings.prefillMs + timings.pruneMs);
    const scores: number[] = [];
    for (const question of questions) {
      const { answer, timings } = await opened.ask(question.question, {
        maxNewTokens: maxNewTokens ?? question.maxNewTokens,
        signal,
      });
      onInference(timings.totalMs);
      scores.push(scoreAnswer(question.metric, answer, question).value);
    }
    return { scores, textTokens, visualTokens, contextTokens };
  } finally {
    await opened.close();
  }
}
