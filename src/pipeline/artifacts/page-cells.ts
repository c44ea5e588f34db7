/** Which cells of its pages a compressed document still holds, stage of pruning by stage of pruning. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { PrunePlan } from '../../prune/index.js';
import type { PrefilledContext, PromptImage } from '../../vlm/index.js';

export const CELLS_FILE = 'cells.json';

export interface PruneStage {
  at: 'encoder' | 'decoder';
  /** Decoder layer before which it drops; null behind the encoder. */
  layer: number | null;
}

/** The cells of one page, row by row. */
export interface PageCells {
  rows: number;
  cols: number;
  /** For each cell, how many stages it came through: as many as there are stages if it is kept. */
  survived: number[];
}

/** What `cells.json` holds. */
export interface DocumentCells {
  version: 1;
  /** In the order in which they drop; none where the plan keeps everything. */
  stages: PruneStage[];
  pages: PageCells[];
}

/**
 * @param images what entered the decoder, page by page
 * @param keptCells what each drop in the decoder left, see {@link PrefilledContext}
 */
export function documentCells(
  images: readonly Pick<PromptImage, 'tokenGrid' | 'kept'>[],
  { keptCells }: Pick<PrefilledContext, 'keptCells'>,
  { encoder, decoder }: PrunePlan,
): DocumentCells {
  const stages: PruneStage[] = [
    ...(encoder ? [{ at: 'encoder' as const, layer: null }] : []),
    ...decoder.map(({ layer }) => ({ at: 'decoder' as const, layer })),
  ];
  const pages = images.map(({ tokenGrid: { rows, cols }, kept }): PageCells => {
    const survived = new Array<number>(rows * cols).fill(0);
    if (encoder) for (const cell of kept) survived[cell] = 1;
    return { rows, cols, survived };
  });
  for (const left of keptCells)
    for (const { image, cell } of left) for (const one of cell) pages[image]!.survived[one]! += 1;
  return { version: 1, stages, pages };
}

export async function writeCells(folder: string, cells: DocumentCells): Promise<void> {
  await writeFile(path.join(folder, CELLS_FILE), JSON.stringify(cells));
}

export function parseCells(json: Buffer): DocumentCells {
  return JSON.parse(json.toString('utf8')) as DocumentCells;
}
