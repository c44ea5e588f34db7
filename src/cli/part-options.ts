/** Long documents and pieces of documents on the command line. */

import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { cacheFolder } from '../cache-folder.js';
import { GlyphpressError } from '../errors.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import type { PartsAnswer } from '../pipeline/parts/ask-parts.js';
import type { PartAnswer } from '../pipeline/parts/merge-answers.js';
import { partCapacity } from '../pipeline/parts/part-capacity.js';
import { partsOfDocument } from '../pipeline/parts/parts-of-document.js';
import {
  type DocumentPart,
  documentOfPart,
  type PageRange,
  type PartsPlan,
} from '../pipeline/parts/plan-parts.js';
import type { CellsOf } from '../pipeline/predict-tokens.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { ResolvedReading } from '../pipeline/settings.js';
import type { PrunePlan } from '../prune/index.js';
import type { RenderConfig } from '../render/index.js';
import type { VisionLanguageModel } from '../vlm/index.js';
import { wholeNumber } from './options.js';

export interface PieceFlags {
  pages?: { first: number; last: number };
  from?: number;
  to?: number;
}

export interface PartFlags extends PieceFlags {
  parts: number | 'all';
  partTokens?: number;
}

export function withPieceOptions(command: Command): Command {
  return command
    .option('--pages <a-b>', 'only these pages: of the file for a PDF, else as drawn', pageRange)
    .option('--from <page>', 'only from this page on, as drawn', wholeNumber(1, 1e9))
    .option('--to <page>', 'only up to this page, as drawn', wholeNumber(1, 1e9));
}

export function withPartOptions(command: Command): Command {
  return withPieceOptions(command)
    .option(
      '--parts <all|n>',
      'of a document larger than a context: ask all its parts, or the n that speak most of the question',
      partCount,
      'all',
    )
    .option(
      '--part-tokens <n>',
      'maximum visual tokens per part (default: what the model holds)',
      wholeNumber(1, 1e9),
    );
}

export const PARTS_HELP = `
A document larger than the model's context is split at files, headings, paragraphs or pages, into parts with a
stored context each. A question goes to all of them, or to the --parts n that hold most of its words (BM25);
the surest answer that was found is given, with where it stands in the whole. --pages and --from/--to read a
piece; --part-tokens makes smaller parts, so that --parts 1 searches first and then reads.`;

/** What reads the document: the context of a model that runs here, or a server, whose context length is unknown. */
export interface Reader {
  renderConfig: RenderConfig;
  cellsOf: CellsOf;
  cellsId: string;
  context: { maxPositions: number; plan: PrunePlan; sidecar: number } | null;
}

/** The model that runs here, under these settings. */
export function localReader(
  model: VisionLanguageModel,
  { renderConfig, plan, sidecar }: ResolvedReading,
): Reader {
  const { maxPositions, checkpointHash } = model.info;
  return {
    renderConfig,
    cellsOf: (page) => model.visualTokenGrid(page),
    cellsId: checkpointHash,
    context: { maxPositions, plan, sidecar },
  };
}

/** @returns null for the whole document at once */
export async function partsOf(
  document: SourceDocument,
  flags: Omit<PartFlags, 'parts'>,
  { renderConfig, cellsOf, cellsId, context }: Reader,
  signal: AbortSignal,
): Promise<PartsPlan | null> {
  const held = context
    ? partCapacity(context.maxPositions, context.plan, context.sidecar)
    : Number.POSITIVE_INFINITY;
  const plan = await partsOfDocument(document, {
    renderConfig,
    cellsOf,
    cellsId,
    capacity: Math.min(held, flags.partTokens ?? Number.POSITIVE_INFINITY),
    piece: pieceOf(document, flags),
    folder: path.join(cacheFolder(), 'parts'),
    chromium: chromiumOptions,
    signal,
  });
  if (plan && plan.parts.length > 1) {
    const { parts, visualTokens, capacity } = plan;
    process.stderr.write(
      `${parts.length} parts: ${whole(visualTokens)} visual tokens, of which one part may take ${whole(capacity)}\n`,
    );
  }
  return plan;
}

/** The piece as a document of its own, for commands that read one context. */
export function pieceDocument(document: SourceDocument, plan: PartsPlan | null): SourceDocument {
  if (!plan) return document;
  const [only] = plan.parts;
  if (plan.parts.length === 1) return documentOfPart(document, only!);
  throw new GlyphpressError('GP_CONTEXT_LENGTH', {
    message: `The document takes ${plan.visualTokens} visual tokens; a context of this model takes ${plan.capacity} beside question and answer`,
    hint: 'Ask it as it is: glyphpress ask FILE "…" splits it. Or take a piece (--pages 1-20), render more densely, or prune right after the encoder.',
    details: { visualTokens: plan.visualTokens, limit: plan.capacity, parts: plan.parts.length },
  });
}

/** For `--json`: the parts in the order of the document, with what each answered. */
export function partsJson<Answer extends PartAnswer>(
  plan: PartsPlan,
  { ranked }: PartsAnswer<Answer>,
) {
  return plan.parts.map((part, index) => {
    const asked = ranked.find((answer) => answer.part === part);
    const { start, end, pagesBefore, pages, visualTokens } = part;
    const reply = asked && {
      answer: asked.reply.answer,
      found: asked.reply.found,
      confidence: asked.reply.confidence,
      lexicalScore: asked.lexicalScore,
    };
    return {
      part: index + 1,
      start,
      end,
      firstPage: pagesBefore + 1,
      pages,
      visualTokens,
      asked: asked !== undefined,
      ...reply,
    };
  });
}

/** Which part the answer is from, for people. */
export function partNote(plan: PartsPlan, part: DocumentPart): string {
  const { pagesBefore, pages } = part;
  return `part ${plan.parts.indexOf(part) + 1} of ${plan.parts.length} (drawn pages ${pagesBefore + 1}–${pagesBefore + pages})`;
}

function pieceOf({ files = [] }: SourceDocument, flags: PieceFlags): PageRange | null {
  const { pages, from, to } = flags;
  if (pages && (from !== undefined || to !== undefined)) {
    throw new GlyphpressError('GP_USAGE', {
      message: '--pages and --from/--to both say which piece is read',
      hint: 'Give one of them.',
    });
  }
  if (pages) {
    const isPdf = files.length === 1 && files[0]!.pageStarts !== undefined;
    return { ...pages, of: isPdf ? 'file' : 'drawing' };
  }
  if (from === undefined && to === undefined) return null;
  const [first, last] = [from ?? 1, to ?? Number.MAX_SAFE_INTEGER];
  if (first > last) {
    throw new GlyphpressError('GP_USAGE', {
      message: `--from ${first} lies behind --to ${last}`,
      hint: 'Give the first page, then the last one.',
    });
  }
  return { first, last, of: 'drawing' };
}

function pageRange(text: string): { first: number; last: number } {
  const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text.trim());
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (!match || first < 1 || last < first)
    throw new InvalidArgumentError('Expected a page or a range of pages, for example 3-10.');
  return { first, last };
}

function partCount(text: string): number | 'all' {
  if (text === 'all') return 'all';
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected all, or how many parts.');
  return value;
}

const whole = (n: number) => n.toLocaleString('en-US');
