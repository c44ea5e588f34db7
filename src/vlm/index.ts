/** Vision-language models: checkpoint folder in, page images to visual tokens to answers. */
export type { GenerateEvent, GenerateOptions, GenerateResult } from './answer-stream.js';
export { type AttentionHeads, storeAttentionHeads } from './attention-heads.js';
export type { AttentionHead } from './attention-scores.js';
export {
  type Calibration,
  type CalibrationRecord,
  type Calibrations,
  type Confidence,
  type ConfidenceCurve,
  calibrationJson,
  chanceOf,
  confidenceOf,
  curveFor,
  type PlattCurve,
} from './calibration.js';
export { SHARED_RUN_OPERATIONS } from './chunk-rows.js';
export { type CompileManifest, type CompileOptions, compileToFolder } from './compile.js';
export { DEVICES, type Device } from './device.js';
export { type DriftReport, measureDrift } from './drift.js';
export type { FinishReason, Forward } from './engine.js';
export {
  type AnswerEvidence,
  EVIDENCE_FEATURES,
  type EvidenceCurve,
  type EvidenceFeature,
  type EvidenceValues,
  evidenceScore,
  evidenceValues,
  NEVER_NEGATIVE,
} from './evidence-curve.js';
export { GLM_4V_PAGES } from './families/glm4v.js';
export { float16ToFloat32, float32ToFloat16 } from './float16.js';
export {
  type CachedModel,
  listCachedModels,
  removeCachedModel,
} from './hub/cached-models.js';
export { requireHubName } from './hub/hub-settings.js';
export { type PulledModel, type PullOptions, pullModel } from './hub/pull-model.js';
export { type PageGrid, type PageImage, visualTokenGrid } from './image-processor.js';
export {
  gridOfPage,
  type Inspection,
  inspectModel,
  type ModelInfo,
  renderingOf,
  textTokenCounter,
  type VisionInfo,
} from './inspect.js';
export { KNOWN_MODELS, type KnownModelSizes, knownModelSizes } from './known-models.js';
export type { ContextLayer } from './kv-cache.js';
export {
  KV_DTYPES,
  type KvDtype,
  type KvRows,
  kvByteLength,
  kvDtypeOf,
  kvFromFloat32,
  kvRowBytes,
  kvToFloat32,
  storedKvDtype,
} from './kv-rows.js';
export { type AnswerLogProb, summariseLogProbs } from './log-probability.js';
export { type OpenOptions, VisionLanguageModel } from './model.js';
export { locateModel } from './model-location.js';
export type { PassageReading } from './passage-reading.js';
export type { DropInput, DropNeeds, KeptCells, Selection } from './prefill.js';
export type {
  AttendedCells,
  LayerDrop,
  PrefilledContext,
  PrefillOptions,
} from './prefilled-context.js';
export { CELL_COLUMNS, CELL_ROWS, LegibilityProbe, PROBE_FILE } from './probe.js';
export type { PromptImage } from './prompt.js';
export { parseSafetensors, SafetensorsFile } from './safetensors.js';
export {
  encodeSafetensors,
  safetensorsByteLength,
  type WritableTensor,
  writeSafetensors,
} from './safetensors-writer.js';
export type { SamplingOptions } from './sampler.js';
export { storeCalibration } from './store-calibration.js';
export type { EncodedImage } from './vision-encoder.js';
export {
  type QuantisedFolder,
  type QuantiseFolderOptions,
  quantiseToFolder,
} from './weights/quantised-folder.js';
export { DTYPES, type Dtype } from './weights/recipe.js';
export { addTo, dot, normalised, WordVectors } from './word-vectors.js';
