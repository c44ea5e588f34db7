/** The console for people: what they do in it all day, in a real browser. */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'puppeteer';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { connectRedis } from '../../src/queue/connection.js';
import { ApiKeys } from '../../src/server/api-keys.js';
import { ModelRegistry } from '../../src/service/models.js';
import {
  ask,
  choose,
  logIn,
  openBrowser,
  openPage,
  picture,
  rowOf,
  violations,
} from '../support/console-page.js';
import { type DocumentJson, type TestServer, testServer } from '../support/http.js';
import { LOOK_UP_READER } from '../support/models.js';
import { words } from '../support/rendering.js';
import { cleanUpAtEnd, testRedis } from '../support/service.js';

// Models, workers and a browser at once: a busy machine takes its time.
vi.setConfig({ testTimeout: 180_000 });

const cleanUp = cleanUpAtEnd();
let server: TestServer;
let browser: Browser;
const keys: Record<'user' | 'other' | 'crowd', string> = { user: '', other: '', crowd: '' };

const TEXT = [
  'The harbour of Wexmoor has three gates, and the keeper walks from one to the next each night.',
  'The access code of the north gate is 4817.',
  'The south gate was shut in the winter of the great storm, and nobody has opened it since.',
].join('\n\n');
const QUESTION = 'What is the access code of the north gate?';
const LONG = words(7_000);
const BROKEN = 'a report with a long name, of which all should be seen.pdf';
const PRUNED = 'pruned.txt';
const UNREADABLE = 'unreadable.pdf';

