/**
 * How many pages a second does glyphpress draw, in how much memory, and how does Glyph's own
 * renderer (reportlab + poppler) do on the same text with the same config in the same run?
 *
 * Peer: set GLYPH_DIR (a checkout of thu-coai/Glyph) and GLYPH_PYTHON (see peers/README.md);
 * without them only our own lines are printed. Rounds of both alternate, and the ratio is taken
 * round by round.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { DocumentRendering, loadRenderConfig } from '../../src/render/index.js';
import { proseText } from './bench-text.js';
import { emit, median, TreeMemory } from './measure.js';

const ROUNDS = 5;
const CHARACTERS = 215_000; // 27 pages
const LONG_FACTOR = 10;

interface Run {
  pages: number;
  seconds: number;
  /** From the first page on: without the start of the browsers. */
  steadyPagesPerSecond: number;
}

interface PeerRun {
  pages: number;
  pagesPerSecond: number;
  peakMemoryMb: number;
  coresUsed: number;
  commit: string;
}

async function render(text: string, browsers: number): Promise<Run> {
  const start = performance.now();
  const rendering = new DocumentRendering(text, loadRenderConfig('glyph-72'), {
    chromium: chromiumOptions(),
    browsers,
  });
  try {
    let pages = 0;
    let first = 0;
    for await (const _ of rendering.pages()) if (pages++ === 0) first = performance.now();
    const end = performance.now();
    return {
      pages,
      seconds: (end - start) / 1000,
      steadyPagesPerSecond: ((pages - 1) / (end - first)) * 1000,
    };
  } finally {
    await rendering.close();
  }
}

function peer(text: string, processes: number): PeerRun | null {
  const { GLYPH_DIR, GLYPH_PYTHON } = process.env;
  if (!GLYPH_DIR || !GLYPH_PYTHON) return null;
  const folder = mkdtempSync(path.join(os.tmpdir(), 'gp-peer-'));
  try {
    writeFileSync(path.join(folder, 'text.txt'), text);
    const out = execFileSync(
      GLYPH_PYTHON,
      [
        new URL('peers/glyph_render.py', import.meta.url).pathname,
        ...['--glyph-dir', GLYPH_DIR, '--text', path.join(folder, 'text.txt')],
        ...['--config', path.join(GLYPH_DIR, 'config/config_en.json')],
        ...[
          '--font',
          createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf'),
        ],
        ...['--out', path.join(folder, 'out'), '--repeat', '1', '--processes', String(processes)],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
    );
    return JSON.parse(out.trim().split('\n').at(-1)!);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

it('renders glyph-72', async () => {
  const text = proseText(CHARACTERS);
  const long = Array(LONG_FACTOR).fill(text).join('\n');
  await render(text, 2); // warm the disk cache
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    const short = await render(text, 2);
    const steady = await render(long, 2);
    rounds.push({ short, steady, theirs: peer(text, 1), theirsTwice: peer(text, 2) });
  }
  const one = await render(long, 1);
  const memory = new TreeMemory();
  await render(long, 2);
  const peakMb = memory.stop() / 1e6;

  const pagesPerSecond = median(rounds.map(({ short }) => short.pages / short.seconds));
  emit({
    bench: 'render',
    config: 'glyph-72',
    rounds: ROUNDS,
    pages: rounds[0]!.short.pages,
    pagesPerSecondWithStart: pagesPerSecond,
    longPages: rounds[0]!.steady.pages,
    longPagesPerSecond: median(rounds.map(({ steady }) => steady.pages / steady.seconds)),
    steadyPagesPerSecond: median(rounds.map(({ steady }) => steady.steadyPagesPerSecond)),
    oneBrowserSteadyPagesPerSecond: one.steadyPagesPerSecond,
    peakMbNodeAndBrowsers: peakMb,
  });
  // One document in one process, as Glyph's script runs it, and two documents in two processes.
  for (const which of ['theirs', 'theirsTwice'] as const) {
    const peers = rounds.flatMap((round) =>
      round[which] ? [{ ...round, peer: round[which] }] : [],
    );
    if (peers.length === 0) continue;
    const ratio = (ours: (round: (typeof peers)[number]) => number) =>
      median(peers.map((round) => ours(round) / round.peer.pagesPerSecond));
    emit({
      bench: 'render-peer',
      peer: 'thu-coai/Glyph word2png_function.py',
      peerCommit: peers[0]!.peer.commit,
      peerProcesses: which === 'theirs' ? 1 : 2,
      peerPagesPerSecond: median(peers.map(({ peer }) => peer.pagesPerSecond)),
      peerPeakMb: median(peers.map(({ peer }) => peer.peakMemoryMb)),
      peerCoresUsed: median(peers.map(({ peer }) => peer.coresUsed)),
      steadyRatio: ratio(({ steady }) => steady.steadyPagesPerSecond),
      longRatio: ratio(({ steady }) => steady.pages / steady.seconds),
      ratioWithStart: ratio(({ short }) => short.pages / short.seconds),
    });
  }
  expect(rounds[0]!.short.pages).toBeGreaterThan(20);
});
