import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { storeCalibration } from '../../src/vlm/index.js';
import { glyphpress } from '../support/cli.js';
import { namesIn, sharedFolder, temporaryFolder } from '../support/folders.js';
import { TINY_MODEL, untrainedModel } from '../support/models.js';
import { words } from '../support/rendering.js';

const folder = sharedFolder();
const file = path.join(folder, 'book.txt');
writeFileSync(file, words(300));

const env = { GLYPHPRESS_CACHE: path.join(folder, 'cache') };
const noBrowser = { ...env, GLYPHPRESS_CHROME: '/nonexistent/chrome' };
const TINY = ['--model', TINY_MODEL, '--max-tokens', '12', '--set', 'page-size=196,112'];
const QUESTION = 'Which gate is shut?';

const ask = (args: string[], extra: Record<string, string> = env) =>
  glyphpress(['ask', ...args], { env: extra });

async function askJson(args: string[], extra?: Record<string, string>) {
  const { code, stdout, stderr } = await ask([...args, '--json'], extra);
  expect({ code, stderr: stderr.replace(PROGRESS, '') }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

/** Lines that work of more than a few seconds prints, so on a busy machine only. */
const PROGRESS = /^(render|encode|prefill): .*\n/gm;

const contexts = () => namesIn(path.join(env.GLYPHPRESS_CACHE, 'contexts'));

describe('glyphpress ask on a text', () => {
  // biome-ignore lint/suspicious/noExplicitAny: the tests look into what a stranger would parse
  let first: any;
  beforeAll(async () => {
    first = await askJson([file, QUESTION, ...TINY]);
  });

  it('gives the object of the design', () => {
    expect(first).toMatchObject({
      answer: expect.any(String),
      report: { model: 'tiny-glm4v', tokenizer: 'o200k_base', layerTokens: expect.any(Array) },
      usage: { promptTokens: expect.any(Number), completionTokens: expect.any(Number) },
      timings: {
        loadMs: expect.any(Number),
        firstTokenMs: expect.any(Number),
        totalMs: expect.any(Number),
      },
      cached: false,
      found: true,
      calibrated: false,
      citations: expect.any(Array),
    });
    expect(first.confidence).toBeCloseTo(Math.exp(first.meanLogProb));
    expect(first.usage.completionTokens).toBeLessThanOrEqual(12);
    expect(first.usage.promptTokens).toBeGreaterThan(first.report.visualTokens);
    expect(first.timings.totalMs).toBeGreaterThan(first.timings.loadMs);
  });

  it('uses its context a second time, and no browser', async () => {
    const second = await askJson([file, QUESTION, ...TINY], noBrowser);
    expect(second).toMatchObject({ cached: true, answer: first.answer, report: first.report });
    const other = await askJson([file, 'Another question', ...TINY], noBrowser);
    expect(other.cached).toBe(true);
  });

  it('tells a chance where the model is calibrated, over the same context', async () => {
    const model = path.join(temporaryFolder(), 'tiny-glm4v');
    cpSync(TINY_MODEL, model, { recursive: true });
    const curve = { intercept: 1, mean: 2, min: 0.5 };
    storeCalibration(
      model,
      { ...curve, questions: 40, right: 9, expectedCalibrationError: 0.1 },
      'pages',
    );
    const args = TINY.map((arg) => (arg === TINY_MODEL ? model : arg));
    const reply = await askJson([file, QUESTION, ...args], noBrowser);
    const { cached, answer, calibrated, confidence, meanLogProb } = reply;
    expect({ cached, answer, calibrated, meanLogProb }).toEqual({
      cached: true,
      answer: first.answer,
      calibrated: true,
      meanLogProb: first.meanLogProb,
    });
    expect(confidence).toBeLessThan(1 / (1 + Math.exp(-(1 + 2 * meanLogProb))));
    expect(confidence).toBeGreaterThan(0);
  });

  it('finds the context of the same bytes under another name', async () => {
    const copy = path.join(folder, 'copy of the book.txt');
    cpSync(file, copy);
    expect((await askJson([copy, QUESTION, ...TINY], noBrowser)).cached).toBe(true);
  });

  it('needs a browser for other settings', async () => {
    const { code, stdout, stderr } = await ask(
      [file, QUESTION, ...TINY, '--keep', '0.5'],
      noBrowser,
    );
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error GP_BROWSER_NOT_FOUND: /);
  });

  it('makes a damaged context again, and says why', async () => {
    const mine = { GLYPHPRESS_CACHE: path.join(temporaryFolder(), 'cache') };
    cpSync(env.GLYPHPRESS_CACHE, mine.GLYPHPRESS_CACHE, { recursive: true });
    const stored = path.join(mine.GLYPHPRESS_CACHE, 'contexts');
    const damaged = path.join(stored, namesIn(stored)[0]!, 'context.safetensors');
    rmSync(damaged);
    const { code, stdout, stderr } = await ask([file, QUESTION, ...TINY, '--json'], mine);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^made again: .*context\.safetensors/m);
    expect(JSON.parse(stdout)).toMatchObject({ cached: false, answer: first.answer });
  });

  it('prints the answer alone, and the same one as it grows', async () => {
    const plain = await ask([file, QUESTION, ...TINY], noBrowser);
    expect(plain).toMatchObject({ code: 0, stdout: `${first.answer}\n` });
    // What is said beside the answer does not mix with it.
    expect(plain.stderr).toMatch(
      /^cut off after 12 tokens: [^|]+ \| confidence [01]\.\d\d \(uncalibrated\)( \| [^\n]+)?\n$/,
    );
    const streamed = await ask([file, QUESTION, ...TINY, '--stream'], noBrowser);
    expect(streamed).toMatchObject({ code: 0, stderr: plain.stderr });
    expect(streamed.stdout.trim()).toBe(first.answer);
    expect(streamed.stdout.endsWith('\n')).toBe(true);
  });

  it('keeps stdout one line of JSON when it streams as well', async () => {
    const { code, stdout, stderr } = await ask(
      [file, QUESTION, ...TINY, '--stream', '--json'],
      noBrowser,
    );
    expect(code).toBe(0);
    expect(stdout.startsWith('{')).toBe(true);
    expect(JSON.parse(stdout).answer).toBe(first.answer);
    expect(stderr.trim()).toBe(first.answer);
  });

  it('prunes as asked, by share and by plan', async () => {
    const kept = await askJson([file, QUESTION, ...TINY, '--keep', '0.5']);
    expect(kept.cached).toBe(false);
    expect(kept.report.pruneRatio).toBeCloseTo(2, 0);
    const plan = path.join(folder, 'plan.json');
    writeFileSync(plan, '{"encoder":{"method":"apet","keepRatio":0.5},"decoder":[]}');
    const planned = await askJson([file, QUESTION, ...TINY, '--plan', plan]);
    expect(planned.report.encodedTokens).toBe(Math.floor(planned.report.visualTokens / 2));
    expect(planned.report.prunePlanId).not.toBe(kept.report.prunePlanId);
  });

  it('draws by chance with a seed, and differently with another', async () => {
    const sample = (seed: string) =>
      askJson([file, QUESTION, ...TINY, '--temperature', '1.5', '--seed', seed], noBrowser);
    const [a, b, c] = [await sample('1'), await sample('1'), await sample('2')];
    expect(a.answer).toBe(b.answer);
    expect(a.answer).not.toBe(c.answer);
  });

  it('takes the reader that ships with glyphpress when no model is named', async () => {
    const ours = { ...env, GLYPHPRESS_MODEL: '' };
    const { code, stdout } = await ask([file, QUESTION, '--json', '--max-tokens', '2'], ours);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).report.model).toBe('reader');
  });

  it('leaves nothing in the folder for temporary files, so no telemetry of ONNX Runtime either', async () => {
    const scratch = temporaryFolder();
    const fresh = { TMPDIR: scratch, GLYPHPRESS_CACHE: path.join(temporaryFolder(), 'cache') };
    expect((await askJson([file, QUESTION, ...TINY], fresh)).cached).toBe(false);
    expect(namesIn(scratch)).toEqual([]);
  });

  it('warns of untrained weights, on stderr only', async () => {
    const model = untrainedModel(path.join(folder, 'untrained'));
    const args = [file, QUESTION, '--model', model, '--max-tokens', '2'];
    const { code, stdout, stderr } = await ask([...args, '--json']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: the weights in .*untrained are untrained; answers are noise/);
    expect(JSON.parse(stdout).report.model).toBe('untrained');
    expect(stdout).not.toContain('warning');
  });
});

