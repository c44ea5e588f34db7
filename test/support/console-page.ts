/** The console in a real browser, used as people use it. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function openBrowser(cleanUp: (() => Promise<unknown>)[]): Promise<Browser> {
  const { executablePath } = chromiumOptions();
  const browser = await puppeteer.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu'],
  });
  cleanUp.push(() => browser.close());
  return browser;
}

/** What a page must not do: break its policy, or throw. */
export async function openPage(
  browser: Browser,
  { width = 1280, height = 800 } = {},
): Promise<{ page: Page; problems: string[] }> {
  // What it keeps, it keeps for itself.
  const page = await (await browser.createBrowserContext()).newPage();
  await page.setViewport({ width, height });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    const isAskedFor = /status of 401/.test(message.text());
    if (message.type() === 'error' && !isAskedFor) problems.push(message.text());
  });
  return { page, problems };
}

/** A picture for people who look at what was tested. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.GLYPHPRESS_TEST_PICTURES;
  if (folder) await page.screenshot({ path: path.join(folder, `${name}.png`) as `${string}.png` });
}

export async function logIn(page: Page, url: string, key: string): Promise<void> {
  await page.goto(url);
  await page.waitForSelector('#key-form:not([hidden])');
  await page.type('#key', key);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('#model option').length > 0);
}

/** Files as the chooser gives them. */
export async function choose(page: Page, files: { name: string; text: string }[]): Promise<void> {
  await page.waitForSelector('#file');
  await page.evaluate((given) => {
    const chosen = new DataTransfer();
    for (const { name, text } of given) chosen.items.add(new File([text], name));
    const file = document.querySelector<HTMLInputElement>('#file')!;
    file.files = chosen.files;
    file.dispatchEvent(new Event('change', { bubbles: true }));
  }, files);
}

/** The row of a document, once it is in this state. */
export async function rowOf(page: Page, name: string, status = 'completed') {
  const handle = await page.waitForFunction(
    (name, status) =>
      [...document.querySelectorAll<HTMLElement>('#list > li')].find(
        (row) => row.querySelector('.name')!.textContent === name && row.dataset.status === status,
      ),
    { timeout: 90_000 },
    name,
    status,
  );
  return handle.asElement()!;
}

/** Asks, and waits for the end of the answer. */
export async function ask(page: Page, question: string): Promise<void> {
  await page.type('#question', question);
  await page.keyboard.press('Enter');
  await page.waitForFunction(
    (question) => {
      const first = document.querySelector('#answers article');
      return (
        first?.querySelector('.asked')?.textContent === question &&
        first.getAttribute('aria-busy') === 'false'
      );
    },
    { timeout: 90_000 },
    question,
  );
}

/** Rules of axe-core that are broken, with the elements that break them. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { target: string[] }[] }[] }> };
    };
    const found = (await axe.run()).violations;
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(', ')}`);
  });
}
