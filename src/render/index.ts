/** Text → dense page images with a span map. */
export type { ChromiumOptions } from './chromium.js';
export {
  CONFIG_KEYS,
  type ConfigKey,
  type KeyForm,
  type LineBreaking,
  type RenderConfig,
} from './config-schema.js';
export type { DisplayCounts } from './display-text.js';
export { BUNDLED_FAMILIES, resolveFonts } from './fonts.js';
export {
  ADVANCE_STEP,
  advanceOf,
  type GlyphAdvances,
  joinAdvances,
  NO_ADVANCES,
  newAdvances,
} from './glyph-advances.js';
export { DEFAULT_VISUAL_TOKEN_PX, fitToCells } from './grid.js';
export { loadRenderConfig, parseOverrides } from './load-config.js';
export { DEFAULT_PRESET, PRESETS } from './presets.js';
export {
  allowedValues,
  parseRenderConfig,
  type RawRenderConfig,
  renderConfigId,
} from './render-config.js';
export {
  DocumentRendering,
  type LaidOutPage,
  type LineBox,
  type PageLayout,
  type RenderedPage,
  type RendererFingerprint,
  type RenderOptions,
  type RenderSummary,
  renderingId,
} from './renderer.js';
