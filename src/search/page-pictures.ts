/** The first page under each chosen configuration, small enough for a report. */

import type { EvalDocument } from '../eval/task.js';
import type { Evaluator } from './evaluator.js';
import type { FrontPoint } from './summary.js';

export interface PagePicture {
  point: number;
  /** `data:image/png;base64,…` */
  uri: string;
  widthPx: number;
  heightPx: number;
}

/** Pages are grey: sixteen shades show them as they are read. */
const SHADES = 16;

export async function pagePictures(
  front: readonly FrontPoint[],
  text: EvalDocument,
  evaluator: Evaluator,
  signal?: AbortSignal,
): Promise<PagePicture[]> {
  const { default: sharp } = await import('sharp');
  const pictures: PagePicture[] = [];
  for (const { point, settings } of front) {
    const { png, widthPx, heightPx } = await evaluator.firstPage(settings, text, signal);
    const small = await sharp(png).png({ palette: true, colours: SHADES, effort: 7 }).toBuffer();
    const uri = `data:image/png;base64,${small.toString('base64')}`;
    pictures.push({ point, uri, widthPx, heightPx });
  }
  return pictures;
}
