/** A document's record as clients see it. */

import type { ReportSoFar } from '../pipeline/report.js';
import { type DocumentRecord, isTerminal } from '../queue/document-record.js';
import { parseSettings } from '../service/document-settings.js';

export const seconds = (ms: number) => Math.floor(ms / 1000);
const orNull = (ms: number | null) => (ms === null ? null : seconds(ms));

export function documentView(record: DocumentRecord) {
  const { model, ...settings } = parseSettings(record.settings);
  const { pages, share } = record;
  return {
    id: record.id,
    object: 'document' as const,
    status: record.state,
    stage: isTerminal(record.state) ? null : record.stage,
    progress: { pages_done: pagesDone(record), pages, share: isTerminal(record.state) ? 1 : share },
    context: contextOf(record),
    parts: partsOf(record),
    filename: record.filename,
    media_type: record.mediaType,
    bytes: record.bytes,
    characters: record.characters,
    storage: storageOf(record),
    compression: compressionOf(record),
    model,
    settings,
    priority: record.priority,
    error: record.failure,
    created_at: seconds(record.createdAt),
    started_at: orNull(record.startedAt),
    finished_at: orNull(record.finishedAt),
    expires_at: orNull(record.expiresAt),
  };
}

/** What questions read that need the pages; null before the document is completed. */
function contextOf({ state, context, contextFailure, stage, share }: DocumentRecord) {
  if (state !== 'completed') return null;
  const isBuilding = context === 'building';
  return {
    status: ({ none: 'not_built', building: 'building', built: 'built' } as const)[
      context ?? 'built'
    ],
    progress: isBuilding ? { stage, share } : null,
    error: contextFailure,
  };
}

function partsOf({ parts }: DocumentRecord) {
  if (parts === null) return null;
  return parts.map(({ start, end, pagesBefore, pages }) => ({
    start,
    end,
    first_page: pagesBefore + 1,
    pages,
  }));
}

/** What it takes in the store, and how often its text would go into that. */
function storageOf({ storedBytes, peakBytes, textBytes }: DocumentRecord) {
  if (storedBytes === null || peakBytes === null || textBytes === null) return null;
  const times = (bytes: number) => Math.round((bytes / Math.max(1, textBytes)) * 10) / 10;
  return {
    bytes: storedBytes,
    text_bytes: textBytes,
    amplification: times(storedBytes),
    peak_amplification: times(peakBytes),
  };
}

/** Of a document whose pages are there. */
type DrawnReport = ReportSoFar & { visualTokens: number; renderRatio: number };

/**
 * The figures of its report that a list of documents shows; null before there is one, and where it lacks
 * some, as those of other versions may.
 */
function compressionOf({ report }: DocumentRecord) {
  if (!report) return null;
  const figures = JSON.parse(report) as DrawnReport;
  const shown = {
    text_tokens: figures.textTokens,
    tokenizer: figures.tokenizer,
    visual_tokens: figures.visualTokens,
    encoded_tokens: figures.encodedTokens,
    context_tokens: figures.contextTokens,
    final_tokens: figures.finalTokens,
    sidecar_tokens: figures.sidecarTokens,
    render_ratio: figures.renderRatio,
    prune_ratio: figures.pruneRatio,
    stacked_ratio: figures.stackedRatio,
    kv_bytes: figures.kvBytes,
    text_kv_bytes: figures.textKvBytes,
  };
  return Object.values<unknown>(shown).includes(undefined) ? null : shown;
}

/** Of the stage that is under way: drawn while they are rendered, then encoded; all of them from then on. */
function pagesDone({ state, stage, pagesDone, pages }: DocumentRecord): number {
  const isEncoded = state === 'completed' || stage === 'prefill';
  return isEncoded ? (pages ?? pagesDone) : pagesDone;
}

/** A file and its document are one thing with two names. */
export const fileIdOf = (documentId: string) => documentId.replace(/^doc_/, 'file-');

/** Takes both names; what is neither names no document. */
export const documentIdOf = (id: string) => id.replace(/^file-/, 'doc_');

export function fileView(record: DocumentRecord) {
  const { failure } = record;
  return {
    id: fileIdOf(record.id),
    object: 'file' as const,
    bytes: record.bytes,
    created_at: seconds(record.createdAt),
    ...(record.expiresAt !== null && { expires_at: seconds(record.expiresAt) }),
    filename: record.filename ?? 'document.txt',
    purpose: record.purpose ?? 'user_data',
    status: FILE_STATUS[record.state],
    ...(failure && { status_details: `${failure.code}: ${failure.message}` }),
  };
}

const FILE_STATUS = {
  queued: 'uploaded',
  in_progress: 'uploaded',
  completed: 'processed',
  failed: 'error',
  cancelled: 'error',
} as const;
