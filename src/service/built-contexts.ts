/** Contexts of completed documents that are there when a question needs them: built once, for all that wait. */

import { GlyphpressError } from '../errors.js';
import { CONTEXT_FORM } from '../pipeline/artifacts/stored-context.js';
import type { DocumentRecord } from '../queue/document-record.js';
import { isArtifactProblem, readManifest } from '../store/artifact-folder.js';
import type { DocumentService } from './documents.js';
import { piecesOf } from './pieces.js';
import { contextFolder, type Work } from './work.js';

export interface Waiting {
  /** Until when, in milliseconds since 1970. */
  until: number;
  signal: AbortSignal;
  /** Called where something is to be built, or is being built. */
  onBuild(): void;
}

/**
 * Those of documents whose pages nobody has read yet, and those that the store has lost.
 *
 * @returns the documents as they are then; the same where nothing was to be built
 * @throws {GlyphpressError} GP_DOCUMENT_PENDING when the time is over, GP_DOCUMENT_STATE where a context
 *   could not be built, GP_DOCUMENT_UNKNOWN for a document that was deleted meanwhile
 * @throws the signal's reason
 */
export async function withContexts(
  documents: DocumentService,
  works: readonly Work[],
  waiting: Waiting,
): Promise<readonly Work[]> {
  const missing = await Promise.all(works.map((work) => lacksContext(work)));
  if (!missing.includes(true)) return works;
  waiting.onBuild();
  // All of them are under way before the first is waited for.
  for (const [n, work] of works.entries()) if (missing[n]) await documents.build(work.record);
  const built: Work[] = [];
  for (const [n, work] of works.entries()) {
    if (!missing[n]) {
      built.push(work);
      continue;
    }
    const left = waiting.until - Date.now();
    const record = await documents.untilAtRest(work.record, left, waiting.signal);
    waiting.signal.throwIfAborted();
    const own = { ...work, record };
    if (record.context === 'building') throw stillBuilding(record);
    if (record.context === 'none') throw notBuilt(record);
    built.push(own);
  }
  return built;
}

/** Whether any of its bytes are damaged is seen when it is read. */
async function lacksContext(work: Work): Promise<boolean> {
  const there = await Promise.all(
    piecesOf(work).map((piece) =>
      readManifest(contextFolder(piece), CONTEXT_FORM).catch((error) => {
        if (isArtifactProblem(error)) return null;
        throw error;
      }),
    ),
  );
  return there.includes(null);
}

function stillBuilding({ id, stage, share }: DocumentRecord): GlyphpressError {
  const done = `${Math.round(100 * share)} %`;
  return new GlyphpressError('GP_DOCUMENT_PENDING', {
    message: `The pages of the document ${id} are read for the first time: its context is still being built (${stage}, ${done})`,
    hint: 'Ask again in a few seconds; GET /v1/documents/ID says in context how far it is.',
    details: { document: id, context: 'building', stage, share },
  });
}

function notBuilt({ id, contextFailure: failure }: DocumentRecord): GlyphpressError {
  return new GlyphpressError('GP_DOCUMENT_STATE', {
    message: failure
      ? `The context of the document ${id} could not be built: ${failure.code}: ${failure.message}`
      : `The building of the context of the document ${id} was cancelled`,
    hint: failure?.hint ?? 'Ask again: it is built anew.',
    details: { document: id, context: 'none', param: 'messages' },
  });
}
