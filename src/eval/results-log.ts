/** Results as they come: one line of JSON each, only ever added to, so that a killed run goes on. */

import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { GlyphpressError } from '../errors.js';
import type { AnswerLogProb } from '../vlm/index.js';
import type { Score } from './score.js';

/** Tokens of the document that a question was asked about, see the compression report. */
export interface Account {
  pages: number;
  textTokens: number;
  visualTokens: number;
  contextTokens: number;
}

export type ResultLine = {
  /** Of the question. */
  id: string;
  document: string;
} & (
  | {
      answer: string;
      score: Score;
      account: Account;
      finishReason: string | null;
      completionTokens: number | null;
      answerMs: number;
      /** Of the answer's tokens, where they are known. */
      logProb?: AnswerLogProb;
    }
  | { error: { code: string; message: string; retryable: boolean } }
);

export class ResultsLog {
  readonly #file: number;

  private constructor(file: number) {
    this.#file = file;
  }

  /**
   * @returns the log, and what it held; of several results of one question the last counts
   * @throws {GlyphpressError} GP_ARTIFACT_DAMAGED
   */
  static open(path: string): { log: ResultsLog; known: Map<string, ResultLine> } {
    const known = new Map<string, ResultLine>();
    if (existsSync(path)) for (const result of readLines(path)) known.set(result.id, result);
    return { log: new ResultsLog(openSync(path, 'a')), known };
  }

  add(result: ResultLine): void {
    writeSync(this.#file, `${JSON.stringify(result)}\n`);
  }

  close(): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
  }
}

function readLines(path: string): ResultLine[] {
  const bytes = readFileSync(path);
  const end = bytes.lastIndexOf('\n') + 1;
  // The process was killed while it wrote the last line.
  if (end < bytes.length) truncateSync(path, end);
  return bytes
    .subarray(0, end)
    .toString('utf8')
    .split('\n')
    .slice(0, -1)
    .map((line, i) => parseResult(line, path, i + 1));
}

function parseResult(line: string, path: string, number: number): ResultLine {
  try {
    const result = JSON.parse(line) as ResultLine;
    if (typeof result?.id === 'string' && ('score' in result || 'error' in result)) return result;
  } catch {}
  throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${path}: line ${number} is no result`,
    hint: 'Delete that line to have its question asked again, or start a new run.',
    details: { file: path, line: number },
  });
}
