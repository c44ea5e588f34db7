/** Question → answer over a compressed context. */

import type { GenerateOptions, PrefilledContext, VisionLanguageModel } from '../vlm/index.js';
import type { CompressionReport } from './report.js';

/** What `ask --json` prints, whoever answered. */
export interface AskResult {
  answer: string;
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
  finishReason: string | null;
}

export interface Answer {
  answer: string;
  finishReason: 'stop' | 'length' | 'aborted';
  usage: { promptTokens: number; completionTokens: number };
  firstTokenMs: number;
  totalMs: number;
}

/** @param onText gets the answer as it grows, whole characters only */
export async function answerQuestion(
  model: VisionLanguageModel,
  context: PrefilledContext,
  question: string,
  options: GenerateOptions,
  onText: (text: string) => void = () => {},
): Promise<Answer> {
  const start = performance.now();
  let firstTokenMs: number | null = null;
  let answer = '';
  const events = model.answer(context, question, options);
  for (;;) {
    const next = await events.next();
    firstTokenMs ??= performance.now() - start;
    if (next.done) {
      const { finishReason, promptTokens, completionTokens } = next.value;
      const totalMs = performance.now() - start;
      return {
        answer: answer.trim(),
        finishReason,
        usage: { promptTokens, completionTokens },
        firstTokenMs,
        totalMs,
      };
    }
    answer += next.value.text;
    if (next.value.text !== '') onText(next.value.text);
  }
}
