/** `ask` with a model that reads passages alone: what is made for a question, and what is not. */

import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { glyphpress } from '../support/cli.js';
import { sharedFolder } from '../support/folders.js';
import { passagesAloneModel } from '../support/models.js';
import { words } from '../support/rendering.js';

const folder = sharedFolder();
const model = passagesAloneModel(path.join(folder, 'alone'));
const file = path.join(folder, 'book.txt');
writeFileSync(file, `${words(400)}\n\nThe gate is shut at nine.\n\n${words(400)}`);

const cache = path.join(folder, 'cache');
const env = { GLYPHPRESS_CACHE: cache };
const noBrowser = { ...env, GLYPHPRESS_CHROME: '/nonexistent/chrome' };
const QUESTION = 'Which gate is shut?';
const TINY = ['--model', model, '--max-tokens', '4', '--set', 'page-size=196,112'];
const ask = (question: string, args: string[], extra: Record<string, string> = env) =>
  glyphpress(['ask', file, question, ...TINY, ...args], { env: extra });

describe('glyphpress ask where passages answer', () => {
  it('needs no browser, and stores nothing', async () => {
    const { code, stderr } = await ask(QUESTION, [], noBrowser);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining('read as text, without the pages: '),
    });
    expect(stderr).not.toContain('page 1');
    expect(existsSync(path.join(cache, 'contexts'))).toBe(false);
  });

  it('needs one for what stands on pages: their cells, a question without passages, parts', async () => {
    const others: [string, string[]][] = [
      [QUESTION, ['--expand', 'off']],
      ['Zeppelin?', []],
      [QUESTION, ['--part-tokens', '20']],
    ];
    for (const [question, args] of others) {
      const { code, stderr } = await ask(question, args, noBrowser);
      expect({ code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/error GP_BROWSER_NOT_FOUND: /),
      });
    }
  });

  it('tells null for what was not made, and reads a context that is there already', async () => {
    const { stdout } = await ask(QUESTION, ['--json']);
    const { report, cached, expanded } = JSON.parse(stdout);
    expect(report).toMatchObject({ made: 'text', pages: null, visualTokens: null, kvBytes: null });
    expect(report.stackedRatio).toBeCloseTo(report.textTokens / report.expandedTokens);
    expect(cached).toBe(false);
    expect(expanded.length).toBeGreaterThan(0);
    expect(existsSync(path.join(cache, 'contexts'))).toBe(false);
    const pages = await ask('Zeppelin?', ['--json']);
    const { report: drawn } = JSON.parse(pages.stdout);
    expect(drawn.pages).toBeGreaterThan(0);
    const again = JSON.parse((await ask(QUESTION, ['--json'], noBrowser)).stdout);
    expect(again).toMatchObject({ cached: true, report: { pages: drawn.pages } });
    expect(again.expanded[0].page).toEqual(expect.any(Number));
  });
});
