/**
 * Does a model of full size run on this machine, in what time and memory? Random weights in the exact shapes of a
 * published one: written, compiled, loaded, a page encoded, four pages prefilled with and without V²Drop's schedule,
 * an answer decoded.
 *
 * MODEL (Qwen/Qwen3-VL-2B-Instruct; zai-org/Glyph is the other one), FOLDER for weights and cache (about 3.5 bytes a
 * parameter; kept, so a second run goes on), DTYPE (int4), LAYERS (all), PAGES (4), PAGE_PX (588x840), TOKENS (32).
 * Needs `npm run build`, for the compiler as a process of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { dropBeforeLayer, NAMED_PLANS } from '../../src/prune/index.js';
import { Engine } from '../../src/vlm/engine.js';
import type { PageImage } from '../../src/vlm/image-processor.js';
import { promptRows, promptShape } from '../../src/vlm/prompt.js';
import { templateOf, wholeImage } from '../vlm/prompts.js';
import { emit } from './measure.js';
import { writeRandomModel } from './random-model.js';

const { FOLDER, MODEL = 'Qwen/Qwen3-VL-2B-Instruct', DTYPE = 'int4', LAYERS } = process.env;
const PAGES = Number(process.env.PAGES ?? 4);
const TOKENS = Number(process.env.TOKENS ?? 32);
const [PAGE_WIDTH, PAGE_HEIGHT] = (process.env.PAGE_PX ?? '588x840').split('x').map(Number);
const MAIN = new URL('../../dist/src/cli/main.js', import.meta.url).pathname;

it.runIf(FOLDER)(
  'runs in full size',
  async () => {
    const name = `${MODEL.replace('/', '--')}${LAYERS ? `-${LAYERS}-layers` : ''}`;
    const dir = join(FOLDER!, name);
    const cacheDir = join(FOLDER!, 'cache');
    const common = { bench: 'full-size', model: MODEL, layers: LAYERS ?? 'all', dtype: DTYPE };
    const [bytes, writing] = await timed(() =>
      writeRandomModel(dir, { id: MODEL, layers: LAYERS ? Number(LAYERS) : undefined }),
    );
    emit({ ...common, step: 'write', bytes, ...writing });

    const compiled = await compileInChild(dir, cacheDir);
    emit({ ...common, step: 'compile', ...compiled });

    const probe = await Engine.open(dir, { dtype: DTYPE, cacheDir });
    const { layers } = probe.checkpoint.config.text;
    await probe.close();
    const drops = NAMED_PLANS['v2drop-paper']!.build(layers).decoder!;
    const cuts = drops.map(({ layer }) => layer);
    const [engine, opening] = await timed(() => Engine.open(dir, { dtype: DTYPE, cacheDir, cuts }));
    try {
      const blank = page(64, 64);
      const [, tower] = await timed(() => engine.encodeImage(blank));
      const { ownGb: towerGb } = memory();
      const [encoded, encoding] = await timed(() =>
        engine.encodeImage(page(PAGE_WIDTH!, PAGE_HEIGHT!)),
      );
      const image = wholeImage(encoded);
      const template = templateOf(engine.checkpoint);
      const shape = promptShape(engine.checkpoint.config);
      const select = async () => new Int32Array(0);
      const small = promptRows(template.documentPrefix(0), shape, []);
      const { ownGb: beforeDecoderGb } = memory();
      const [first, decoder] = await timed(() => engine.prefill(small, [], { select }));
      engine.dropContext(first.handle);
      emit({
        ...common,
        step: 'load',
        open: opening,
        tower: { ...tower, gb: towerGb },
        // Divided by the layers, what one more takes.
        decoder: { ...decoder, gb: memory().ownGb - beforeDecoderGb },
        ...memory(),
      });
      emit({
        ...common,
        step: 'encode',
        pagePx: `${PAGE_WIDTH}x${PAGE_HEIGHT}`,
        tokens: image.kept.length,
        ...encoding,
        ...memory(),
      });
      const images = Array.from({ length: PAGES }, () => image);
      const rows = () => promptRows(template.documentPrefix(PAGES), shape, images);
      for (const plan of ['none', 'v2drop-paper'] as const) {
        const points = drops.map(({ layer }) => ({
          layer,
          needs: { variation: true, hidden: false },
        }));
        const [context, prefilling] = await timed(() =>
          engine.prefill(rows(), plan === 'none' ? [] : points, {
            select: async ({ layer }, { variation, image: pageOfRow }) => {
              const drop = drops.find((candidate) => candidate.layer === layer)!;
              return dropBeforeLayer(variation!, drop, { id: plan, decoder: drops }, pageOfRow);
            },
          }),
        );
        const kvBytes = context.caches.reduce((sum, cache) => sum + keptBytes(cache), 0);
        const rowsOfLayers = context.caches.map((cache) => cache.length);
        emit({
          ...common,
          step: 'prefill',
          plan,
          pages: PAGES,
          rows: rowsOfLayers[0],
          meanRows: rowsOfLayers.reduce((a, b) => a + b, 0) / layers,
          ...prefilling,
          kvMegabytes: kvBytes / 1e6,
          ...memory(),
        });
        const times: number[] = [];
        const request = {
          tokenIds: template.questionSuffix('What does it say?', true),
          position: rows().next,
          maxNewTokens: TOKENS,
          sampling: {},
          stopLoops: false,
        };
        const start = performance.now();
        const [, decoding] = await timed(() =>
          engine.generate(context.handle, request, () => times.push(performance.now())),
        );
        engine.dropContext(context.handle);
        emit({
          ...common,
          step: 'decode',
          plan,
          tokens: times.length,
          firstTokenSeconds: (times[0]! - start) / 1000,
          ...decoding,
          tokensPerSecond: (1000 * (times.length - 1)) / (times.at(-1)! - times[0]!),
          ...memory(),
        });
        expect(times.length).toBeGreaterThan(0);
      }
    } finally {
      await engine.close();
    }
  },
  7_200_000,
);

/** Seconds on the clock, and of all processors together: on a busy machine only the latter say what work costs. */
interface Spent {
  seconds: number;
  cpuSeconds: number;
}

