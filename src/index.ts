/** What a program imports: `import { open } from 'glyphpress'`. See docs/library.md. */

export { ERROR_CATALOGUE, type ErrorCode, GlyphpressError, ShapeError } from './errors.js';
export { type CompressOptions, compress } from './library/compress.js';
export type { DocumentInput, InputOptions } from './library/input.js';
export { ask, type LibraryOpenOptions as OpenOptions, type Opened, open } from './library/open.js';
export type { ModelOptions, ReadingOptions } from './library/reading.js';
export {
  estimateTokens,
  type RenderingOptions,
  type RenderOptions,
  render,
  type TokenEstimate,
} from './library/render.js';
export type {
  Answer,
  AskOptions,
  Backend,
  OpenDocument,
  OpenHooks,
  OpenStage,
  PlacedCitation,
  ReadingSettings,
} from './pipeline/backend.js';
export { LocalBackend, type LocalBackendOptions } from './pipeline/backends/local.js';
export { OpenAiBackend, type OpenAiBackendOptions } from './pipeline/backends/openai.js';
export { ServerBackend, type ServerBackendOptions } from './pipeline/backends/server.js';
export { TextBackend } from './pipeline/backends/text.js';
export type { ExpandSettings } from './pipeline/expanding/expander.js';
export { ExpandingBackend } from './pipeline/expanding/expanding-backend.js';
export { decodeDocument, type SourceDocument } from './pipeline/read-document.js';
export type { RenderResult } from './pipeline/render-to-folder.js';
export type { CompressionReport, ReportSoFar } from './pipeline/report.js';
export {
  type ApetOptions,
  type DecoderDrop,
  describePlan,
  type EncoderDrop,
  keepHighest,
  NAMED_PLANS,
  type NamedPlan,
  namedPlan,
  type PrunePlan,
  parsePrunePlan,
  planFromKeep,
  pruneByApproximationError,
  retainedCount,
  selectAtRandom,
  selectByApproximationError,
  selectByVariation,
  tokenNorms,
  tokenVariation,
} from './prune/index.js';
export {
  loadRenderConfig,
  PRESETS,
  type RawRenderConfig,
  type RenderConfig,
} from './render/index.js';
export { inspectModel, type ModelInfo, VisionLanguageModel } from './vlm/index.js';
