/** The context of several documents, made of what is stored of each. */

import { GlyphpressError } from '../errors.js';
import { ensureEncodedPage } from '../pipeline/artifacts/encoded-pages.js';
import { type JoinedDocument, joinDocuments } from '../pipeline/backends/join-documents.js';
import { SIDECAR_FILE } from '../pipeline/compress.js';
import type { CompressionReport } from '../pipeline/report.js';
import { planId } from '../prune/index.js';
import type { ModelInfo, PrefilledContext, VisionLanguageModel } from '../vlm/index.js';
import { contextFile, pageImage, pageIndex } from './document-pages.js';
import type { Work } from './steps.js';

/**
 * Before any work is done: whether these documents can stand in one context.
 *
 * @throws {GlyphpressError} GP_DOCUMENT_STATE for different plans, GP_CONTEXT_LENGTH for too many pages
 */
export function assertJoinable(works: readonly Work[], { maxPositions }: ModelInfo): void {
  const plans = new Set(works.map(({ resolved }) => planId(resolved.plan)));
  if (plans.size > 1) {
    throw new GlyphpressError('GP_DOCUMENT_STATE', {
      message: `The documents were compressed with ${plans.size} different prune plans`,
      hint: 'Hand them in with the same keep or plan to ask them together, or ask each of them.',
      details: { param: 'document_ids', plans: [...plans] },
    });
  }
  const rows = works.reduce((sum, { record }) => {
    const { encodedTokens, sidecarTokens } = JSON.parse(record.report!) as CompressionReport;
    return sum + encodedTokens + sidecarTokens;
  }, 0);
  if (rows <= maxPositions) return;
  throw new GlyphpressError('GP_CONTEXT_LENGTH', {
    message: `The documents take ${rows} tokens together; this model holds ${maxPositions}`,
    hint: 'Ask fewer of them at once, or prune more right after the encoder.',
    details: { param: 'document_ids', tokens: rows, limit: maxPositions },
  });
}

export async function jointContext(
  model: VisionLanguageModel,
  works: readonly Work[],
): Promise<PrefilledContext> {
  const [{ resolved }] = works as [Work];
  const documents = await Promise.all(works.map((work) => joined(model, work)));
  return joinDocuments(model, resolved.plan, documents);
}

/** Visual tokens that are no longer stored are made again from the page. */
async function joined(model: VisionLanguageModel, work: Work): Promise<JoinedDocument> {
  const { place, resolved } = work;
  const tokens = place.tokens(resolved.tokensKey);
  return {
    sidecar: (await contextFile(work, SIDECAR_FILE))?.toString('utf8') ?? '',
    pages: (async function* () {
      const { pages } = await pageIndex(work);
      for (const [index, { lines }] of pages.entries()) {
        const png = (await pageImage(work, index))!;
        const { image } = await ensureEncodedPage(model, tokens, { index, png });
        yield { png, image, lines };
      }
    })(),
  };
}
