import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCompressedSource } from '../../../src/pipeline/artifacts/compressed-folder.js';
import { CONTEXT_FILE } from '../../../src/pipeline/artifacts/context-file.js';
import { PAGES_FILE } from '../../../src/pipeline/artifacts/page-folder.js';
import { REPORT_FILE, SOURCE_FILE } from '../../../src/pipeline/artifacts/stored-context.js';
import type { ReadingSettings } from '../../../src/pipeline/backend.js';
import type { LocalDocument } from '../../../src/pipeline/backends/local-document.js';
import { decodeDocument, type SourceDocument } from '../../../src/pipeline/read-document.js';
import { countTextTokens } from '../../../src/pipeline/text-tokens.js';
import {
  type PrunePlan,
  parsePrunePlan,
  planFromKeep,
  planId,
  predictEncodedTokens,
  predictTokens,
  randomTwin,
} from '../../../src/prune/index.js';
import { renderConfigId } from '../../../src/render/index.js';
import { MANIFEST_FILE } from '../../../src/store/artifact-folder.js';
import { SafetensorsFile, VisionLanguageModel } from '../../../src/vlm/index.js';
import { namesIn, sharedFolder, temporaryFolder } from '../../support/folders.js';
import {
  drawnOnce,
  noBrowser,
  type OpenOptions,
  openInFolder,
} from '../../support/local-backend.js';
import { TINY_MODEL, untrainedModel } from '../../support/models.js';
import { smallConfig, words } from '../../support/rendering.js';

const scratch = sharedFolder();
const cache = path.join(scratch, 'cache');
const LAYERS = 4;
const NOTHING: PrunePlan = { decoder: [] };
const BOTH = parsePrunePlan(
  {
    encoder: { method: 'apet', keepRatio: 0.6 },
    decoder: [
      { layer: 1, keepRatio: 0.5, method: 'v2drop' },
      { layer: 3, keepRatio: 0.4, method: 'v2drop', scope: 'page', minPerPage: 1 },
    ],
  },
  { layers: LAYERS },
);

const config = smallConfig();
const openPages = drawnOnce();
/** A few small pages. */
const document = decodeDocument(Buffer.from(words(260)), 'words.txt');

let model: VisionLanguageModel;
beforeAll(async () => {
  model = await VisionLanguageModel.open(TINY_MODEL, { cacheDir: cache, threads: 2 });
});
afterAll(() => model?.close());

function compress(
  folder: string,
  settings: Partial<ReadingSettings> & { model?: VisionLanguageModel } = {},
  options: OpenOptions = {},
  source: SourceDocument = document,
): Promise<LocalDocument> {
  const { model: reader = model, ...reading } = settings;
  const whole = { renderConfig: config, plan: NOTHING, ...reading };
  // A Chromium of their own have only those that name one.
  const pages = options.chromium ? {} : { openPages };
  return openInFolder(reader, folder, source, whole, { ...pages, ...options });
}

const ask = async (opened: LocalDocument, question = 'Which gate?') =>
  (await opened.ask(question, { maxNewTokens: 24 })).answer;

interface PageEntry {
  file: string;
  widthPx: number;
  heightPx: number;
}

const pagesOf = (folder: string): PageEntry[] =>
  JSON.parse(readFileSync(path.join(folder, PAGES_FILE), 'utf8')).pages;

/** Keys and values in the file, counted from its header. */
function storedBytes(folder: string): number {
  const file = SafetensorsFile.open(path.join(folder, CONTEXT_FILE));
  try {
    let bytes = 0;
    for (const { name, dtype, byteLength } of file.tensors.values()) {
      if (!/^layers\.\d+\.(keys|values)$/.test(name)) continue;
      expect(dtype).toBe('F16');
      bytes += byteLength;
    }
    return bytes;
  } finally {
    file.close();
  }
}

