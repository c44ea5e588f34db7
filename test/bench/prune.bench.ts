/**
 * How long does dropping take? ApET on one page, on a document and on a book, against its authors'
 * PyTorch code on the same numbers and one thread; and what V²Drop's score adds to a prefill.
 *
 * Peer: set APET_DIR (a checkout of MaQianKun0/ApET) and PRUNE_PYTHON (see peers/README.md); without
 * them only our own lines are printed. Rounds alternate and the ratio is taken round by round, by
 * the clock and by CPU time, which other processes on the machine disturb less.
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import os from 'node:os';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import {
  approximationErrors,
  mergeDropped,
  selectByApproximationError,
  selectByVariation,
  type VariationMetric,
} from '../../src/prune/index.js';
import { rowVariation } from '../../src/vlm/blocks.js';
import { openCheckpoint } from '../../src/vlm/checkpoint.js';
import { compile } from '../../src/vlm/compile.js';
import { runStage } from '../../src/vlm/decoder.js';
import { GraphBuilder } from '../../src/vlm/graph-builder.js';
import { LayerCache } from '../../src/vlm/kv-cache.js';
import { textPositions } from '../../src/vlm/positions.js';
import { Session } from '../../src/vlm/runtime.js';
import { emit, median } from './measure.js';

const DIM = 4096;
const SIZES = [630, 5_000, 50_000];
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const KEEP = 0.5;
const START = 0;
const MODEL_DIR = process.env.MODEL_DIR ?? new URL('../../models/reader', import.meta.url).pathname;

interface Time {
  wallMs: number;
  cpuMs: number;
}

/** The authors' code in a process of its own, which waits for commands. */
class Peer {
  readonly #lines: AsyncIterator<string>;
  about: Record<string, unknown> = {};

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    child.stderr.pipe(process.stderr);
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static async start(): Promise<Peer | null> {
    const { APET_DIR, PRUNE_PYTHON } = process.env;
    if (!APET_DIR || !PRUNE_PYTHON) return null;
    const script = new URL('./peers/apet_rank.py', import.meta.url).pathname;
    const peer = new Peer(spawn(PRUNE_PYTHON, [script, '--apet-dir', APET_DIR]));
    peer.about = await peer.#read();
    return peer;
  }

  async ask(command: object): Promise<Time & { kept?: number[] }> {
    this.child.stdin.write(`${JSON.stringify(command)}\n`);
    return (await this.#read()) as unknown as Time & { kept?: number[] };
  }

  stop(): void {
    this.child.stdin.end();
  }

  async #read(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the peer ended; its message is above');
    return JSON.parse(value);
  }
}

/** Integer hashes in [−1, 1), exact in float32, the same as the peer's. */
function matrix(rows: number): Float32Array {
  const data = new Float32Array(rows * DIM);
  for (let i = 0; i < data.length; i++) {
    data[i] = ((Math.imul(i, 2_654_435_761) ^ Math.imul(i >>> 12, 40_503)) >>> 8) / 2 ** 23 - 1;
  }
  return data;
}

function timed<T>(work: () => T): Time & { result: T } {
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  const result = work();
  const wallMs = performance.now() - wall;
  const { user, system } = process.cpuUsage(cpu);
  return { result, wallMs, cpuMs: (user + system) / 1000 };
}

const of = (times: readonly Time[], key: keyof Time) => median(times.map((time) => time[key]));
const ratio = (theirs: readonly Time[], ours: readonly Time[], key: keyof Time) =>
  median(theirs.map((time, i) => time[key] / ours[i]![key]));
/** Processes that wanted a core during the last minute. */
const load = () => Number(os.loadavg()[0]!.toFixed(1));

