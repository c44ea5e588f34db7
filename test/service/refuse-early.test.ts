import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { drawPages } from '../../src/pipeline/artifacts/page-source.js';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { countContentDrops } from '../../src/pipeline/parts/content-drops.js';
import { assertDrawnDocumentFits, fitDocument } from '../../src/pipeline/parts/document-fit.js';
import { partCapacity } from '../../src/pipeline/parts/part-capacity.js';
import { predictPageTokens } from '../../src/pipeline/predict-tokens.js';
import type { PrunePlan } from '../../src/prune/index.js';
import type { DocumentRecord } from '../../src/queue/document-record.js';
import { openWork } from '../../src/service/work.js';
import { gridOfPage } from '../../src/vlm/index.js';
import { smallConfig, words } from '../support/rendering.js';
import { serviceForFile, submitText, TINY_NAME } from '../support/service.js';

const { service, finished, withWorkers } = await serviceForFile();

/** The document once workers without a model had it: none of them can have encoded a page. */
async function afterRendering(text: string): Promise<DocumentRecord> {
  const record = await submitText(service, text);
  return withWorkers(() => finished(record), { stages: ['extract', 'render'], maxParts: 1 });
}

const capacity = (record: DocumentRecord) => {
  const { plan } = openWork(record, service).reading;
  return partCapacity(service.models.info(TINY_NAME).maxPositions, plan, 0);
};

describe('a document that cannot fit its model, where none is read in parts', () => {
  it('is refused before a page is drawn, with what it takes and what fits', async () => {
    const text = words(12_000, 3);
    const done = await afterRendering(text);
    expect(done).toMatchObject({ state: 'failed', pagesDone: 0 });
    const { code, stage, message, details } = done.failure!;
    expect({ code, stage }).toEqual({ code: 'GP_CONTEXT_LENGTH', stage: 'render' });
    const { reading, place } = openWork(done, service);
    const { vision } = service.models.info(TINY_NAME);
    const pages = await predictPageTokens(
      text,
      reading.renderConfig,
      (page) => gridOfPage(page, vision!),
      { chromium: chromiumOptions() },
    );
    const takes = pages.reduce((sum, { visualTokens }) => sum + visualTokens, 0);
    expect(takes).toBeGreaterThan(capacity(done));
    expect(details).toMatchObject({ visualTokens: takes, limit: capacity(done) });
    expect(message).toContain(`${takes} visual tokens`);
    expect(message).toContain(`${capacity(done)} fit`);
    expect(existsSync(place.pages(reading.pagesKey))).toBe(false);
    expect(existsSync(`${place.pages(reading.pagesKey)}.work`)).toBe(false);
    // Where the command line would cut it: parts that fit, without gaps.
    const parts = details.parts as { start: number; end: number }[];
    expect(parts.length).toBeGreaterThan(1);
    expect(parts[0]!.start).toBe(0);
    expect(parts.at(-1)!.end).toBe(text.length);
    for (const [n, { start }] of parts.entries()) if (n > 0) expect(start).toBe(parts[n - 1]!.end);
    const { start, end } = parts[0]!;
    const first = { id: 'doc_0', hash: '0', text: text.slice(start, end) };
    const model = service.models.info(TINY_NAME);
    const tools = { chromium: chromiumOptions, signal: new AbortController().signal };
    await expect(fitDocument(first, { ...reading, model }, tools)).resolves.not.toThrow();
  });

  it('is laid out only so far where it is many times too large', async () => {
    const text = words(60_000, 5);
    const done = await afterRendering(text);
    expect(done.failure).toMatchObject({
      code: 'GP_CONTEXT_LENGTH',
      details: { isEstimate: true },
    });
    const { visualTokens, pages } = done.failure!.details as Record<string, number>;
    expect(done.failure!.message).toContain(`about ${visualTokens} visual tokens`);
    const { reading } = openWork(done, service);
    const exact = await predictPageTokens(
      text,
      reading.renderConfig,
      (page) => gridOfPage(page, service.models.info(TINY_NAME).vision!),
      { chromium: chromiumOptions() },
    );
    const takes = exact.reduce((sum, page) => sum + page.visualTokens, 0);
    expect(Math.abs(visualTokens! / takes - 1)).toBeLessThan(0.05);
    expect(Math.abs(pages! / exact.length - 1)).toBeLessThan(0.05);
  });

  it('because of what its pages show is told so by their pixels, without a model', async () => {
    const plan: PrunePlan = { encoder: { method: 'blank' }, decoder: [] };
    const config = smallConfig({ 'margin-x': 40, 'auto-crop-width': false });
    const model = service.models.info(TINY_NAME);
    const source = { id: 'doc_0', hash: '0', text: words(60, 7) };
    const pages = await drawPages({ chromium: chromiumOptions })(source, config, {});
    const counts = await countContentDrops(pages.pages(), plan, model.vision!);
    await pages.close();
    expect(counts.contentDrops).toBeGreaterThan(0);
    expect(counts.contentDrops).toBeLessThan(counts.visualTokens);
    const left = counts.visualTokens - counts.contentDrops;
    const within = (room: number) =>
      assertDrawnDocumentFits(counts, {
        plan,
        sidecar: 0,
        renderConfig: config,
        model: { ...model, maxPositions: Math.ceil((room * 8) / 7) },
      });
    expect(() => within(left + 1)).not.toThrow();
    expect(() => within(left - 1)).toThrow(
      expect.objectContaining({
        code: 'GP_CONTEXT_LENGTH',
        details: expect.objectContaining({ visualTokens: counts.visualTokens, left }),
      }),
    );
  });
});