describe('the report', () => {
  const parent = path.join(scratch, 'reports');
  const plans: [string, PrunePlan][] = [
    ['no plan', NOTHING],
    ['half of the tokens', planFromKeep(0.5, LAYERS)],
    ['ApET and V²Drop', BOTH],
    ['the same at random', randomTwin(BOTH)],
  ];

  it.each(plans)('adds up with %s', async (name, plan) => {
    const folder = path.join(parent, name);
    const { report, context, cached } = await compress(folder, { plan }, { extractMs: 5 });
    expect(cached).toBe(false);

    const pages = pagesOf(folder);
    expect(pages.length).toBeGreaterThan(2);
    const V = pages.reduce((sum, { widthPx, heightPx }) => {
      const { rows, cols } = model.visualTokenGrid({ widthPx, heightPx });
      return sum + rows * cols;
    }, 0);
    const T = countTextTokens(document.text);
    const E = predictEncodedTokens(V, plan);
    const { layerTokens, contextTokens, finalTokens } = predictTokens(E, LAYERS, plan);
    const kvBytesPerToken = LAYERS * model.info.kvHeads * model.info.headDim * 2 * 2;

    expect(report).toMatchObject({
      documentId: document.id,
      model: 'tiny-glm4v',
      tokenizer: 'o200k_base',
      renderConfigId: renderConfigId(config),
      prunePlanId: planId(plan),
      pages: pages.length,
      characters: document.text.length,
      textTokens: T,
      visualTokens: V,
      encodedTokens: E,
      layerTokens,
      contextTokens,
      finalTokens,
      kvBytes: storedBytes(folder),
      textKvBytes: T * kvBytesPerToken,
      missingGlyphs: 0,
    });
    expect(contextTokens).toBe(layerTokens.reduce((a, b) => a + b) / LAYERS);
    expect(report.renderRatio).toBeCloseTo(T / V, 12);
    expect(report.pruneRatio).toBeCloseTo(V / contextTokens, 12);
    expect(report.stackedRatio).toBeCloseTo(T / contextTokens, 12);
    expect(report.stackedRatio).toBeCloseTo(report.renderRatio * report.pruneRatio, 12);

    // The cache holds what the report says, and the text rows of the prompt in every layer.
    const textRows = context.promptTokens - E;
    expect(textRows).toBeGreaterThan(0);
    expect(context.layers.map(({ length }) => length)).toEqual(
      layerTokens.map((n) => n + textRows),
    );
    expect(context.layerVisualTokens).toEqual(layerTokens);
    expect(
      context.keptCells.map((images) => images.reduce((sum, { cell }) => sum + cell.length, 0)),
    ).toEqual(plan.decoder.map(({ layer }) => layerTokens[layer]));

    const { extractMs, renderMs, encodeMs, pruneMs, prefillMs, totalMs } = report.timings;
    expect(extractMs).toBe(5);
    for (const ms of [renderMs, encodeMs, prefillMs]) expect(ms).toBeGreaterThan(0);
    expect(pruneMs).toBeGreaterThanOrEqual(0);
    expect(extractMs + renderMs + encodeMs + pruneMs + prefillMs).toBeLessThanOrEqual(totalMs + 1);
  });

  it('has the fields of the design, under these names', async () => {
    const { report } = await compress(path.join(parent, 'no plan'), {}, noBrowser);
    expect(Object.keys(report)).toEqual(
      expect.arrayContaining(
        `documentId model tokenizer renderConfigId prunePlanId pages characters textTokens
         visualTokens encodedTokens layerTokens contextTokens finalTokens renderRatio pruneRatio
         stackedRatio kvBytes textKvBytes missingGlyphs timings`.split(/\s+/),
      ),
    );
    expect(Object.keys(report.timings)).toEqual(
      'extractMs renderMs encodeMs pruneMs prefillMs totalMs'.split(' '),
    );
  });

  it('is stored beside the context', async () => {
    const folder = path.join(parent, 'no plan');
    const { report } = await compress(folder, {}, noBrowser);
    expect(JSON.parse(readFileSync(path.join(folder, REPORT_FILE), 'utf8'))).toEqual(report);
    expect(readFileSync(path.join(folder, SOURCE_FILE), 'utf8')).toBe(document.text);
  });

  it('counts characters that cannot be drawn', async () => {
    const odd = decodeDocument(Buffer.from('gate 🔥 a\u0007b\u200bc'), 'odd.txt');
    const { report } = await compress(path.join(parent, 'odd'), {}, {}, odd);
    expect(report).toMatchObject({
      missingGlyphs: 1,
      controlCharacters: 1,
      invisibleCharacters: 1,
      missingSample: ['U+1F525'],
      characters: odd.text.length,
    });
  });
});

