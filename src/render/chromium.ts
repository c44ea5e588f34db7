/**
 * The only module that knows puppeteer: starts Chromium locked down and with repeatable text, and
 * keeps one prepared page alive across crashes.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import type { Browser, CDPSession, Page } from 'puppeteer';
import { GlyphpressError } from '../errors.js';
import { makeFolderSync } from '../output-folder.js';

const require = createRequire(import.meta.url);

export interface ChromiumOptions {
  executablePath: string;
  /** Off only where the user allows it (as root Chromium cannot start with it). */
  sandbox: boolean;
  /** Browsers put their profiles and caches here. @defaultValue the system's temporary folder */
  scratchFolder?: string;
  /** A task that takes longer is given up and tried again in a new browser. @defaultValue 60,000 */
  taskTimeoutMs?: number;
}

/** Flags that decide how text looks; part of the renderer's fingerprint. */
export const TEXT_FLAGS: readonly string[] = [
  '--font-render-hinting=none',
  '--disable-lcd-text',
  '--force-device-scale-factor=1',
  '--force-color-profile=srgb',
  '--disable-gpu',
];

const LOCKDOWN_FLAGS: readonly string[] = [
  '--host-resolver-rules=MAP * ~NOTFOUND',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-extensions',
  '--disable-sync',
  '--no-first-run',
  '--disable-dev-shm-usage',
];

const MAX_ATTEMPTS = 3;

/** A page with its CDP session, as tasks see it. */
export interface PreparedPage {
  page: Page;
  cdp: CDPSession;
}

/**
 * One browser with one page that `prepare` made ready. A task that dies with its browser is run
 * again in a new one; tasks must therefore be free of side effects outside the page.
 */
export class PageSlot {
  readonly #options: ChromiumOptions;
  readonly #prepare: (page: Page) => Promise<void>;
  #opening: Promise<PreparedPage & { browser: Browser }> | null = null;
  #closed = false;
  #restarts = 0;

  constructor(options: ChromiumOptions, prepare: (page: Page) => Promise<void>) {
    this.#options = options;
    this.#prepare = prepare;
  }

  /** How often the browser had to be started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Process group of the running browser, or null; for tests that kill it. */
  async processGroup(): Promise<number | null> {
    return (await this.#open()).browser.process()?.pid ?? null;
  }

  /** Starts the browser ahead of its first task; a failure shows when the task comes. */
  warmUp(): void {
    this.#open().catch(() => {});
  }

  async browserVersion(): Promise<string> {
    return (await this.#open()).browser.version();
  }

  /**
   * @throws {GlyphpressError} GP_BROWSER_CRASHED after {@link MAX_ATTEMPTS} deaths; whatever the
   *   task throws while the browser lives
   */
  async run<T>(task: (prepared: PreparedPage) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const opening = this.#open();
      let opened: Awaited<typeof opening>;
      try {
        opened = await opening;
      } catch (cause) {
        // A browser may also die while it starts. One that never starts fails the same way each time.
        if (
          this.#closed ||
          attempt === MAX_ATTEMPTS ||
          !(isLaunchFailure(cause) || isTargetLoss(cause))
        )
          throw cause;
        this.#restarts++;
        continue;
      }
      const watch = watchPage(opened.page, opened.browser, this.#options.taskTimeoutMs ?? 60_000);
      try {
        return await Promise.race([task(opened), watch.death]);
      } catch (cause) {
        const died = watch.died || !opened.browser.connected || isTargetLoss(cause);
        if (!died || this.#closed) throw cause;
        await this.#discard(opening, opened.browser);
        if (attempt === MAX_ATTEMPTS) {
          throw new GlyphpressError('GP_BROWSER_CRASHED', {
            message: `Chromium died ${MAX_ATTEMPTS} times on the same task: ${(cause as Error).message}`,
            hint: 'Check free memory and `glyphpress doctor`; a smaller page or lower dpi needs less.',
            cause,
          });
        }
        this.#restarts++;
      } finally {
        watch.stop();
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const opening = this.#opening;
    this.#opening = null;
    const opened = await opening?.catch(() => null);
    if (opened) await closeBrowser(opened.browser);
  }

  #open() {
    this.#opening ??= launch(this.#options).then(async (browser) => {
      try {
        const page = await browser.newPage();
        // No script of the page's own ever runs; our evaluate still does.
        await page.setJavaScriptEnabled(false);
        await page.setOfflineMode(true);
        await this.#prepare(page);
        return { browser, page, cdp: await page.createCDPSession() };
      } catch (error) {
        await closeBrowser(browser);
        throw error;
      }
    });
    const opening = this.#opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = null;
    });
    return opening;
  }

  /** Several tasks may notice the same death; the first one clears the way for a new browser. */
  async #discard(opening: Promise<unknown>, browser: Browser): Promise<void> {
    if (this.#opening === opening) this.#opening = null;
    await closeBrowser(browser);
  }
}

