/** Visual tokens of pages, kept for later trials that draw the same ones; the oldest go first. */

import type { EncodedImage } from '../vlm/index.js';

export class VisualTokenMemory {
  readonly #images = new Map<string, EncodedImage>();
  #bytes = 0;

  constructor(private readonly maxBytes: number) {}

  /** @param name of the page: equal names, equal pages */
  async get(name: string, encode: () => Promise<EncodedImage>): Promise<EncodedImage> {
    const kept = this.#images.get(name);
    if (kept) return kept;
    const image = await encode();
    this.#images.set(name, image);
    this.#bytes += image.tokens.byteLength;
    for (const [oldest, { tokens }] of this.#images) {
      if (this.#bytes <= this.maxBytes) break;
      this.#images.delete(oldest);
      this.#bytes -= tokens.byteLength;
    }
    return image;
  }
}
