/** A question on its way to its answer, whichever route it came in by. */

import { GlyphpressError } from '../errors.js';
import { countExpanded } from '../pipeline/expanding/count-expanded.js';
import { type ExpansionChoice, expansionFor } from '../pipeline/expanding/expansion-choice.js';
import { type DocumentRecord, isTerminal } from '../queue/document-record.js';
import type { ContentStore } from '../service/content-store.js';
import type { DocumentService } from '../service/documents.js';
import { type Evidence, evidenceOf } from '../service/evidence.js';
import type { ModelRegistry } from '../service/models.js';
import type { PassagesEngine } from '../service/passages-engine.js';
import type { EngineAnswer, QuestionEngine } from '../service/question-engine.js';
import { openWork, type Work } from '../service/work.js';
import type { GenerateOptions } from '../vlm/index.js';
import {
  type AskedDocument,
  documentsOf,
  generateOptionsOf,
  type QuestionRequest,
  questionOf,
} from './chat-request.js';
import type { InlineFiles } from './inline-files.js';
import type { ServiceLimits } from './limits.js';
import type { Metrics } from './metrics.js';
import { submissionOf } from './submission.js';

/** What it takes to answer a question. */
export interface AskingParts {
  store: ContentStore;
  models: ModelRegistry;
  documents: DocumentService;
  engine: QuestionEngine;
  passages: PassagesEngine;
  metrics: Metrics;
  limits: ServiceLimits;
}

export interface Question {
  tenant: string;
  model: string;
  /** As they were when the question came; perhaps still being compressed. */
  documents: Work[];
  text: string;
  generate: Omit<GenerateOptions, 'signal'>;
  /** Until when its documents are waited for, in milliseconds since 1970. */
  waitUntil: number;
  citations: boolean;
  expand: ExpansionChoice | undefined;
  /** How many of the likeliest parts are asked, where a document is read in parts. */
  parts: number | 'all';
}

/** @throws {GlyphpressError} for whatever is wrong with the request or its documents */
export async function readQuestion(
  parts: AskingParts,
  tenant: string,
  request: QuestionRequest,
  files: InlineFiles,
): Promise<Question> {
  const { models, limits } = parts;
  const { model, glyphpress } = request;
  const info = models.info(model);
  const text = questionOf(request, limits.questionCharacters);
  const documents: Work[] = [];
  for (const asked of documentsOf(request, files, limits.questionDocuments))
    documents.push(openWork(await documentFor(parts, tenant, model, asked), parts));
  for (const document of documents) assertModel(document, model);
  const wanted = glyphpress?.wait_seconds;
  const waitMs = Math.min(wanted === undefined ? limits.waitMs : wanted * 1000, limits.waitMs);
  return {
    tenant,
    model,
    documents,
    text,
    generate: generateOptionsOf(request, limits.answerTokens),
    waitUntil: Date.now() + waitMs,
    citations: glyphpress?.citations === true,
    expand: expansionFor(
      { expand: glyphpress?.expand, expandBudget: glyphpress?.expand_budget },
      info,
    ),
    parts: glyphpress?.parts ?? 'all',
  };
}

/** What comes inside a question is kept for a while: the next question finds it compressed. */
async function documentFor(
  parts: AskingParts,
  tenant: string,
  model: string,
  asked: AskedDocument,
): Promise<DocumentRecord> {
  const { documents, store, limits } = parts;
  if (asked.kind === 'stored') return documents.get({ tenant, id: asked.id });
  const { upload, mediaType: stated } = asked.file;
  try {
    const fields = { model, ...(asked.filename !== null && { filename: asked.filename }) };
    const submission = submissionOf(parts, tenant, upload, fields, stated);
    const { settings, mediaType } = submission;
    const equal = await documents.findEqual(tenant, upload.hash, settings, mediaType);
    if (equal) return equal;
    const { inlineKeepMs: expiresInMs } = limits;
    return await documents.submit({ ...submission, origin: 'inline', expiresInMs });
  } finally {
    await store.discard(upload);
  }
}

function assertModel({ record, reading }: Work, wanted: string): void {
  const { model } = reading.asked;
  if (model === wanted) return;
  throw new GlyphpressError('GP_REQUEST', {
    message: `The document ${record.id} was compressed for the model ${model}, not for ${wanted}`,
    hint: 'Ask that model, or hand the document in again for this one.',
    details: { param: 'model', model },
  });
}

/** The documents of a question once all of them are compressed. */
export async function untilReady(
  { documents }: AskingParts,
  question: Question,
  signal: AbortSignal,
): Promise<Work[]> {
  const ready: Work[] = [];
  for (const work of question.documents) {
    const record = await documents.untilFinished(
      work.record,
      question.waitUntil - Date.now(),
      signal,
    );
    signal.throwIfAborted();
    if (record.state !== 'completed') throw notReady(record);
    ready.push({ ...work, record });
  }
  return ready;
}

function notReady({ id, failure, state, stage }: DocumentRecord): GlyphpressError {
  if (!isTerminal(state)) {
    return new GlyphpressError('GP_DOCUMENT_PENDING', {
      message: `The document ${id} is still being compressed (${stage})`,
      hint: 'Ask again in a few seconds.',
      details: { document: id, state, stage },
    });
  }
  return new GlyphpressError('GP_DOCUMENT_STATE', {
    message: failure
      ? `The document ${id} could not be compressed: ${failure.code}: ${failure.message}`
      : `The document ${id} is ${state}`,
    hint: failure?.hint ?? 'Submit it again.',
    details: { document: id, state, param: 'messages' },
  });
}

export function evidenceFor(
  { citations }: Question,
  documents: readonly Work[],
  answer: EngineAnswer,
): Evidence {
  return evidenceOf(
    answer,
    documents.map(({ record }) => record.id),
    citations,
  );
}

/** What the answer cost, what the documents cost now, and what their text would have cost. */
export function costOf(documents: readonly Work[], answer: EngineAnswer) {
  const { usage, timings, expansion } = answer;
  const expandedTokens = expansion?.tokens ?? 0;
  const report = expansion ? countExpanded(answer.report, expansion) : answer.report;
  const ids = documents.map(({ record }) => record.id);
  return {
    document_id: ids[0]!,
    document_ids: ids,
    pages: report.pages,
    text_tokens: report.textTokens,
    tokenizer: report.tokenizer,
    // The prompt with the text itself in the place of its pages.
    text_prompt_tokens:
      report.textTokens + usage.promptTokens - answer.contextTokens - expandedTokens,
    visual_tokens: report.visualTokens,
    encoded_tokens: report.encodedTokens,
    sidecar_tokens: report.sidecarTokens,
    expanded_tokens: expandedTokens,
    context_tokens: report.contextTokens,
    final_tokens: report.finalTokens,
    render_ratio: report.renderRatio,
    prune_ratio: report.pruneRatio,
    stacked_ratio: report.stackedRatio,
    wait_ms: Math.round(answer.waitMs),
    load_ms: Math.round(answer.loadMs),
    first_token_ms: Math.round(timings.firstTokenMs),
    total_ms: Math.round(timings.totalMs),
  };
}