it('ranks tokens by approximation error', async () => {
  const peer = await Peer.start();
  const perRow: Record<number, number> = {};
  try {
    for (const rows of SIZES) {
      const tokens = matrix(rows);
      const options = { keepRatio: KEEP, basis: 'rank', start: START } as const;
      const keep = Math.floor(rows * KEEP);
      await peer?.ask({ rows, dim: DIM, keep, start: START });
      const rank = () => timed(() => selectByApproximationError(tokens, DIM, options));
      const rounds = rows > 10_000 ? Math.min(ROUNDS, 3) : ROUNDS;
      const [ours, theirs, parallel]: [Time[], Time[], Time[]] = [[], [], []];
      const kept = rank().result; // warm-up
      const reference = await peer?.ask({ threads: 1 });
      for (let round = 0; round < rounds; round++) {
        ours.push(rank());
        if (!peer) continue;
        theirs.push(await peer.ask({ threads: 1 }));
        if (rows < 10_000) parallel.push(await peer.ask({ threads: os.availableParallelism() }));
      }
      perRow[rows] = of(ours, 'cpuMs') / rows;
      const same = reference?.kept?.filter((row) => kept.includes(row)).length;
      emit({
        bench: 'apet-rank',
        rows,
        dim: DIM,
        basisTokenCount: 10,
        keepRatio: KEEP,
        rounds,
        load: load(),
        medianMs: of(ours, 'wallMs'),
        cpuMs: of(ours, 'cpuMs'),
        ...(peer && {
          peer: { ...peer.about, medianMs: of(theirs, 'wallMs'), cpuMs: of(theirs, 'cpuMs') },
          ratio: ratio(theirs, ours, 'wallMs'),
          cpuRatio: ratio(theirs, ours, 'cpuMs'),
          ...(parallel.length > 0 && { ratioToAllCores: ratio(parallel, ours, 'wallMs') }),
          keptAlike: same! / reference!.kept!.length,
        }),
      });
      expect(kept).toHaveLength(keep);
    }
    // Linear: a row of a book costs about what a row of a page costs. Caches account for the rest.
    expect(perRow[50_000]! / perRow[5_000]!).toBeLessThan(2.5);
  } finally {
    peer?.stop();
  }
});

it('merges dropped tokens', async () => {
  const peer = await Peer.start();
  try {
    // The authors compare all with all at once, in 1.6 GB for one page: larger has no peer.
    for (const [rows, against] of [
      [630, peer],
      [5_000, null],
      [20_000, null],
    ] as const) {
      const tokens = matrix(rows);
      const { errors } = approximationErrors(tokens, DIM, { start: START });
      const order = [...errors.keys()].sort((a, b) => errors[b]! - errors[a]!);
      const kept = Int32Array.from(order.slice(0, rows / 2)).sort();
      const merge = () => timed(() => mergeDropped(tokens, DIM, kept));
      const rounds = rows > 10_000 ? 1 : 3;
      if (rows <= 10_000) merge();
      await against?.ask({ rows, dim: DIM, keep: rows / 2, start: START });
      await against?.ask({ threads: 1 });
      const [ours, theirs]: [Time[], Time[]] = [[], []];
      for (let round = 0; round < rounds; round++) {
        ours.push(merge());
        if (against) theirs.push(await against.ask({ merge: true, threads: 1 }));
      }
      emit({
        bench: 'apet-merge',
        rows,
        dim: DIM,
        keepRatio: KEEP,
        reach: 1024,
        rounds,
        load: load(),
        medianMs: of(ours, 'wallMs'),
        cpuMs: of(ours, 'cpuMs'),
        ...(against && {
          peer: { ...against.about, medianMs: of(theirs, 'wallMs'), cpuMs: of(theirs, 'cpuMs') },
          ratio: ratio(theirs, ours, 'wallMs'),
          cpuRatio: ratio(theirs, ours, 'cpuMs'),
        }),
      });
    }
  } finally {
    peer?.stop();
  }
});

