/** Pages → visual tokens, with what the plan must know of their pixels. */

import {
  blankCells,
  cellsLeftByContent,
  countBlank,
  needsSignals,
  type PageSignals,
  type PrunePlan,
  pageSignals,
} from '../../prune/index.js';
import type { EncodedImage, PageImage, VisionLanguageModel } from '../../vlm/index.js';
import { decodePage } from '../artifacts/page-images.js';
import type { PageSource, SourcePage } from '../artifacts/page-source.js';

/** Takes the pages of a document one after the other; memory grows by their visual tokens. */
export class PageEncoder {
  readonly images: EncodedImage[] = [];
  readonly signals: PageSignals[] = [];
  visualTokens = 0;
  /** Of these, cells without ink. */
  blankTokens = 0;
  ms = 0;
  readonly #needsSignals: boolean;
  readonly #findsRepeats: boolean;
  readonly #countsBlank: boolean;

  /** @param options.countsBlank without it pages are only decoded where they must be. @defaultValue true */
  constructor(
    private readonly model: VisionLanguageModel,
    plan: PrunePlan,
    { countsBlank = true }: { countsBlank?: boolean } = {},
  ) {
    this.#countsBlank = countsBlank;
    this.#needsSignals = needsSignals(plan);
    this.#findsRepeats = plan.encoder?.repeats === 'drop';
  }

  async add(page: SourcePage, source: Pick<PageSource, 'visualTokens'>): Promise<void> {
    const start = performance.now();
    let decoding: Promise<PageImage> | undefined;
    const decoded = () => (decoding ??= decodePage(page.png));
    if (this.#countsBlank || this.#needsSignals) this.#look(await decoded(), page);
    const encode = async () => this.model.encodeImage(await decoded());
    const encoded = source.visualTokens ? await source.visualTokens(page, encode) : await encode();
    this.images.push(encoded);
    this.visualTokens += encoded.tokenGrid.rows * encoded.tokenGrid.cols;
    this.ms += performance.now() - start;
  }

  #look(image: PageImage, { lines }: SourcePage): void {
    const grid = this.model.visualTokenGrid(image);
    if (!this.#needsSignals) {
      this.blankTokens += countBlank({ blank: blankCells(image, grid) });
      return;
    }
    const signals = pageSignals(image, grid, lines, { hashes: this.#findsRepeats });
    this.signals.push(signals);
    this.blankTokens += countBlank(signals);
  }

  /** Cells that repeat an earlier page; null where the plan does not ask. */
  get repeatedTokens(): number | null {
    if (!this.#findsRepeats) return null;
    const content = this.signals.map((signals) => ({ grid: signals.grid, signals }));
    const left = cellsLeftByContent(content, {
      encoder: { method: 'norm', keepRatio: 1, repeats: 'drop' },
      decoder: [],
    });
    return this.visualTokens - left.reduce((sum, kept) => sum + kept.length, 0);
  }
}
