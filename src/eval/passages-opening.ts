/** Documents of which a model reads passages alone: no page is drawn for their questions. */

import { GlyphpressError } from '../errors.js';
import type { ReadingSettings } from '../pipeline/backend.js';
import type { LocalBackend } from '../pipeline/backends/local.js';
import { countExpanded } from '../pipeline/expanding/count-expanded.js';
import { PassagesDocument } from '../pipeline/expanding/passages-document.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { AskerOptions, OpenedDocument } from './opened-document.js';

/** A question without passages fails. */
export async function openPassages(
  backend: LocalBackend,
  document: SourceDocument,
  settings: ReadingSettings,
  { expand, maxNewTokens }: AskerOptions,
  signal: AbortSignal | undefined,
): Promise<OpenedDocument> {
  if (!expand) throw new Error('passages are to be read, and nothing says which');
  const { report, cited } = await backend.known(document, settings, { mayLayOut: false });
  const opened = new PassagesDocument(backend.model, [cited]);
  return {
    ask: async (asked) => {
      const options = { maxNewTokens: maxNewTokens ?? asked.maxNewTokens, signal };
      const reply = await opened.ask(asked.question, options, expand);
      if (!reply?.expansion) throw noPassages(asked.question);
      const { answer, finishReason, usage, logProb, evidence, timings, expansion } = reply;
      const { textTokens, contextTokens, passages } = countExpanded(report, expansion);
      return {
        answer,
        finishReason,
        usage,
        logProb,
        evidence,
        totalMs: timings.totalMs,
        report: {
          pages: 0,
          visualTokens: 0,
          textTokens,
          contextTokens,
          ...(passages && { passages }),
        },
      };
    },
    close: () => opened.close(),
  };
}

function noPassages(question: string): GlyphpressError {
  return new GlyphpressError('GP_USAGE', {
    message: `No passage of the text speaks of what was asked: ${question}`,
    hint: 'Ask in words that stand in the text, or have its pages read.',
  });
}
