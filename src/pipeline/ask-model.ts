/** Question → answer with a model that runs here: finds or makes the context, then decodes. */

import type { PrunePlan } from '../prune/index.js';
import type { RenderConfig } from '../render/index.js';
import type { GenerateOptions, VisionLanguageModel } from '../vlm/index.js';
import { type AskResult, answerQuestion } from './answer.js';
import { type CompressHooks, contextKey, differingParts, ensureCompressed } from './compress.js';
import type { CompressedSource } from './compressed-folder.js';
import type { ContextLibrary } from './context-library.js';
import type { SourceDocument } from './read-document.js';

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
  defaultConfig: () => RenderConfig;
  /** Another model than the folder's may be meant. */
  modelIsGiven: boolean;
  library: ContextLibrary;
  generate: Omit<GenerateOptions, 'signal'>;
  /** Called once the context is there. */
  onReady?: (rebuiltBecause: string | null) => void;
  onText?: (text: string) => void;
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
  };
  const key = contextKey(document, settings);
  const asksForOther =
    options.renderConfig !== null || options.plan !== null || options.modelIsGiven;
  // A question with other settings leaves the folder as it was made.
  const folder =
    compressed && !(asksForOther && differingParts(compressed.key, key).length > 0)
      ? compressed.folder
      : await options.library.locate(key);

  const { report, context, cached, rebuiltBecause } = await ensureCompressed(
    document,
    settings,
    folder,
    options,
  );
  options.onReady?.(rebuiltBecause);
  const loadMs = performance.now() - start;
  const { signal, generate, onText } = options;
  const { answer, finishReason, usage, firstTokenMs, totalMs } = await answerQuestion(
    model,
    context,
    question,
    { ...generate, ...(signal && { signal }) },
    onText,
  );
  signal?.throwIfAborted();
  return {
    answer,
    report,
    usage,
    timings: { loadMs, firstTokenMs, totalMs: loadMs + totalMs },
    cached,
    finishReason,
  };
}
