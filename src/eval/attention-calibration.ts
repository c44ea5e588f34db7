/**
 * Finds the heads that look where an answer stands: look-ups with known places, and for each head how high
 * the line with the answer comes among all.
 */

import { LocalBackend, type LocalBackendOptions } from '../pipeline/backends/local.js';
import { attendedPages, attendedPlaces } from '../pipeline/expanding/attended-places.js';
import { ExpansionSource } from '../pipeline/expanding/expansion-source.js';
import { decodeDocument } from '../pipeline/read-document.js';
import type { RenderConfig } from '../render/index.js';
import type {
  AttendedCells,
  AttentionHead,
  AttentionHeads,
  PageGrid,
  VisionLanguageModel,
} from '../vlm/index.js';
import type { EvalDocument } from './task.js';

/** So many heads are asked together, at most: each costs a pass over the keys of its layer. */
const MAX_HEADS = 8;

/** One question with what every head attends to. */
interface Probed {
  source: ExpansionSource;
  grids: PageGrid[];
  attended: AttendedCells[];
  /** Range of the answer in the text. */
  start: number;
  end: number;
}

export interface AttentionHooks extends Pick<LocalBackendOptions, 'chromium' | 'browsers'> {
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** @returns the best heads together; null where no question says where its answer stands */
export async function findAttentionHeads(
  model: VisionLanguageModel,
  documents: readonly EvalDocument[],
  config: RenderConfig,
  { signal, onProgress, ...options }: AttentionHooks = {},
): Promise<AttentionHeads | null> {
  const heads = everyHead(model.info);
  const probed: Probed[] = [];
  for (const [n, document] of documents.entries()) {
    probed.push(...(await probe(model, document, config, heads, options, signal)));
    onProgress?.(n + 1, documents.length);
  }
  if (probed.length === 0) return null;
  const ranked = heads
    .map((head, n) => ({ n, head, rank: meanReciprocalRank(probed, [n]) }))
    .sort((a, b) => b.rank - a.rank)
    .slice(0, MAX_HEADS);
  const together = ranked.map((_, count) => {
    const chosen = ranked.slice(0, count + 1);
    const rank = meanReciprocalRank(
      probed,
      chosen.map(({ n }) => n),
    );
    return { heads: chosen.map(({ head }) => head), rank };
  });
  const best = together.reduce((one, other) => (other.rank > one.rank ? other : one));
  return { heads: best.heads, questions: probed.length, meanReciprocalRank: best.rank };
}

function everyHead({ layers, heads }: { layers: number; heads: number }): AttentionHead[] {
  return Array.from({ length: layers }, (_, layer) =>
    Array.from({ length: heads }, (_, head) => [
      { layer, head, from: 'all' as const },
      { layer, head, from: 'last' as const },
    ]),
  ).flat(2);
}

async function probe(
  model: VisionLanguageModel,
  document: EvalDocument,
  config: RenderConfig,
  heads: readonly AttentionHead[],
  options: Pick<LocalBackendOptions, 'chromium' | 'browsers'>,
  signal: AbortSignal | undefined,
): Promise<Probed[]> {
  const backend = new LocalBackend(model, options);
  const text = decodeDocument(Buffer.from(document.text), document.id);
  const opened = await backend.open(text, { renderConfig: config }, { signal });
  try {
    const source = await ExpansionSource.of(opened.sources);
    const pages = (await opened.sources[0]!.pages(true)) ?? [];
    const grids = pages.map((page) => model.visualTokenGrid(page));
    const probed: Probed[] = [];
    for (const { question, expected } of document.questions) {
      signal?.throwIfAborted();
      const start = expected[0] === undefined ? -1 : source.text.indexOf(expected[0]);
      if (start < 0) continue;
      const attended = await model.attend(opened.context, question, heads);
      const end = start + expected[0]!.length;
      if (attended) probed.push({ source, grids, attended, start, end });
    }
    return probed;
  } finally {
    await opened.close();
  }
}

/** @param chosen indices of heads, which count alike */
function meanReciprocalRank(probed: readonly Probed[], chosen: readonly number[]): number {
  const sum = probed.reduce((total, { source, grids, attended, start, end }) => {
    const heads = chosen.map((n) => attended[n]!);
    const places = attendedPlaces(source, attendedPages(heads, grids));
    const own = places.find((place) => place.start < end && place.end > start);
    if (!own) return total;
    return total + 1 / (1 + places.filter(({ score }) => score > own.score).length);
  }, 0);
  return sum / probed.length;
}