describe('a stored context', () => {
  const pristine = path.join(scratch, 'stored', 'doc.gp');
  let fresh: LocalDocument;
  let answer: string;
  beforeAll(async () => {
    fresh = await compress(pristine, { plan: BOTH });
    answer = await ask(fresh);
  });

  const copy = () => {
    const folder = path.join(temporaryFolder(), 'doc.gp');
    cpSync(pristine, folder, { recursive: true });
    return folder;
  };

  it('is found again without a browser, and gives the answer of a fresh one', async () => {
    expect(answer).not.toBe('');
    const stored = await compress(copy(), { plan: BOTH }, noBrowser);
    expect(stored).toMatchObject({ cached: true, rebuiltBecause: null, report: fresh.report });
    expect(stored.context).toEqual(fresh.context);
    expect(await ask(stored)).toBe(answer);
    // Asked once more, and after another question, it is still the same.
    await ask(stored, 'Where does the rope end?');
    expect(await ask(stored)).toBe(answer);
  });

  it('gives the answer of a fresh one in another session of the model', async () => {
    const other = await VisionLanguageModel.open(TINY_MODEL, { cacheDir: cache, threads: 1 });
    try {
      const stored = await compress(copy(), { plan: BOTH, model: other }, noBrowser);
      expect(stored.cached).toBe(true);
      expect(await ask(stored)).toBe(answer);
    } finally {
      await other.close();
    }
  });

  it('answers with as many tokens as asked for, and says what it used', async () => {
    const pieces: string[] = [];
    const reply = await fresh.ask('Which gate?', {
      maxNewTokens: 24,
      onText: (text) => pieces.push(text),
    });
    expect(pieces.join('').trim()).toBe(reply.answer);
    expect(reply.usage.completionTokens).toBeLessThanOrEqual(24);
    expect(reply.usage.promptTokens).toBeGreaterThan(fresh.context.promptTokens);
    expect(reply.timings.firstTokenMs).toBeLessThanOrEqual(reply.timings.totalMs);
  });

  it('is made again, with the reason, when a byte of the context is damaged', async () => {
    const folder = copy();
    const file = path.join(folder, CONTEXT_FILE);
    const bytes = readFileSync(file);
    bytes[bytes.length - 9]! ^= 0x10;
    writeFileSync(file, bytes);
    const again = await compress(folder, { plan: BOTH });
    expect(again.cached).toBe(false);
    expect(again.rebuiltBecause).toMatch(/context\.safetensors does not match its checksum/);
    expect(await ask(again)).toBe(answer);
    expect((await compress(folder, { plan: BOTH }, noBrowser)).cached).toBe(true);
  });

  it('is made again, with the reason, when the context or the manifest is lost', async () => {
    const folder = copy();
    rmSync(path.join(folder, CONTEXT_FILE));
    const again = await compress(folder, { plan: BOTH });
    expect(again.rebuiltBecause).toMatch(/context\.safetensors is missing/);
    writeFileSync(path.join(folder, MANIFEST_FILE), '');
    expect((await compress(folder, { plan: BOTH })).rebuiltBecause).toMatch(/manifest\.json/);
  });

  it('is made again, with the reason, for another plan, config, text or model', async () => {
    const other = decodeDocument(Buffer.from(words(30, 5)), 'other.txt');
    const modelDir = untrainedModel(path.join(temporaryFolder(), 'other-model'));
    const otherModel = await VisionLanguageModel.open(modelDir, { cacheDir: cache });
    try {
      const same = { plan: BOTH };
      const changes: [string, Parameters<typeof compress>[1], SourceDocument][] = [
        ['prunePlan', { plan: randomTwin(BOTH) }, document],
        ['rendering', { ...same, renderConfig: smallConfig({ 'margin-x': 9 }) }, document],
        ['document, text', same, other],
        ['checkpoint', { ...same, model: otherModel }, document],
      ];
      for (const [part, settings, source] of changes) {
        const folder = copy();
        const again = await compress(folder, settings, {}, source);
        expect(again.cached).toBe(false);
        expect(again.rebuiltBecause).toBe(`it was made with another ${part}`);
        const found = await compress(folder, settings, noBrowser, source);
        expect(found).toMatchObject({ cached: true, report: again.report });
      }
    } finally {
      await otherModel.close();
    }
  });

  it('does not depend on the name of a plan', async () => {
    const named = { ...BOTH, id: 'my favourite' };
    expect((await compress(copy(), { plan: named }, noBrowser)).cached).toBe(true);
  });

  it('is a source of its own: text and settings', async () => {
    const { document: source, body } = await readCompressedSource(pristine);
    expect(source).toEqual(document);
    expect(body).toMatchObject({
      renderConfig: config,
      report: fresh.report,
      modelDir: TINY_MODEL,
    });
    expect(planId(body.plan)).toBe(planId(BOTH));
  });

  it('whose text is damaged is no source', async () => {
    const folder = copy();
    const file = path.join(folder, SOURCE_FILE);
    writeFileSync(file, readFileSync(file, 'utf8').replace('gate', 'GATE'));
    await expect(readCompressedSource(folder)).rejects.toMatchObject({
      code: 'GP_ARTIFACT_DAMAGED',
      message: expect.stringContaining(SOURCE_FILE),
    });
    rmSync(file);
    await expect(readCompressedSource(folder)).rejects.toMatchObject({
      code: 'GP_ARTIFACT_DAMAGED',
    });
  });

  it('is told from a folder without one', async () => {
    await expect(readCompressedSource(temporaryFolder())).rejects.toMatchObject({
      code: 'GP_INPUT_NOT_FOUND',
    });
  });
});

