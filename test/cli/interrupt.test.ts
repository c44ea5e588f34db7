import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { startGlyphpress } from '../support/cli.js';
import { namesIn, sharedFolder, temporaryFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';
import { words } from '../support/rendering.js';

const folder = sharedFolder();
const file = path.join(folder, 'long.txt');
writeFileSync(file, words(400_000)); // some thousand small pages
/** As many small pages as one context of the tiny model holds, nearly. */
const fitting = path.join(folder, 'fitting.txt');
writeFileSync(fitting, words(9_500));
const SMALL = ['--set', 'page-size=196,112'];

/** Processes that use the folder: browsers name it as the place of their profile. */
function processesNaming(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((id) => {
      try {
        return readFileSync(`/proc/${id}/cmdline`, 'utf8').includes(text);
      } catch {
        return false; // gone meanwhile
      }
    });
}

async function until(condition: () => boolean, timeoutMs: number, what: string) {
  const end = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** All folders below, with the folder itself. */
const everythingIn = (dir: string) => readdirSync(dir, { recursive: true, encoding: 'utf8' });

// Processes are found in /proc.
describe.skipIf(!existsSync('/proc/self/cmdline'))('Ctrl-C', () => {
  /** Starts a command, interrupts its process group when it is busy, and checks what is left. */
  async function interrupt(
    args: string[],
    isBusy: () => boolean,
    signal: NodeJS.Signals = 'SIGINT',
    cache = path.join(folder, 'cache'),
  ) {
    const scratch = path.join(temporaryFolder(), 'scratch');
    mkdirSync(scratch);
    const env = { TMPDIR: scratch, GLYPHPRESS_CACHE: cache };
    const { child, result } = startGlyphpress(args, { env });
    try {
      await until(isBusy, 90_000, 'the work');
      expect(processesNaming(scratch).length).toBeGreaterThan(0);
      const start = Date.now();
      process.kill(-child.pid!, signal);
      const { code, stdout, stderr } = await result;
      expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
      expect(stderr).toMatch(/interrupted\n$/);
      expect(stderr).not.toMatch(/^\s+at /m);
      expect(Date.now() - start).toBeLessThan(10_000);
      // Chromium's helpers notice the end of their parent a moment later.
      await until(() => processesNaming(scratch).length === 0, 3_000, 'the end of all browsers');
      expect(everythingIn(scratch)).toEqual([]);
    } finally {
      if (child.exitCode === null) process.kill(-child.pid!, 'SIGKILL');
      await result;
    }
  }

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends render (%s): no browser, no file',
    async (signal) => {
      const out = path.join(temporaryFolder(), 'pages');
      const args = ['render', file, '-o', out, '--browsers', '2', ...SMALL];
      await interrupt(args, () => existsSync(path.join(out, 'page-0020.png')), signal);
      expect(namesIn(out)).toEqual([]);
    },
  );

  it('ends compress: the folder beside is not left either', async () => {
    const parent = temporaryFolder();
    const out = path.join(parent, 'x');
    const args = ['compress', fitting, '-o', out, '--model', TINY_MODEL, ...SMALL];
    const pages = () => everythingIn(parent).filter((name) => name.endsWith('.png')).length;
    await interrupt(args, () => pages() > 5);
    expect(namesIn(parent)).toEqual([]);
  });

  it('ends ask: no half context stays in the cache', async () => {
    const cache = temporaryFolder();
    const args = ['ask', file, 'Which gate?', '--model', TINY_MODEL, ...SMALL];
    const pages = () => everythingIn(cache).filter((name) => name.endsWith('.png')).length;
    await interrupt(args, () => pages() > 5, 'SIGINT', cache);
    expect(namesIn(path.join(cache, 'contexts'))).toEqual([]);
  });
});
