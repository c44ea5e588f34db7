/** Pages, span map and text of a document, as far as they are there. */

import { GlyphpressError } from '../errors.js';
import { CELLS_FILE, type DocumentCells, parseCells } from '../pipeline/artifacts/page-cells.js';
import { type PageIndex, pageFileName } from '../pipeline/artifacts/page-folder.js';
import { CONTEXT_FORM } from '../pipeline/artifacts/stored-context.js';
import { PAGES_FORM, readPageIndex } from '../pipeline/artifacts/stored-pages.js';
import type { TextRange } from '../pipeline/parts/split-document.js';
import {
  type ArtifactForm,
  artifactAt,
  isArtifactProblem,
  type Manifest,
  readArtifactFile,
  readManifest,
} from '../store/artifact-folder.js';
import type { AnyPlace } from '../store/place.js';
import { piecesOf } from './pieces.js';
import { contextFolder, pagePlace, type Work } from './work.js';

/** The finished context holds the pages; before it there are the drawn ones. */
async function artifactOf(work: Work) {
  const candidates: [AnyPlace, ArtifactForm][] = [
    [contextFolder(work), CONTEXT_FORM],
    [pagePlace(work).folder, PAGES_FORM],
  ];
  for (const [folder, form] of candidates) {
    const manifest = await manifestOrNull(folder, form);
    if (manifest) return { folder, manifest };
  }
  return null;
}

/** One that is damaged is as good as none. */
async function manifestOrNull(
  place: AnyPlace,
  form: ArtifactForm,
): Promise<Manifest<unknown> | null> {
  return readManifest(place, form).catch((error) => {
    if (isArtifactProblem(error)) return null;
    throw error;
  });
}

/** @returns null for a page that is not there, or not yet */
export async function pageImage(whole: Work, at: number): Promise<Buffer | null> {
  const work = piecesOf(whole).findLast(({ part }) => at >= (part?.pagesBefore ?? 0))!;
  const index = at - (work.part?.pagesBefore ?? 0);
  const file = pageFileName(index);
  const artifact = await artifactOf(work);
  if (artifact) {
    if (!Object.hasOwn(artifact.manifest.files, file)) return null;
    return readArtifactFile(artifact.folder, artifact.manifest, file);
  }
  return artifactAt(pagePlace(work).folder).unfinished().read(file);
}

/** A file of the finished context; null where it has none of this name, or there is no context. */
export async function contextFile(work: Work, file: string): Promise<Buffer | null> {
  const folder = contextFolder(work);
  const manifest = await manifestOrNull(folder, CONTEXT_FORM);
  if (!manifest || !Object.hasOwn(manifest.files, file)) return null;
  return readArtifactFile(folder, manifest, file);
}

/**
 * Pages and offsets of the whole document.
 *
 * @throws {GlyphpressError} GP_DOCUMENT_PENDING before all pages are drawn
 */
export async function pageIndex(work: Work): Promise<Pick<PageIndex, 'characters' | 'pages'>> {
  const pieces = await Promise.all(piecesOf(work).map(indexOfPiece));
  const characters = pieces.reduce((sum, index) => sum + index.characters, 0);
  return { characters, pages: pieces.flatMap(({ pages }) => pages) };
}

async function indexOfPiece(piece: Work): Promise<Pick<PageIndex, 'characters' | 'pages'>> {
  const artifact = await artifactOf(piece);
  if (!artifact) throw notThere(piece, 'pages');
  const index = await readPageIndex(artifact.folder, artifact.manifest);
  const before = piece.part?.start ?? 0;
  const moved = <Range extends TextRange>(range: Range) => ({
    ...range,
    start: range.start + before,
    end: range.end + before,
  });
  const pages = index.pages.map((page) => ({ ...moved(page), lines: page.lines.map(moved) }));
  return { characters: index.characters, pages };
}

/**
 * Which cells of its pages are left after each stage of pruning.
 *
 * @throws {GlyphpressError} GP_DOCUMENT_PENDING before it is compressed; GP_DOCUMENT_STATE for one that was
 *   compressed before this was written down
 */
export async function documentCells(work: Work): Promise<DocumentCells> {
  const pieces = await Promise.all(piecesOf(work).map(cellsOfPiece));
  return { ...pieces[0]!, pages: pieces.flatMap(({ pages }) => pages) };
}

async function cellsOfPiece(work: Work): Promise<DocumentCells> {
  const folder = contextFolder(work);
  const manifest = await manifestOrNull(folder, CONTEXT_FORM);
  if (!manifest) throw notThere(work, 'map of kept cells');
  if (!Object.hasOwn(manifest.files, CELLS_FILE)) {
    throw new GlyphpressError('GP_DOCUMENT_STATE', {
      message: 'This document was compressed before kept cells were written down',
      hint: 'Delete it and submit it again.',
      details: { state: work.record.state },
    });
  }
  return parseCells(await readArtifactFile(folder, manifest, CELLS_FILE));
}

/** Pending where it will come, a state that does not allow it where it never will, damage where it was. */
export function notThere({ record }: Work, what: string): GlyphpressError {
  if (record.context === 'none' || record.context === 'building') {
    const isBuilding = record.context === 'building';
    return new GlyphpressError(isBuilding ? 'GP_DOCUMENT_PENDING' : 'GP_DOCUMENT_STATE', {
      message: `The document has no ${what}: its context is ${isBuilding ? 'being built' : 'built when a question reads its pages'}`,
      hint: isBuilding
        ? 'Ask again when context.status is built.'
        : 'Ask it with expand: "off", or hand it in with contexts: "at-once".',
      details: { state: record.state, context: record.context },
    });
  }
  if (record.state === 'completed') {
    return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
      message: `The ${what} of this document cannot be read from the store any more`,
      hint: 'Submit the same document again: what is damaged is made anew, for this one too.',
    });
  }
  const over = ['failed', 'cancelled'].includes(record.state);
  return new GlyphpressError(over ? 'GP_DOCUMENT_STATE' : 'GP_DOCUMENT_PENDING', {
    message: `The document has no ${what}${over ? `: it is ${record.state}` : ' yet'}`,
    hint: over ? 'Submit it again.' : 'Follow its events, or ask again.',
    details: { state: record.state, stage: record.stage },
  });
}