it('scores tokens by variation', async () => {
  const checkpoint = openCheckpoint(MODEL_DIR);
  const model = await compile(checkpoint, 'fp32');
  const { text } = checkpoint.config;
  const settings = { weightsFolder: model.weightsFolder, threads: 1, arena: true };
  const range = { from: 0, to: text.layers, variation: null };
  const decoder = await Session.create('decoder', model.stageGraph(range), settings);
  const stage = { ...range, session: async () => decoder };
  const rows = 512;
  const chunks = 8;
  const dims = [rows, text.hiddenSize];
  const hidden = Float32Array.from({ length: rows * text.hiddenSize }, (_, i) => Math.sin(i));
  const chunk = { before: { data: hidden, dims }, after: { data: hidden.map(Math.cos), dims } };
  // The score alone: the same nodes on the same rows. Its cost includes that of a run, so it is a
  // bound; inside a stage the rows are in the cache already, and no run is added.
  const scorers = new Map<VariationMetric, Session>();
  for (const metric of METRICS) {
    const graph = new GraphBuilder(metric, { folder: '', locate: () => noWeights() });
    const inputs = ['before', 'after'].map((name) =>
      graph.input(name, 'float32', ['rows', text.hiddenSize]),
    );
    const score = rowVariation(graph, inputs[0]!, inputs[1]!, metric);
    graph.output('variation', 'float32', ['rows'], score);
    scorers.set(metric, await Session.create(metric, graph.encode(), settings));
  }
  const prefill = async () => {
    const caches = Array.from(
      { length: text.layers },
      () => new LayerCache({ ...text, dtype: 'fp32' }),
    );
    for (const cache of caches) cache.reserve(rows * chunks);
    const positions = textPositions(0, rows * chunks);
    for (let n = 0; n < chunks; n++) {
      const span = [n * rows, (n + 1) * rows] as const;
      await runStage(stage, text, caches, hidden, positions, span, ['output']);
    }
  };
  const score = async (metric: VariationMetric) => {
    const parts: Float32Array[] = [];
    for (let n = 0; n < chunks; n++) {
      parts.push((await scorers.get(metric)!.run(chunk, ['variation'])).variation);
    }
    return parts;
  };
  const timedAsync = async (work: () => Promise<unknown>): Promise<Time> => {
    const [cpu, wall] = [process.cpuUsage(), performance.now()];
    await work();
    const wallMs = performance.now() - wall;
    const { user, system } = process.cpuUsage(cpu);
    return { wallMs, cpuMs: (user + system) / 1000 };
  };
  const scores = Float32Array.from((await score('l2')).flatMap((part) => [...part]));
  await prefill();
  const [prefills, selections]: [Time[], Time[]] = [[], []];
  const scorings = new Map(METRICS.map((metric) => [metric, [] as Time[]]));
  for (let round = 0; round < 3 * ROUNDS; round++) {
    prefills.push(await timedAsync(prefill));
    // Whichever comes first finds cold caches: take turns.
    for (let turn = 0; turn < METRICS.length; turn++) {
      const metric = METRICS[(round + turn) % METRICS.length]!;
      scorings.get(metric)!.push(await timedAsync(() => score(metric)));
    }
    selections.push(timed(() => selectByVariation(scores, { keepRatio: KEEP })));
  }
  for (const [metric, times] of scorings) {
    emit({
      bench: 'v2drop-score',
      metric,
      hiddenSize: text.hiddenSize,
      layers: text.layers,
      rows: rows * chunks,
      rounds: times.length,
      load: load(),
      prefillMs: of(prefills, 'wallMs'),
      scoreMs: of(times, 'wallMs'),
      selectMs: of(selections, 'wallMs'),
      // CPU time of one drop's scores and selection, as a share of a prefill without drops.
      share: 1 / ratio(prefills, times, 'cpuMs') + 1 / ratio(prefills, selections, 'cpuMs'),
    });
  }
  for (const session of [decoder, ...scorers.values()]) await session.release();
  checkpoint.close();
});

const METRICS: readonly VariationMetric[] = ['l2', 'l1', 'cosine'];

function noWeights(): never {
  throw new Error('a score has no weights');
}
