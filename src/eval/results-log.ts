/** Results as they come: one line of JSON each, only ever added to, so that a killed run goes on. */

import { GlyphpressError } from '../errors.js';
import { LineLog, recoverLines } from '../store/line-log.js';
import type { AnswerEvidence, AnswerLogProb, PassageReading } from '../vlm/index.js';
import type { Score } from './score.js';

/** Tokens of the document that a question was asked about, see the compression report. */
export interface Account {
  pages: number;
  textTokens: number;
  visualTokens: number;
  contextTokens: number;
}

/** What one question took. */
export interface QuestionAccount extends Account {
  /** How passages of the source were read; absent where there were none. */
  passages?: PassageReading;
}

export type ResultLine = {
  /** Of the question. */
  id: string;
  document: string;
} & (
  | {
      answer: string;
      score: Score;
      account: QuestionAccount;
      finishReason: string | null;
      completionTokens: number | null;
      answerMs: number;
      /** Of the answer's tokens, where they are known. */
      logProb?: AnswerLogProb;
      /** What speaks for it in the text that was read, where it was. */
      evidence?: AnswerEvidence;
    }
  | { error: { code: string; message: string; retryable: boolean } }
);

export class ResultsLog {
  readonly #log: LineLog;

  private constructor(log: LineLog) {
    this.#log = log;
  }

  /**
   * @returns the log, and what it held; of several results of one question the last counts
   * @throws {GlyphpressError} GP_ARTIFACT_DAMAGED
   */
  static open(path: string): { log: ResultsLog; known: Map<string, ResultLine> } {
    const results = recoverLines(path, (line, number) => parseResult(line, path, number));
    const known = new Map(results.map((result) => [result.id, result]));
    return { log: new ResultsLog(new LineLog(path)), known };
  }

  add(result: ResultLine): void {
    this.#log.add(result);
  }

  close(): void {
    this.#log.close();
  }
}

function parseResult(line: string, path: string, number: number): ResultLine {
  try {
    const result = JSON.parse(line) as ResultLine;
    if (typeof result?.id === 'string' && ('score' in result || 'error' in result)) return result;
  } catch {}
  throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${path}: line ${number} is not a result`,
    hint: 'Delete that line to have its question asked again, or start a new run.',
    details: { file: path, line: number },
  });
}
