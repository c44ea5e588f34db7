/** PNG pages ↔ pixels for the vision encoder. */

import type { PageImage } from '../../vlm/index.js';

/** Pages come from our own renderer; anything larger than its largest page is no page. */
const MAX_PAGE_PIXELS = 100_000_000;

export async function decodePage(png: Buffer): Promise<PageImage> {
  const { default: sharp } = await import('sharp');
  const { data, info } = await sharp(png, { limitInputPixels: MAX_PAGE_PIXELS, failOn: 'warning' })
    .toColourspace('b-w')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, widthPx: info.width, heightPx: info.height, channels: info.channels as 1 };
}