describe('glyphpress ask on a compressed folder', () => {
  const compressed = path.join(folder, 'book.gp');
  const SMALL = ['--set', 'page-size=196,112', '--model', TINY_MODEL];
  let report: { prunePlanId: string; renderConfigId: string };
  beforeAll(async () => {
    const args = ['compress', file, '-o', compressed, '--keep', '0.6', ...SMALL, '--json'];
    const { code, stdout } = await glyphpress(args, { env });
    expect(code).toBe(0);
    const { documents: _, skipped: __, ...own } = JSON.parse(stdout);
    report = own;
  });
  const manifest = () => readFileSync(path.join(compressed, 'manifest.json'), 'utf8');
  const short = ['--max-tokens', '4'];

  it('needs neither the text nor its settings again, nor a browser', async () => {
    const reply = await askJson([compressed, QUESTION, ...short], noBrowser);
    expect(reply).toMatchObject({ cached: true, report });
  });

  it('keeps what compress made, and says so', async () => {
    const before = manifest();
    const args = ['compress', file, '-o', compressed, '--keep', '0.6', ...SMALL];
    const { code, stdout } = await glyphpress(args, { env: noBrowser });
    expect(code).toBe(0);
    expect(stdout).toContain(`kept as it was: ${compressed}`);
    expect(stdout).toMatch(/pruning 1\.\d+×/);
    expect(manifest()).toBe(before);
  });

  it('answers with other settings without changing the folder', async () => {
    const before = manifest();
    const stored = contexts().length;
    const reply = await askJson([compressed, QUESTION, '--keep', '0.3', ...short]);
    expect(reply.cached).toBe(false);
    expect(reply.report.prunePlanId).not.toBe(report.prunePlanId);
    expect(reply.report.renderConfigId).toBe(report.renderConfigId);
    expect(manifest()).toBe(before);
    expect(contexts()).toHaveLength(stored + 1);
    const again = await askJson([compressed, QUESTION, '--keep', '0.3', ...short], noBrowser);
    expect(again.cached).toBe(true);
  });

  it('takes over the types that the folder was made with', async () => {
    const small = path.join(folder, 'small.gp');
    const types = ['--dtype', 'int8', '--kv-dtype', 'int8'];
    const made = await glyphpress(['compress', file, '-o', small, ...types, ...SMALL, '--json'], {
      env,
    });
    expect(made.code).toBe(0);
    // Codes and scales in place of halves.
    const { kvBytes, textKvBytes } = JSON.parse(made.stdout);
    const whole = report as unknown as { textKvBytes: number };
    expect(textKvBytes).toBeLessThan(0.7 * whole.textKvBytes);
    const reply = await askJson([small, QUESTION, ...short], noBrowser);
    expect(reply).toMatchObject({ cached: true, report: { kvBytes } });
    const other = await askJson([small, QUESTION, '--dtype', 'fp32', ...short]);
    expect(other.cached).toBe(false);
    const manifest = readFileSync(path.join(small, 'manifest.json'), 'utf8');
    expect(manifest).toMatch(/"dtype":"int8"/);
    expect(manifest).toMatch(/"kvDtype":"int8"/);
  });

  it('whose text is damaged is an error, not an answer', async () => {
    const damaged = path.join(temporaryFolder(), 'book.gp');
    cpSync(compressed, damaged, { recursive: true });
    writeFileSync(path.join(damaged, 'source.txt'), 'another text');
    const { code, stdout, stderr } = await ask([damaged, QUESTION, '--json']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error GP_ARTIFACT_DAMAGED: .*source\.txt does not match its checksum\n/,
    );
    expect(JSON.parse(stdout).error.code).toBe('GP_ARTIFACT_DAMAGED');
  });
});

