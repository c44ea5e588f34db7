/** Question → answer with a model that runs here: finds or makes the context, then decodes. */

import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { PrunePlan } from '../../prune/index.js';
import type { RenderConfig } from '../../render/index.js';
import { readArtifactFile, readManifest } from '../../store/artifact-folder.js';
import { differingParts } from '../../store/artifact-key.js';
import { scratchFolder } from '../../store/scratch-folder.js';
import { confidenceOf, type GenerateOptions, type VisionLanguageModel } from '../../vlm/index.js';
import type { CompressedSource } from '../artifacts/compressed-folder.js';
import type { ContextLibrary } from '../artifacts/context-library.js';
import { PAGES_FILE, pagesOfIndex } from '../artifacts/page-folder.js';
import { citeAnswer } from '../citing/citations.js';
import { finalAnswer } from '../citing/final-answer.js';
import { saysNotFound } from '../citing/says-not-found.js';
import {
  CONTEXT_FORM,
  type CompressedContext,
  type CompressHooks,
  contextKey,
  ensureCompressed,
} from '../compress.js';
import type { SourceDocument } from '../read-document.js';
import { type AskResult, answerQuestion } from './answer.js';
import { withQuestionFirst } from './question-first.js';

/** What is asked: a text, or a folder that compress made. */
export interface AskTarget {
  document: SourceDocument;
  /** The folder and what it holds; null for a text. */
  compressed: (CompressedSource & { folder: string }) | null;
}

export interface AskModelOptions extends CompressHooks {
  /** Null takes what the compressed folder was made with, or the defaults. */
  renderConfig: RenderConfig | null;
  plan: PrunePlan | null;
  /** Text tokens of the sidecar; null as for the others. */
  sidecar?: number | null;
  /** The question stands before the pages too; the library is neither asked nor added to. */
  questionFirst?: boolean;
  defaultConfig: () => RenderConfig;
  /** Another model than the folder's may be meant. */
  modelIsGiven: boolean;
  library: ContextLibrary;
  generate: Omit<GenerateOptions, 'signal'>;
  /** Called once the context is there. */
  onReady?: (rebuiltBecause: string | null) => void;
  onText?: ((text: string) => void) | undefined;
}

export async function askModel(
  { document, compressed }: AskTarget,
  question: string,
  model: VisionLanguageModel,
  options: AskModelOptions,
): Promise<AskResult> {
  const start = performance.now() - (options.extractMs ?? 0);
  const body = compressed?.body;
  const settings = {
    model,
    renderConfig: options.renderConfig ?? body?.renderConfig ?? options.defaultConfig(),
    plan: options.plan ?? body?.plan ?? { decoder: [] },
    sidecar: options.sidecar ?? body?.sidecar?.budget ?? 0,
  };
  const answered = (context: CompressedContext, folder: string) =>
    answerOver(context, folder, { document, question, model, start }, options);
  if (options.questionFirst) {
    const folder = path.join(scratchFolder(), `question-first-${randomUUID()}`);
    const own = { ...settings, questionFirst: question };
    return withQuestionFirst(document, own, folder, options, (made) => answered(made, folder));
  }
  const key = contextKey(document, settings);
  const asksForOther =
    options.renderConfig !== null ||
    options.plan !== null ||
    options.modelIsGiven ||
    typeof options.sidecar === 'number';
  // A question with other settings leaves the folder as it was made.
  const folder =
    compressed && !(asksForOther && differingParts(compressed.key, key).length > 0)
      ? compressed.folder
      : await options.library.locate(key);

  return answered(await ensureCompressed(document, settings, folder, options), folder);
}

interface Asked {
  document: SourceDocument;
  question: string;
  model: VisionLanguageModel;
  /** When the asking began, by `performance.now()`. */
  start: number;
}

async function answerOver(
  { report, context, cached, rebuiltBecause }: CompressedContext,
  folder: string,
  { document, question, model, start }: Asked,
  options: AskModelOptions,
): Promise<AskResult> {
  options.onReady?.(rebuiltBecause);
  const loadMs = performance.now() - start;
  const { signal, generate, onText, questionFirst = false } = options;
  const { answer, finishReason, usage, logProb, firstTokenMs, totalMs } = await answerQuestion(
    model,
    context,
    question,
    { ...generate, ...(signal && { signal }) },
    onText,
  );
  signal?.throwIfAborted();
  const readPages = async () => {
    const manifest = await readManifest(folder, CONTEXT_FORM);
    return manifest ? pagesOfIndex(await readArtifactFile(folder, manifest, PAGES_FILE)) : [];
  };
  return {
    answer,
    found: !saysNotFound(finalAnswer(answer)),
    ...confidenceOf(logProb, model.info.calibration),
    citations: await citeAnswer(answer, question, document.text, readPages),
    report,
    usage,
    timings: { loadMs, firstTokenMs, totalMs: loadMs + totalMs },
    cached,
    questionFirst,
    finishReason,
  };
}
