/** Question → answer over a compressed context. */

import {
  type AnswerLogProb,
  type Confidence,
  type FinishReason,
  type GenerateOptions,
  type GenerateResult,
  type PrefilledContext,
  summariseLogProbs,
  type VisionLanguageModel,
} from '../../vlm/index.js';
import type { Citation } from '../citing/citations.js';
import type { CompressionReport } from '../report.js';

/** What `ask --json` prints, whoever answered. */
export interface AskResult extends Confidence {
  answer: string;
  /** False where the answer says that the text does not hold what was asked for. */
  found: boolean;
  /** Where the answer stands in the text; empty where nothing there is like it. */
  citations: Citation[];
  report: CompressionReport;
  usage: { promptTokens: number | null; completionTokens: number | null };
  timings: {
    /** Until the document is ready to be asked. */
    loadMs: number;
    /** From then to the first token. */
    firstTokenMs: number;
    totalMs: number;
  };
  /** The document was ready already: nothing was rendered (and nothing prefilled, where that happens here). */
  cached: boolean;
  /** The question stood before the pages too: nothing was stored for another one. */
  questionFirst: boolean;
  finishReason: string | null;
}

export interface Answer {
  /** Where it began to repeat itself without end, up to the first repetition. */
  answer: string;
  finishReason: FinishReason;
  usage: { promptTokens: number; completionTokens: number };
  /** Of the tokens of `answer`; null if there are none. */
  logProb: AnswerLogProb | null;
  firstTokenMs: number;
  totalMs: number;
}

/** The words of the OpenAI protocol, which has none for a loop: the model ended, if not by itself. */
export function openAiFinishReason(reason: FinishReason): 'stop' | 'length' {
  return reason === 'length' ? 'length' : 'stop';
}

/** @param onText gets the answer as it grows, whole characters only, also what is found to be repetition later */
export async function answerQuestion(
  model: VisionLanguageModel,
  context: PrefilledContext,
  question: string,
  options: GenerateOptions,
  onText: (text: string) => void = () => {},
): Promise<Answer> {
  const start = performance.now();
  let firstTokenMs: number | null = null;
  const pieces: string[] = [];
  const logProbs: number[] = [];
  const events = model.answer(context, question, options);
  for (;;) {
    const next = await events.next();
    firstTokenMs ??= performance.now() - start;
    if (next.done) {
      const totalMs = performance.now() - start;
      return { ...finish(next.value, pieces, logProbs), firstTokenMs, totalMs };
    }
    const { text, logProb } = next.value;
    pieces.push(text);
    logProbs.push(logProb);
    if (text !== '') onText(text);
  }
}

function finish(
  { finishReason, promptTokens, completionTokens, repeatedTokens }: GenerateResult,
  pieces: readonly string[],
  logProbs: readonly number[],
): Omit<Answer, 'firstTokenMs' | 'totalMs'> {
  const kept = pieces.length - repeatedTokens;
  return {
    answer: pieces.slice(0, kept).join('').trim(),
    finishReason,
    usage: { promptTokens, completionTokens },
    logProb: summariseLogProbs(logProbs.slice(0, kept)),
  };
}