/** A model whose questions come with passages, unless they are told not to. */
function passageReader(): string {
  const dir = path.join(mkdtempSync(path.join(os.tmpdir(), 'glyphpress-console-')), 'passages');
  cleanUp.push(async () => rmSync(path.dirname(dir), { recursive: true, force: true }));
  cpSync(LOOK_UP_READER, dir, { recursive: true });
  const file = path.join(dir, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  const glyphpress = { ...config.glyphpress, passages: 'alone' };
  writeFileSync(file, JSON.stringify({ ...config, glyphpress }));
  return dir;
}

beforeAll(async () => {
  const redis = await testRedis(cleanUp);
  const connection = await connectRedis(redis.url, 'worker');
  cleanUp.push(async () => connection.disconnect());
  const store = new ApiKeys(connection);
  for (const tenant of ['user', 'other', 'crowd'] as const)
    keys[tenant] = (await store.create({ tenant, scopes: ['submit', 'query'] })).key;
  const folders = [LOOK_UP_READER, passageReader()];
  const models = () => new ModelRegistry(folders, { threads: 1 });
  server = await testServer(
    redis,
    cleanUp,
    { requireKey: true, models: models() },
    {
      models: models(),
    },
  );
  browser = await openBrowser(cleanUp);
  const model = 'look-up-reader';
  const made = [
    await server.submit(
      LONG,
      { filename: PRUNED, plan: 'apet-paper', model, render: undefined },
      keys.user,
    ),
    await server.submit(TEXT, { filename: 'gates.txt', model, render: undefined }, keys.other),
  ];
  const form = new FormData();
  form.set('file', new File(['no PDF at all'], UNREADABLE, { type: 'application/pdf' }));
  await server.fetch('/v1/documents', { method: 'POST', body: form, key: keys.user });
  await server.finished(made[0]!.id, keys.user);
  await server.finished(made[1]!.id, keys.other);
});

const textOf = (page: Page, selector: string) =>
  page.$eval(selector, (found) => found.textContent!.trim());
const countOf = (page: Page, selector: string) => page.$$eval(selector, (all) => all.length);
const statusOf = async (id: string, key: string) =>
  (await server.fetch(`/v1/documents/${id}`, { key })).status;
const listed = async (key: string): Promise<DocumentJson[]> =>
  (await (await server.fetch('/v1/documents', { key })).json()).data;

async function openPruned(page: Page): Promise<void> {
  const open = (await (await rowOf(page, PRUNED)).$('.open'))!;
  // As people do: away from the bar at the edge of a narrow screen.
  await open.evaluate((button) => button.scrollIntoView({ block: 'center' }));
  await open.click();
  await page.waitForSelector('#page img');
}

describe('a day with the console', () => {
  it('takes files, shows how far they are, answers, and leads to the place', async () => {
    const { page, problems } = await openPage(browser);
    await logIn(page, server.url, keys.user);
    await page.evaluate(() => {
      const seen = new Set<string>();
      (window as unknown as { seen: Set<string> }).seen = seen;
      new MutationObserver(() => {
        for (const bar of document.querySelectorAll('#list progress:not([hidden])'))
          seen.add(bar.closest('li')!.dataset.status!);
      }).observe(document.querySelector('#list')!, {
        subtree: true,
        childList: true,
        attributes: true,
      });
    });
    await choose(page, [
      { name: '<img src=x onerror=alert(1)>.txt', text: TEXT },
      { name: BROKEN, text: 'no PDF at all' },
    ]);
    const row = await rowOf(page, '<img src=x onerror=alert(1)>.txt');
    const failed = await rowOf(page, BROKEN, 'failed');
    const seen = await page.evaluate(() => [...(window as unknown as { seen: Set<string> }).seen]);
    expect(seen).toContain('in_progress');

    // What failed keeps its name, says why, and is no source of a question.
    const width = (selector: string) => failed.$eval(selector, (one) => one.clientWidth);
    expect(await width('.open')).toBeGreaterThan(180);
    expect(await width('.problem')).toBeGreaterThan(180);
    expect(await failed.$eval('.name', (name) => name.scrollHeight <= name.clientHeight)).toBe(
      true,
    );
    const tick = (one: typeof row) =>
      one.$eval('.tick', (box) => [
        (box as HTMLInputElement).checked,
        (box as HTMLInputElement).disabled,
      ]);
    expect([await tick(row), await tick(failed)]).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(await countOf(page, '#about li')).toBe(1);

    await (await row.$('.open'))!.click();
    await page.waitForSelector('#page img');
    expect(await textOf(page, '#page-count')).toBe('of 1');
    await ask(page, QUESTION);
    expect(await textOf(page, '.answer')).toContain('4817');
    expect(await textOf(page, '.cost')).toMatch(/\d tokens read · \d+ as plain text: [\d.]+×/);
    await page.waitForSelector('#page .mark.cited');
    expect(await textOf(page, '.place q')).toContain('4817');
    await picture(page, 'console');

    // Figures of the document are those of its report, and of the question.
    const first = (await listed(keys.user)).find(({ filename }) =>
      String(filename).startsWith('<img'),
    );
    const { compression, storage } = first as unknown as {
      compression: Record<string, number>;
      storage: { bytes: number };
    };
    const figures = await textOf(page, '#figures');
    for (const name of ['text_tokens', 'visual_tokens', 'context_tokens'])
      expect(figures).toContain(
        compression[name]!.toLocaleString('en', { maximumFractionDigits: 0 }),
      );
    expect(figures).toContain(`${compression.stacked_ratio!.toFixed(1)}×`);
    expect(figures).toMatch(storage.bytes > 1e6 ? /[\d.]+ MB/ : /[\d.]+ kB/);
    expect(figures).toMatch(/1 question so far took \d+ tokens/);

    expect(problems).toEqual([]);
    await page.browserContext().close();
  });

  it('shows passages that were read, beside what was cited', async () => {
    const { page, problems } = await openPage(browser);
    await logIn(page, server.url, keys.other);
    await page.click('#how summary');
    await page.select('#model', 'passages');
    await page.select('#plan', 'lossless');
    await choose(page, [{ name: 'passages.txt', text: TEXT }]);
    await rowOf(page, 'passages.txt');
    const made = (await listed(keys.other)).find(({ filename }) => filename === 'passages.txt');
    expect(made).toMatchObject({ model: 'passages', settings: { plan: 'lossless' } });
    await ask(page, QUESTION);
    expect(await textOf(page, 'article summary')).toMatch(/^Read as text: \d passages?$/);
    await page.click('article summary');
    await page.waitForSelector('.place.read');
    expect(await textOf(page, '.place.read q')).toContain('north gate');
    await page.click('.place.read');
    await page.waitForSelector('#page .mark.read');
    expect(await textOf(page, '#legend')).toContain('read as text, without the pages');
    expect(problems).toEqual([]);
    await page.browserContext().close();
  });

  it('keeps questions over a reload, for each key, until their document is deleted', async () => {
    const { page, problems } = await openPage(browser);
    await logIn(page, server.url, keys.user);
    await choose(page, [{ name: 'keep.txt', text: TEXT }]);
    await rowOf(page, 'keep.txt');
    await ask(page, QUESTION);
    await page.reload();
    await page.waitForSelector('#answers article');
    expect(await textOf(page, '.answer')).toContain('4817');

    await (await (await rowOf(page, UNREADABLE, 'failed')).$('.open'))!.click();
    await page.click('#only-opened');
    expect(await countOf(page, '#answers article')).toBe(0);
    await page.click('#only-opened');
    await page.click('.place');
    await page.waitForSelector('#page .mark.cited');

    await page.click('#change-key');
    await page.type('#key', keys.other);
    await page.keyboard.press('Enter');
    await rowOf(page, 'gates.txt');
    expect(await countOf(page, '#answers article')).toBe(0);
    await page.click('#change-key');
    await page.type('#key', keys.user);
    await page.keyboard.press('Enter');
    const row = await rowOf(page, 'keep.txt');
    await page.waitForSelector('#answers article');

    const { id } = (await listed(keys.user)).find(({ filename }) => filename === 'keep.txt')!;
    await (await row.$('.remove'))!.click();
    expect(await textOf(page, '#confirm-title')).toBe('Delete “keep.txt”?');
    await page.keyboard.press('Enter'); // what is in focus keeps it
    expect(await statusOf(id, keys.user)).toBe(200);
    await (await row.$('.remove'))!.click();
    await picture(page, 'console-delete');
    await page.click('#confirm-yes');
    await page.waitForFunction(() => document.querySelectorAll('#answers article').length === 0);
    expect(await statusOf(id, keys.user)).toBe(404);
    expect(problems).toEqual([]);
    await page.browserContext().close();
  });

  it('deletes what was confirmed last, however fast the question before it was put away', async () => {
    const { page, problems } = await openPage(browser);
    await logIn(page, server.url, keys.user);
    await choose(page, [
      { name: 'kept.txt', text: TEXT },
      { name: 'gone.txt', text: TEXT },
    ]);
    const [kept, gone] = [await rowOf(page, 'kept.txt'), await rowOf(page, 'gone.txt')];
    await page.evaluate(
      (...rows) => {
        const [removeKept, removeGone] = rows.map(
          (row) => (row as Element).querySelector<HTMLElement>('.remove')!,
        );
        removeKept!.click();
        document.querySelector('dialog')!.close('cancel'); // its event comes after what follows
        removeGone!.click();
      },
      kept,
      gone,
    );
    expect(await textOf(page, '#confirm-title')).toBe('Delete “gone.txt”?');
    await page.click('#confirm-yes');
    await page.waitForFunction((gone) => !gone.isConnected, {}, gone);
    expect(await kept.evaluate((row) => row.isConnected)).toBe(true);
    expect(problems).toEqual([]);
    await page.browserContext().close();
  });

  it('cancels what is under way, and its notices can be sent away and go by themselves', async () => {
    const { page, problems } = await openPage(browser);
    await logIn(page, server.url, keys.user);
    await choose(page, [{ name: 'long.txt', text: words(40_000, 3) }]);
    const row = await rowOf(page, 'long.txt', 'in_progress');
    await (await row.$('.cancel'))!.click();
    await rowOf(page, 'long.txt', 'cancelled');
    expect((await listed(keys.user))[0]).toMatchObject({
      filename: 'long.txt',
      status: 'cancelled',
    });
    await page.waitForSelector('.notice');
    await page.mouse.move(0, 0);
    await page.waitForFunction(() => !document.querySelector('.notice'), { timeout: 10_000 });
    await choose(page, [{ name: 'empty.txt', text: '' }]);
    await page.waitForSelector('.notice.failed');
    expect(await textOf(page, '.notice.failed p')).toMatch(/^empty\.txt: /);
    await page.click('.notice button');
    expect(await countOf(page, '.notice')).toBe(0);
    // Chromium reports what was refused.
    expect(problems.filter((problem) => !/status of 400/.test(problem))).toEqual([]);
    await page.browserContext().close();
  });

  it('says of an answer that there is none, and not how sure it is', async () => {
    const { page } = await openPage(browser);
    await logIn(page, server.url, keys.user);
    // As the console draws what is kept; text, because the test's compiler takes imports for its own.
    const shown = (await page.evaluate(`(async () => {
      const { answerOf } = await import('/answers.js');
      const glyphpress = { text_prompt_tokens: 1, wait_ms: 0, load_ms: 0, first_token_ms: 0 };
      const kept = {
        id: 'one', at: Date.now(), question: 'Who?', documents: [], answer: 'Nobody says.',
        usage: { prompt_tokens: 1, glyphpress },
      };
      const evidence = {
        citations: [], expanded: [], pagesRead: true, support: null, confidence: 0.9, calibrated: true,
      };
      return [true, false].map(
        (found) => answerOf({ ...kept, evidence: { ...evidence, found } }, {}).textContent,
      );
    })()`)) as string[];
    expect(shown[0]).toContain('sure to 90 %');
    expect(shown[1]).toContain('Not in the document');
    expect(shown[1]).not.toContain('90 %');
    await page.browserContext().close();
  });

  it('finds documents by name, and goes on behind the first fifty', async () => {
    const names = Array.from({ length: 55 }, (_, n) => `letter ${String(n).padStart(2, '0')}.txt`);
    for (const filename of names)
      await server.submit(
        '.',
        { filename, model: 'look-up-reader', render: undefined },
        keys.crowd,
      );
    const { page, problems } = await openPage(browser);
    await logIn(page, server.url, keys.crowd);
    await page.waitForFunction(() => document.querySelectorAll('#list li').length === 50);
    expect(await textOf(page, '#count')).toBe('50 of 55 documents');
    await page.click('#more');
    await page.waitForFunction(() => document.querySelectorAll('#list li').length === 55);
    expect(await page.$eval('#more', (button) => (button as HTMLElement).hidden)).toBe(true);
    const shown = await page.$$eval('#list .name', (all) => all.map((one) => one.textContent));
    expect(shown).toEqual(names.toReversed());

    await page.type('#search', 'LETTER 3');
    await page.waitForFunction(() => document.querySelectorAll('#list li').length === 10);
    await page.type('#search', '7x');
    await page.waitForSelector('#empty:not([hidden])');
    expect(problems).toEqual([]);
    await page.browserContext().close();
  });
});

describe('the pages of a document', () => {
  it('are turned, jumped to, chosen in small, and enlarged', async () => {
    const { page, problems } = await openPage(browser);
    await logIn(page, server.url, keys.user);
    await openPruned(page);
    const pages = await countOf(page, '#thumbnails li');
    expect(pages).toBeGreaterThan(2);
    const alt = () => page.$eval('#page img', (image) => (image as HTMLImageElement).alt);
    const at = (number: number) =>
      page.waitForFunction(
        (alt) => document.querySelector<HTMLImageElement>('#page img')?.alt === alt,
        {},
        `Page ${number} of ${PRUNED}`,
      );
    await page.click('#next');
    await at(2);
    await page.click('#page-number');
    await page.keyboard.type(String(pages));
    await page.keyboard.press('Enter');
    await at(pages);
    await page.click('#thumbnails li:first-child button');
    await at(1);
    await page.waitForSelector('#thumbnails li[data-drawn]');
    await page.focus('#page-view');
    await page.keyboard.press('PageDown');
    await at(2);
    const width = () => page.$eval('#page img', (image) => image.clientWidth);
    const fit = await width();
    await page.keyboard.press('+');
    await page.keyboard.press('+');
    expect(await width()).toBeCloseTo(fit * 1.5, -1);
    await page.keyboard.press('0');
    expect(await width()).toBe(fit);
    expect(await alt()).toBe(`Page 2 of ${PRUNED}`);
    expect(problems).toEqual([]);
    await page.browserContext().close();
  });

  it('show which cells each stage of pruning dropped', async () => {
    const { page, problems } = await openPage(browser);
    await logIn(page, server.url, keys.user);
    await openPruned(page);
    await page.waitForSelector('#stage-label:not([hidden])');
    const { id } = (await listed(keys.user)).find(({ filename }) => filename === PRUNED)!;
    const response = await server.fetch(`/v1/documents/${id}/cells?page=1`, { key: keys.user });
    const { stages, pages } = await response.json();
    const options = await page.$$eval('#stage option', (all) => all.map((one) => one.textContent));
    expect(options).toHaveLength(stages.length + 1);
    expect(stages.length).toBeGreaterThan(1);
    for (let stage = 1; stage <= stages.length; stage += 1) {
      await page.select('#stage', String(stage));
      const dropped = pages[0].survived.filter((survived: number) => survived < stage).length;
      await page.waitForFunction(
        (dropped) => {
          const canvas = document.querySelector<HTMLCanvasElement>('#page canvas.cells');
          if (!canvas) return false;
          const { width, height } = canvas;
          const { data } = canvas.getContext('2d')!.getImageData(0, 0, width, height);
          let veiled = 0;
          for (let at = 3; at < data.length; at += 4) if (data[at]! > 0) veiled += 1;
          return veiled === dropped;
        },
        { timeout: 10_000 },
        dropped,
      );
      const kept = pages[0].survived.length - dropped;
      expect(await textOf(page, '#legend')).toContain(
        `${kept} of ${pages[0].survived.length} cells`,
      );
    }
    await picture(page, 'console-cells');
    expect(problems).toEqual([]);
    await page.browserContext().close();
  });
});

describe('everybody', () => {
  it('can do all of it with the keyboard alone', async () => {
    const { page, problems } = await openPage(browser);
    await logIn(page, server.url, keys.user);
    await choose(page, [{ name: 'keys.txt', text: TEXT }]);
    await rowOf(page, 'keys.txt');
    const active = () =>
      page.evaluate(() => {
        const { id, className } = document.activeElement as HTMLElement;
        return id || className;
      });
    const tabTo = async (wanted: string) => {
      for (let presses = 0; presses < 80; presses += 1) {
        if ((await active()) === wanted) return;
        await page.keyboard.press('Tab');
      }
      throw new Error(`Tab does not lead to ${wanted}`);
    };
    await page.focus('.skip');
    await tabTo('file');
    await tabTo('search');
    await tabTo('open');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Home');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#page img');
    await tabTo('question');
    await page.keyboard.type(QUESTION);
    await page.keyboard.press('Enter');
    await page.waitForSelector('article[aria-busy="false"] .place', { timeout: 60_000 });
    await tabTo('place cited');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#page .mark.cited');
    await tabTo('page-number');
    await tabTo('zoom-in');
    await page.keyboard.press('Enter');
    expect(await textOf(page, '#zoom-fit')).toBe('125 %');
    await tabTo('page-view');

    await page.focus('.skip');
    await tabTo('open');
    await page.keyboard.press('Delete');
    await page.waitForSelector('dialog[open]');
    expect(await textOf(page, '#confirm-title')).toBe('Delete “keys.txt”?');
    await page.keyboard.press('Escape');
    expect(await countOf(page, 'dialog[open]')).toBe(0);
    await page.keyboard.press('Delete');
    await page.waitForSelector('dialog[open]');
    await page.keyboard.press('Tab');
    expect(await active()).toBe('confirm-yes');
    await page.keyboard.press('Enter');
    await page.waitForFunction(
      () => ![...document.querySelectorAll('.name')].some((one) => one.textContent === 'keys.txt'),
    );
    // Nobody is sent back to the top.
    expect(await active()).toBe('open');
    expect(problems).toEqual([]);
    await page.browserContext().close();
  });

  it.each([
    [1280, 'light'],
    [1280, 'dark'],
    [390, 'light'],
    [390, 'dark'],
  ] as const)('can read it: no rule of axe-core is broken at %i px, %s', async (width, scheme) => {
    const { page, problems } = await openPage(browser, { width, height: 800 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await logIn(page, server.url, keys.user);
    await rowOf(page, UNREADABLE, 'failed');
    const name = `console-${width}-${scheme}`;
    const look = async (what: string) => {
      expect([what, await violations(page)]).toEqual([what, []]);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(overflow).toBeLessThanOrEqual(width);
      await picture(page, `${name}-${what}`);
    };
    const part = async (which: string) => {
      if (width < 700) await page.click(`#tabs [data-part="${which}"]`);
    };
    await look('documents');
    await openPruned(page);
    await page.waitForSelector('#stage-label:not([hidden])');
    await page.select('#stage', '1');
    await page.waitForSelector('#page canvas.cells');
    await look('pages');
    await part('asking');
    await ask(page, QUESTION);
    await look('answer');
    await part('documents');
    const row = await rowOf(page, PRUNED);
    await (await row.$('.remove'))!.click();
    await look('delete');
    await page.keyboard.press('Escape');
    expect(problems).toEqual([]);
    await page.browserContext().close();
  });
});