async function timed<T>(work: () => Promise<T>): Promise<[result: T, spent: Spent]> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - start) / 1000;
  return [result, { seconds, cpuSeconds: (user + system) / 1e6 }];
}

function keptBytes(cache: { byteLength: number; capacity: number; length: number }): number {
  return (cache.byteLength * cache.length) / cache.capacity;
}

/** Peak and present memory of this process; weights that are mapped from a file count in `peakGb`. */
function memory(pid: number | 'self' = 'self') {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return {
    peakGb: (kilobytes('VmHWM') * 1024) / 1e9,
    ownGb: (kilobytes('RssAnon') * 1024) / 1e9,
    mappedGb: (kilobytes('RssFile') * 1024) / 1e9,
  };
}

async function compileInChild(dir: string, cacheDir: string) {
  const args = [MAIN, 'model', 'compile', dir, '--dtype', DTYPE, '--json'];
  const env = { ...process.env, GLYPHPRESS_CACHE: cacheDir };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const start = performance.now();
  let last = memory(child.pid);
  let cpuSeconds = 0;
  const timer = setInterval(() => {
    try {
      const now = memory(child.pid);
      if (now.peakGb === 0) return;
      last = now;
      cpuSeconds = processorSeconds(child.pid!);
    } catch {
      // It has ended.
    }
  }, 100);
  child.stdout.resume();
  const [code] = (await once(child, 'exit')) as [number];
  clearInterval(timer);
  expect(code).toBe(0);
  const seconds = (performance.now() - start) / 1000;
  return { seconds, cpuSeconds, peakGb: last.peakGb };
}

/** Of a process with all its threads; Linux counts in hundredths. */
function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Dark strokes on white. */
function page(widthPx: number, heightPx: number): PageImage {
  const data = new Uint8Array(widthPx * heightPx).fill(255);
  for (let y = 0; y < heightPx; y += 1) {
    for (let x = 0; x < widthPx; x += 1) {
      if (y % 12 > 3 && (Math.imul(x >> 1, 2_654_435_761) ^ (y * 40_503)) & 64)
        data[y * widthPx + x] = 20;
    }
  }
  return { data, widthPx, heightPx, channels: 1 };
}
