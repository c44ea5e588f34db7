/** The parts that a document is asked in, or none where it is asked as a whole. */

import { type ChromiumOptions, type RenderConfig, renderingId } from '../../render/index.js';
import { sha256Hex } from '../../sha256.js';
import { type CellsOf, predictPageTokens } from '../predict-tokens.js';
import type { SourceDocument } from '../read-document.js';
import { type PageRange, type PartsPlan, planParts } from './plan-parts.js';
import { storedPlan } from './stored-plan.js';

export interface PartsOptions {
  renderConfig: RenderConfig;
  cellsOf: CellsOf;
  /** Of {@link cellsOf}: the model, or another name for how it counts. */
  cellsId: string;
  /** Visual tokens that a part may take; Infinity if the limit is unknown. */
  capacity: number;
  piece: PageRange | null;
  /** Where plans are kept. */
  folder: string;
  chromium: () => ChromiumOptions;
  signal: AbortSignal;
}

/**
 * @returns null where it is asked as a whole; a text of fewer characters than tokens that fit is not even
 *   laid out
 * @throws {GlyphpressError} as {@link planParts} and the layout
 */
export async function partsOfDocument(
  document: SourceDocument,
  options: PartsOptions,
): Promise<PartsPlan | null> {
  const { renderConfig, cellsOf, cellsId, capacity, piece, folder, chromium, signal } = options;
  if (!piece && document.text.length <= capacity) return null;
  const key = {
    text: sha256Hex(document.text),
    files: sha256Hex(JSON.stringify(document.files ?? [])),
    rendering: renderingId(renderConfig),
    cells: cellsId,
    capacity: String(capacity),
    piece: piece ? `${piece.of} ${piece.first}-${piece.last}` : '',
  };
  const plan = await storedPlan(folder, key, () =>
    planParts(
      document,
      capacity,
      (text) => predictPageTokens(text, renderConfig, cellsOf, { chromium: chromium(), signal }),
      piece,
    ),
  );
  const [only] = plan.parts;
  const isWhole = plan.parts.length === 1 && only!.end - only!.start === document.text.length;
  return isWhole ? null : plan;
}