describe('glyphpress ask --question-first', () => {
  const args = [file, QUESTION, ...TINY, '--question-first'];

  it('reads the pages for this question alone: nothing is stored or found again', async () => {
    const plain = await askJson([file, QUESTION, ...TINY]);
    const stored = contexts();
    const scratch = temporaryFolder();
    const first = await askJson(args, { ...env, TMPDIR: scratch });
    expect(first).toMatchObject({ cached: false, questionFirst: true });
    expect(first.report.questionTokens).toBe(QUESTION.length);
    expect(first.report.contextTokens).toBe(plain.report.contextTokens + QUESTION.length);
    expect(first.usage.promptTokens).toBe(plain.usage.promptTokens + QUESTION.length);
    expect(first.citations).toEqual(expect.any(Array));
    expect(contexts()).toEqual(stored);
    expect(namesIn(scratch)).toEqual([]);
    const { code, stderr } = await ask(args, noBrowser);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error GP_BROWSER_NOT_FOUND: /);
    const again = await askJson([file, QUESTION, ...TINY], noBrowser);
    expect(again).toMatchObject({ cached: true, questionFirst: false, report: plain.report });
  });

  it('goes with a plan and a sidecar', async () => {
    const more = ['--keep', '0.75', '--sidecar', '20'];
    const { report } = await askJson([...args, ...more]);
    expect(report.layerTokens.at(-1)).toBeLessThan(report.visualTokens);
    expect(report.finalTokens).toBe(
      report.layerTokens.at(-1) + report.sidecarTokens + report.questionTokens,
    );
  });

  it.each([
    [
      'a compressed folder',
      [path.join(folder, 'book.gp'), QUESTION, '--question-first'],
      'a folder for any',
    ],
    [
      'a server',
      [...args, '--backend', 'openai', '--base-url', 'http://127.0.0.1:9/v1'],
      'runs here',
    ],
  ])('is a mistake for %s', async (_, words, message) => {
    const { code, stdout } = await ask([...words, '--json']);
    expect(code).toBe(2);
    const { error } = JSON.parse(stdout);
    expect(error.code).toBe('GP_USAGE');
    expect(error.message).toContain(message);
  });
});

describe('glyphpress ask on a text that compress took before', () => {
  it('finds the folder that compress made', async () => {
    const own = temporaryFolder();
    const text = path.join(own, 'notes.txt');
    writeFileSync(text, words(120));
    const settings = ['--model', TINY_MODEL, '--set', 'page-size=196,112'];
    const made = await glyphpress(
      ['compress', text, '-o', path.join(own, 'notes.gp'), ...settings],
      { env },
    );
    expect(made.code).toBe(0);
    const reply = await askJson([text, QUESTION, '--max-tokens', '4', ...settings], noBrowser);
    expect(reply.cached).toBe(true);
  });
});
