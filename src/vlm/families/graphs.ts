/** The three kinds of graph that a model runs as. */
import type { RunForm } from '../attention.js';
import { buildHead, buildStage } from '../decoders/decoder-graph.js';
import { tokenWidth } from '../decoders/text-config.js';
import type { GraphBuilder } from '../graph-builder.js';
import type { KvDtype } from '../kv-rows.js';
import { buildVision } from '../towers/tower.js';
import { type ModelConfig, requireVision, type StageRange } from './family.js';

/** @throws {GlyphpressError} GP_MODEL_NO_VISION for a model that reads text only */
export function visionGraph(g: GraphBuilder, config: ModelConfig): void {
  buildVision(g, requireVision(config), tokenWidth(config.text));
}

export function stageGraph(
  g: GraphBuilder,
  { text }: ModelConfig,
  range: StageRange,
  kvDtype?: KvDtype,
  form?: RunForm,
): void {
  buildStage(g, text, range, kvDtype, form);
}

export function headGraph(g: GraphBuilder, { text, tiedHead }: ModelConfig): void {
  buildHead(g, text, tiedHead);
}