describe('compressing', () => {
  it('takes a document of many pages, page by page', async () => {
    const long = decodeDocument(Buffer.from(words(5_500)), 'long.txt');
    const folder = path.join(temporaryFolder(), 'long');
    const seen: Record<string, number[]> = { encode: [], prefill: [] };
    const opened = await compress(
      folder,
      { plan: BOTH },
      { onProgress: (stage, _, share) => seen[stage]!.push(share) },
      long,
    );
    const { report, context } = opened;
    expect(report.pages).toBeGreaterThan(60);
    expect(seen.encode).toHaveLength(report.pages);
    for (const shares of Object.values(seen)) {
      expect(shares).toEqual([...shares].sort((a, b) => a - b));
      expect(shares.at(-1)).toBeCloseTo(1, 2);
    }
    expect(report.layerTokens).toEqual(
      predictTokens(predictEncodedTokens(report.visualTokens, BOTH), LAYERS, BOTH).layerTokens,
    );
    // The floor of the last drop: every page is still there.
    expect(context.keptCells.at(-1)!.map(({ image }) => image)).toEqual(
      Array.from({ length: report.pages }, (_, page) => page),
    );
    expect(await ask(opened)).not.toBe('');
  });

  it.each(['encode', 'prefill'] as const)('leaves nothing when stopped in %s', async (stage) => {
    const parent = temporaryFolder();
    const controller = new AbortController();
    const stopped = compress(
      path.join(parent, 'doc.gp'),
      {},
      {
        signal: controller.signal,
        onProgress: (at) => {
          if (at === stage) controller.abort();
        },
      },
      decodeDocument(Buffer.from(words(1_500)), 'doc'),
    );
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
    expect(namesIn(parent)).toEqual([]);
  });

  it('leaves the earlier context when the next one is stopped or fails', async () => {
    const parent = temporaryFolder();
    const folder = path.join(parent, 'doc.gp');
    const { report } = await compress(folder);
    const failing = compress(folder, { plan: BOTH }, noBrowser);
    await expect(failing).rejects.toThrow('no browser is needed here');
    const broken = { executablePath: '/bin/false', sandbox: false };
    await expect(
      compress(folder, { plan: BOTH }, { chromium: () => broken }),
    ).rejects.toMatchObject({ code: 'GP_BROWSER_LAUNCH' });
    expect(namesIn(parent)).toEqual(['doc.gp']);
    expect(await compress(folder, {}, noBrowser)).toMatchObject({ cached: true, report });
  });

  it('refuses text without a visible character, and leaves nothing', async () => {
    const parent = temporaryFolder();
    for (const text of [' \n\t ', '\ufeff']) {
      const blank = decodeDocument(Buffer.from(text), 'blank');
      await expect(compress(path.join(parent, 'doc.gp'), {}, {}, blank)).rejects.toMatchObject({
        code: 'GP_INPUT_EMPTY',
      });
    }
    expect(namesIn(parent)).toEqual([]);
  });

  it('refuses a document that the model cannot hold', async () => {
    const parent = temporaryFolder();
    const huge = decodeDocument(Buffer.from(words(10_000)), 'huge');
    await expect(compress(path.join(parent, 'x'), {}, {}, huge)).rejects.toMatchObject({
      code: 'GP_CONTEXT_LENGTH',
    });
    expect(namesIn(parent)).toEqual([]);
  });

  it('gives a context to each of several that make the same one at once', async () => {
    const parent = temporaryFolder();
    const folder = path.join(parent, 'doc.gp');
    const short = decodeDocument(Buffer.from('The north gate is shut.'), 'short');
    for (let round = 0; round < 3; round++) {
      rmSync(folder, { recursive: true, force: true });
      const made = await Promise.all(
        Array.from({ length: 4 }, () => compress(folder, {}, {}, short)),
      );
      for (const { context } of made) expect(context).toEqual(made[0]!.context);
      expect(namesIn(parent)).toEqual(['doc.gp']);
    }
  });

  it("touches nobody's folder", async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'thesis.txt'), 'mine');
    await expect(compress(folder, {}, noBrowser)).rejects.toMatchObject({
      code: 'GP_OUTPUT_EXISTS',
    });
    expect(existsSync(path.join(folder, 'thesis.txt'))).toBe(true);
  });
});
