/** Question → answer over the context of a model that runs here. */

import {
  type AnswerLogProb,
  type FinishReason,
  type GenerateOptions,
  type GenerateResult,
  type PrefilledContext,
  summariseLogProbs,
  type VisionLanguageModel,
} from '../../vlm/index.js';

export interface Generation {
  answer: string;
  finishReason: FinishReason;
  usage: { promptTokens: number; completionTokens: number };
  logProb: AnswerLogProb | null;
  timings: { firstTokenMs: number; totalMs: number };
}

/** @param onText gets the answer as it grows, whole characters only, also what is found to be repetition later */
export async function generateAnswer(
  model: VisionLanguageModel,
  context: PrefilledContext,
  question: string,
  options: GenerateOptions,
  onText: (text: string) => void = () => {},
): Promise<Generation> {
  const start = performance.now();
  let firstTokenMs: number | null = null;
  const pieces: string[] = [];
  const logProbs: number[] = [];
  const events = model.answer(context, question, options);
  for (;;) {
    const next = await events.next();
    firstTokenMs ??= performance.now() - start;
    if (next.done) {
      const timings = { firstTokenMs, totalMs: performance.now() - start };
      return { ...finish(next.value, pieces, logProbs), timings };
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
): Omit<Generation, 'timings'> {
  const kept = pieces.length - repeatedTokens;
  return {
    answer: pieces.slice(0, kept).join('').trim(),
    finishReason,
    usage: { promptTokens, completionTokens },
    logProb: summariseLogProbs(logProbs.slice(0, kept)),
  };
}
