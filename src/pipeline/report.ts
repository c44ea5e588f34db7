/** The compression report: one set of words for the command line, the API and the benchmarks. */

import path from 'node:path';
import { type PrunePlan, planId } from '../prune/index.js';
import { type RenderConfig, type RenderSummary, renderConfigId } from '../render/index.js';
import type { ModelInfo, PassageReading } from '../vlm/index.js';
import type { SourceDocument } from './read-document.js';
import { countTextTokens, DEFAULT_TEXT_TOKENIZER } from './text-tokens.js';

export interface ReportTimings {
  /** Wall time spent waiting for each step; rendering goes on while pages are encoded. */
  extractMs: number;
  renderMs: number;
  encodeMs: number;
  pruneMs: number;
  prefillMs: number;
  totalMs: number;
}

export interface TextAccount {
  characters: number;
  /** T: tokens of the source text in `tokenizer`. */
  textTokens: number;
  tokenizer: string;
}

export interface CompressionReport extends TextAccount {
  documentId: string;
  model: string;
  renderConfigId: string;
  prunePlanId: string;
  pages: number;
  /** V: cells of all pages. */
  visualTokens: number;
  /** E: after the drop behind the vision encoder. */
  encodedTokens: number;
  /** Visual tokens present in each decoder layer. */
  layerTokens: number[];
  /** C: mean over the layers, the papers' "retained tokens", and those of sidecar and question. */
  contextTokens: number;
  /** Tokens in the last layer, those of sidecar and question included. */
  finalTokens: number;
  /** Text tokens of exact values beside the visual tokens; part of C and of all ratios with C. */
  sidecarTokens: number;
  /**
   * Text tokens of the question where it stands before the pages too, of a context for it alone, else
   * 0; part of C and of all ratios with C.
   */
  questionTokens: number;
  /** Text tokens of the source that were read for one question; in the report of its answer, part of C. */
  expandedTokens?: number;
  /**
   * How that text was read; `alone`: without the pages, so that it is all of C, and V / C says nothing of
   * pruning.
   */
  passages?: PassageReading;
  /** Of V, cells that hold no ink, dropped or not; null if not counted. */
  blankTokens: number | null;
  /** Of V, cells that repeat an earlier page; null unless the plan drops them. */
  repeatedTokens: number | null;
  /** T / V */
  renderRatio: number;
  /** V / C */
  pruneRatio: number;
  /** T / C */
  stackedRatio: number;
  /** Stored keys and values (float16), text rows of the prompt included; null where a server holds them. */
  kvBytes: number | null;
  /** What the keys and values of T text tokens would take in the same model and type. */
  textKvBytes: number | null;
  missingGlyphs: number;
  controlCharacters: number;
  invisibleCharacters: number;
  /** Some of the characters without a glyph. */
  missingSample: string[];
  fontSubstitution: RenderSummary['fontSubstitution'];
  /** Chromium that drew the pages. */
  browser: string;
  timings: ReportTimings;
}

/** Figures of drawn pages. */
type PageFigure =
  | 'pages'
  | 'visualTokens'
  | 'renderRatio'
  | 'missingGlyphs'
  | 'controlCharacters'
  | 'invisibleCharacters'
  | 'missingSample'
  | 'browser';

/** Figures of a context. */
type ContextFigure =
  | 'encodedTokens'
  | 'layerTokens'
  | 'contextTokens'
  | 'finalTokens'
  | 'sidecarTokens'
  | 'pruneRatio'
  | 'stackedRatio';

type OrNull<T> = { [Key in keyof T]: T[Key] | null };

/** The report of a document of which no more was made than its questions needed. */
export type ReportSoFar = Omit<CompressionReport, PageFigure | ContextFigure | 'timings'> &
  OrNull<Pick<CompressionReport, PageFigure | ContextFigure>> & {
    /** Null for a step that was not done. */
    timings: OrNull<ReportTimings>;
    /**
     * What there is of it, where that is no context: its text, or its drawn pages. Figures of what was
     * not made are null.
     */
    made?: 'text' | 'pages';
  };

export interface TokenCounts {
  visualTokens: number;
  encodedTokens: number;
  layerTokens: number[];
  /** @defaultValue 0 */
  sidecarTokens?: number;
  /** @defaultValue 0 */
  questionTokens?: number;
}

/** @param counts a model behind a server has no `layerTokens` that we know: every token stays */
export function tokenAccount(textTokens: number, counts: TokenCounts) {
  const { visualTokens, encodedTokens, layerTokens } = counts;
  const { sidecarTokens = 0, questionTokens = 0 } = counts;
  const meanTokens =
    layerTokens.length > 0
      ? layerTokens.reduce((sum, n) => sum + n, 0) / layerTokens.length
      : encodedTokens;
  // No layer drops text: it is there in full in each.
  const besideTokens = sidecarTokens + questionTokens;
  const contextTokens = meanTokens + besideTokens;
  return {
    textTokens,
    visualTokens,
    encodedTokens,
    layerTokens,
    contextTokens,
    finalTokens: (layerTokens.at(-1) ?? encodedTokens) + besideTokens,
    sidecarTokens,
    questionTokens,
    renderRatio: textTokens / visualTokens,
    pruneRatio: visualTokens / contextTokens,
    stackedRatio: textTokens / contextTokens,
  };
}

/** A model as far as it counts text. */
export interface TokenCounter {
  info: ModelInfo;
  countTokens(text: string): number;
}

/** Of a document of which nothing was made: no question needed more than its text. */
export function textOnlyReport(
  document: SourceDocument,
  model: TokenCounter,
  { renderConfig, plan }: { renderConfig: RenderConfig; plan: PrunePlan },
  extractMs: number,
): ReportSoFar {
  const account = textAccount(document.text, model);
  const { info } = model;
  return {
    made: 'text',
    documentId: document.id,
    model: path.basename(info.dir),
    renderConfigId: renderConfigId(renderConfig),
    prunePlanId: planId(plan),
    characters: document.text.length,
    ...account,
    pages: null,
    visualTokens: null,
    encodedTokens: null,
    layerTokens: null,
    contextTokens: null,
    finalTokens: null,
    sidecarTokens: null,
    questionTokens: 0,
    blankTokens: null,
    repeatedTokens: null,
    renderRatio: null,
    pruneRatio: null,
    stackedRatio: null,
    kvBytes: null,
    textKvBytes: account.textTokens * info.storedKvBytesPerToken,
    missingGlyphs: null,
    controlCharacters: null,
    invisibleCharacters: null,
    missingSample: null,
    fontSubstitution: null,
    browser: null,
    timings: {
      extractMs,
      renderMs: null,
      encodeMs: null,
      pruneMs: null,
      prefillMs: null,
      totalMs: extractMs,
    },
  };
}

/** Vocabularies below this are of bytes or characters, in which no provider bills text. */
const MIN_TEXT_VOCABULARY = 1_000;

/** T in the model's own tokenizer; for a reader that knows bytes only, in o200k_base. */
export function textAccount(text: string, model: TokenCounter) {
  const { info } = model;
  if (info.tokenizerVocabulary < MIN_TEXT_VOCABULARY) {
    return { textTokens: countTextTokens(text), tokenizer: DEFAULT_TEXT_TOKENIZER };
  }
  return { textTokens: model.countTokens(text), tokenizer: path.basename(info.dir) };
}
