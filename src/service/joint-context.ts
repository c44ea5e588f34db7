/** The context of several documents, made of what is stored of each. */

import { GlyphpressError } from '../errors.js';
import { ensureEncodedPage } from '../pipeline/artifacts/encoded-pages.js';
import type { PageSource } from '../pipeline/artifacts/page-source.js';
import { SIDECAR_FILE } from '../pipeline/artifacts/stored-context.js';
import type { LocalBackend } from '../pipeline/backends/local.js';
import type { LocalDocument } from '../pipeline/backends/local-document.js';
import type { CitedDocument } from '../pipeline/citing/cite-documents.js';
import { mergeReports } from '../pipeline/parts/merge-reports.js';
import type { CompressionReport, ReportSoFar } from '../pipeline/report.js';
import { planId, predictEncodedTokens } from '../prune/index.js';
import type { ModelInfo } from '../vlm/index.js';
import { contextFile, pageImage, pageIndex } from './document-pages.js';
import { storedText, tokensFolder, type Work } from './work.js';

/**
 * Before any work is done: whether these documents can stand in one context.
 *
 * @throws {GlyphpressError} GP_DOCUMENT_STATE for different plans, GP_CONTEXT_LENGTH for too many pages
 */
export function assertJoinable(works: readonly Work[], { maxPositions }: ModelInfo): void {
  const plans = new Set(works.map(({ reading }) => planId(reading.plan)));
  if (plans.size > 1) {
    throw new GlyphpressError('GP_DOCUMENT_STATE', {
      message: `The documents were compressed with ${plans.size} different prune plans`,
      hint: 'Hand them in with the same keep or plan to ask them together, or ask each of them.',
      details: { param: 'document_ids', plans: [...plans] },
    });
  }
  const rows = works.reduce((sum, { record, reading }) => {
    const report = JSON.parse(record.report!) as ReportSoFar;
    const { visualTokens, sidecarTokens } = report;
    // Before it is built, what its plan drops by what pages show is not known.
    const encoded = report.encodedTokens ?? predictEncodedTokens(visualTokens ?? 0, reading.plan);
    return sum + encoded + (sidecarTokens ?? 0);
  }, 0);
  if (rows <= maxPositions) return;
  throw new GlyphpressError('GP_CONTEXT_LENGTH', {
    message: `The documents take ${rows} tokens together; this model holds ${maxPositions}`,
    hint: 'Ask fewer of them at once, or prune more right after the encoder.',
    details: { param: 'document_ids', tokens: rows, limit: maxPositions },
  });
}

export async function openJoint(
  backend: LocalBackend,
  works: readonly Work[],
): Promise<LocalDocument> {
  const parts = await Promise.all(
    works.map(async (work) => ({
      pages: storedPages(backend, work),
      sidecar: (await contextFile(work, SIDECAR_FILE))?.toString('utf8') ?? '',
      cited: citedDocument(work),
    })),
  );
  const reports = works.map(({ record }) => JSON.parse(record.report!) as CompressionReport);
  return backend.openJoint(parts, works[0]!.reading.plan, (layerTokens) =>
    mergeReports(reports, reports[0]!.documentId, layerTokens),
  );
}

/** Where an answer can be looked up. */
export function citedDocument(work: Work): CitedDocument {
  return {
    text: async () => (await storedText(work)) ?? '',
    pages: async () => (await pageIndex(work)).pages,
  };
}

/** Visual tokens that are no longer stored are made again from the page. */
function storedPages(
  { model }: LocalBackend,
  work: Work,
): Pick<PageSource, 'pages' | 'visualTokens'> {
  const tokens = tokensFolder(work);
  return {
    async *pages() {
      const { pages } = await pageIndex(work);
      for (const [index, { widthPx, heightPx, lines }] of pages.entries())
        yield { index, png: (await pageImage(work, index))!, widthPx, heightPx, lines };
    },
    visualTokens: async (page) => (await ensureEncodedPage(model, tokens, page)).image,
  };
}
