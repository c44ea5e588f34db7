/** Who tries a configuration: draws it, reads it, asks about it. */

import type { EvalDocument } from '../eval/task.js';
import type { ExpansionChoice } from '../pipeline/expanding/expansion-choice.js';
import type { RenderedPage } from '../render/index.js';
import type { Settings } from './settings.js';
import type { DocumentScore, RenderCheck } from './trial.js';

/** Milliseconds that went into the work itself, in this process or its workers. */
export interface Spent {
  renderMs: number;
  inferenceMs: number;
}

export interface Evaluator {
  /** Configurations that may be tried side by side. */
  readonly concurrency: number;
  /** Decoder layers that a plan can drop between; null where whole pages go to a server. */
  readonly layers: number | null;
  /** Whether {@link checkRendering} reads the page. */
  readonly hasProbe: boolean;
  /** What results depend on, apart from texts and configurations. */
  readonly key: Readonly<Record<string, string>>;
  readonly spent: Spent;
  /** Passages of the source that every question is asked with. @defaultValue none */
  readonly expand?: ExpansionChoice | undefined;
  /**
   * Draws a text and counts its tokens; then reads it, if it is worth that.
   *
   * @param minRenderRatio text ÷ visual tokens below which nothing is read
   * @throws {GlyphpressError} of the renderer or the model
   */
  checkRendering(
    settings: Settings,
    document: EvalDocument,
    minRenderRatio: number,
    signal?: AbortSignal,
  ): Promise<RenderCheck>;
  /** Asks all questions about a text. @throws as {@link checkRendering} */
  score(settings: Settings, document: EvalDocument, signal?: AbortSignal): Promise<DocumentScore>;
  /**
   * After an error of the surroundings that came twice: whether they work apart from it, so that the
   * configuration is to blame.
   */
  isAlive(signal?: AbortSignal): Promise<boolean>;
  /** The first page of a text, for people to look at. */
  firstPage(
    settings: Settings,
    document: EvalDocument,
    signal?: AbortSignal,
  ): Promise<Pick<RenderedPage, 'png' | 'widthPx' | 'heightPx'>>;
}