async function launch(options: ChromiumOptions): Promise<Browser> {
  // Loaded late: most commands start no browser.
  const { default: puppeteer } = await import('puppeteer');
  const scratch = scratchFolder(options.scratchFolder ?? os.tmpdir());
  try {
    const browser = await puppeteer.launch({
      executablePath: options.executablePath,
      headless: options.executablePath.includes('headless-shell') ? 'shell' : true,
      pipe: true,
      protocolTimeout: 0,
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
      env: { ...process.env, FONTCONFIG_FILE: scratch.fontconfig },
      userDataDir: scratch.profile,
      args: [...TEXT_FLAGS, ...LOCKDOWN_FLAGS, ...(options.sandbox ? [] : ['--no-sandbox'])],
    });
    // Its processes still write when the connection is gone: the folder goes when they are.
    browser.process()!.once('exit', scratch.remove);
    ignoreBrokenPipes(browser);
    return browser;
  } catch (cause) {
    scratch.remove();
    throw new GlyphpressError('GP_BROWSER_LAUNCH', {
      message: `${options.executablePath} does not start: ${firstLine(cause)}`,
      hint: options.sandbox
        ? 'Run `glyphpress doctor`. In a container without user namespaces set GLYPHPRESS_CHROME_SANDBOX=off.'
        : 'Run `glyphpress doctor`; it names missing libraries and other browsers.',
      details: { executablePath: options.executablePath },
      cause,
    });
  }
}

/**
 * A browser that is killed while data is under way breaks its pipes after puppeteer has let go of
 * them; unheard, that error would end this process. The death itself is noticed elsewhere.
 */
function ignoreBrokenPipes(browser: Browser): void {
  for (const stream of browser.process()?.stdio ?? []) stream?.on('error', () => {});
}

/**
 * What one browser writes beside pages: its profile, its caches. It sees the bundled fonts only, so
 * that no font of the machine can slip onto a page.
 */
function scratchFolder(parent: string) {
  makeFolderSync(parent);
  const folder = mkdtempSync(path.join(parent, 'glyphpress-browser-'));
  const fonts = path.join(path.dirname(require.resolve('dejavu-fonts-ttf/package.json')), 'ttf');
  const fontconfig = path.join(folder, 'fonts.conf');
  writeFileSync(
    fontconfig,
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${escapeXml(fonts)}</dir><cachedir>${escapeXml(path.join(folder, 'cache'))}</cachedir></fontconfig>`,
  );
  return {
    fontconfig,
    profile: path.join(folder, 'profile'),
    remove: () => {
      try {
        rmSync(folder, { recursive: true, force: true });
      } catch {
        // A last process of the browser still writes; the folder around it goes in the end.
      }
    },
  };
}

function escapeXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

/** Rejects `death` when the page's renderer crashes, the browser goes away, or time runs out. */
function watchPage(page: Page, browser: Browser, timeoutMs: number) {
  const watch = {
    died: false,
    death: null as unknown as Promise<never>,
    stop: () => {},
  };
  watch.death = new Promise<never>((_, reject) => {
    const die = (reason: string) => {
      watch.died = true;
      reject(new Error(reason));
    };
    const onCrash = (error: Error) => die(error.message);
    const onDisconnect = () => die('the browser process ended');
    const timer = setTimeout(() => die(`no answer within ${timeoutMs} ms`), timeoutMs);
    page.on('error', onCrash);
    browser.on('disconnected', onDisconnect);
    watch.stop = () => {
      clearTimeout(timer);
      page.off('error', onCrash);
      browser.off('disconnected', onDisconnect);
    };
  });
  watch.death.catch(() => {});
  return watch;
}

function isLaunchFailure(error: unknown): boolean {
  return error instanceof GlyphpressError && error.code === 'GP_BROWSER_LAUNCH';
}

function isTargetLoss(error: unknown): boolean {
  const name = (error as Error | null)?.name ?? '';
  const message = (error as Error | null)?.message ?? '';
  return (
    name === 'TargetCloseError' ||
    name === 'ConnectionClosedError' ||
    /Target closed|Session closed|detached Frame|Connection closed|Target crashed/i.test(message)
  );
}

async function closeBrowser(browser: Browser): Promise<void> {
  const child = browser.process();
  const gone = new Promise<void>((resolve) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });
  const politely = browser.close().catch(() => {});
  const timer = setTimeout(() => killGroup(child?.pid), 3_000);
  await Promise.all([politely, gone]);
  clearTimeout(timer);
}

/** The whole group: what was started may be a wrapper script around the browser. */
function killGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? leader : -leader, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

function firstLine(error: unknown): string {
  return String((error as Error)?.message ?? error)
    .split('\n')
    .find((line) => line.trim()) as string;
}
