/** Answers of a model that runs here: what is known of them, and those that need nothing but passages. */

import type {
  FinishReason,
  GenerateOptions,
  PassageReading,
  VisionLanguageModel,
} from '../../vlm/index.js';
import type { Answer, AskOptions } from '../backend.js';
import { type CitedDocument, citeDocuments } from '../citing/cite-documents.js';
import { finalAnswer } from '../citing/final-answer.js';
import { saysNotFound } from '../citing/says-not-found.js';
import { judgedAnswer } from './answer-confidence.js';
import { type Generation, generateAnswer } from './generate.js';

/** What is known of an answer that was made here. */
export interface LocalAnswer extends Answer {
  finishReason: FinishReason;
  usage: { promptTokens: number; completionTokens: number };
}

/** The question over passages as a text of their own: nothing else of the document is read. */
export async function answerFromPassages(
  model: VisionLanguageModel,
  sources: readonly CitedDocument[],
  passages: string,
  question: string,
  options: AskOptions,
): Promise<LocalAnswer> {
  const generateOptions = generateOptionsOf(options);
  const { signal } = generateOptions;
  const textAfterImages = `${passages.trimEnd()}\n\n`;
  const context = await model.prefill([], [], { textAfterImages, ...(signal && { signal }) });
  try {
    const generated = await generateAnswer(
      model,
      context,
      question,
      generateOptions,
      options.onText,
    );
    const read = { text: passages, passagesRead: 'alone' } as const;
    return await finishedAnswer(model, sources, generated, question, options, read);
  } finally {
    await model.forget(context);
  }
}

/**
 * @param read what the answer was read from; its text is null where that was pages
 * @throws the signal's reason
 */
export async function finishedAnswer(
  model: VisionLanguageModel,
  sources: readonly CitedDocument[],
  generated: Generation,
  question: string,
  { signal, citations = false }: AskOptions,
  { text, passagesRead }: { text: string | null; passagesRead?: PassageReading },
): Promise<LocalAnswer> {
  signal?.throwIfAborted();
  const { answer } = generated;
  const { calibrations } = model.info;
  return {
    ...generated,
    ...(passagesRead && { passagesRead }),
    found: !saysNotFound(finalAnswer(answer)),
    ...(await judgedAnswer(generated, question, text, sources, calibrations)),
    citations: citations ? await citeDocuments(answer, question, sources) : [],
  };
}

export function generateOptionsOf({
  signal,
  stop,
  onText: _,
  citations: __,
  passages: ___,
  maxNewTokens,
  ...generate
}: AskOptions): GenerateOptions {
  const signals = [signal, stop].filter((one) => one !== undefined);
  return {
    ...generate,
    ...(maxNewTokens !== undefined && { maxNewTokens }),
    ...(signals.length > 0 && { signal: AbortSignal.any(signals) }),
  };
}
