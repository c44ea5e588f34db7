import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  chromiumSandbox,
  compareVersions,
  discoverChromium,
  discoverRedisServer,
  findOnPath,
} from '../../scripts/setup/discovery.mjs';
import { requireChromium } from '../../src/environment/chromium.js';
import { findRedisServer } from '../../src/environment/redis.js';
import { fakeChromium, fakeProgram, temporaryFolder } from './fake-program.js';

describe('discovery of Chromium', () => {
  /** A machine with a Chromium in every place; the tests take them away one by one. */
  function machine() {
    const folder = temporaryFolder();
    const env: NodeJS.ProcessEnv = {
      PATH: `${join(folder, 'bin')}:/usr/bin:/bin`,
      GLYPHPRESS_CHROME: fakeChromium(join(folder, 'own/chrome'), '1.0.0.1'),
      PUPPETEER_CACHE_DIR: join(folder, 'puppeteer'),
    };
    fakeChromium(join(folder, 'bin/chromium-headless-shell'), '1.0.0.3');
    const systemPaths = [fakeChromium(join(folder, 'system/chrome'), '1.0.0.4')];
    for (const version of ['99.0.0.1', '130.0.0.2', '9.0.0.3']) {
      fakeChromium(
        join(folder, `puppeteer/chrome/linux-${version}/chrome-linux64/chrome`),
        version,
      );
    }
    const discover = () => discoverChromium({ env, systemPaths, platform: 'linux', home: folder });
    return { folder, env, discover };
  }

  it('takes GLYPHPRESS_CHROME first', () => {
    expect(machine().discover().found).toMatchObject({
      version: '1.0.0.1',
      source: 'GLYPHPRESS_CHROME',
    });
  });

  it('takes the newest build of the Puppeteer cache next, by number and not by text', () => {
    const { env, discover } = machine();
    delete env.GLYPHPRESS_CHROME;
    expect(discover().found).toMatchObject({ version: '130.0.0.2', source: 'puppeteer cache' });
  });

  it('prefers the headless shell in the Puppeteer cache', () => {
    const { env, folder, discover } = machine();
    delete env.GLYPHPRESS_CHROME;
    fakeChromium(
      join(
        folder,
        'puppeteer/chrome-headless-shell/linux-120.0.0.1/chrome-headless-shell-linux64/chrome-headless-shell',
      ),
      '120.0.0.1',
    );
    expect(discover().found?.version).toBe('120.0.0.1');
  });

  it('takes PATH next, by preference of name and not by order of folders', () => {
    const { env, folder, discover } = machine();
    delete env.GLYPHPRESS_CHROME;
    delete env.PUPPETEER_CACHE_DIR;
    fakeChromium(join(folder, 'first/google-chrome'), '1.0.0.9');
    env.PATH = `${join(folder, 'first')}:${env.PATH}`;
    expect(discover().found).toEqual({
      path: join(folder, 'bin/chromium-headless-shell'),
      version: '1.0.0.3',
      source: 'PATH',
    });
  });

  it('takes the known system paths last', () => {
    const { env, discover } = machine();
    delete env.GLYPHPRESS_CHROME;
    delete env.PUPPETEER_CACHE_DIR;
    env.PATH = '';
    expect(discover().found).toMatchObject({ version: '1.0.0.4', source: 'system path' });
  });

  it('passes over a program that does not answer, and says why', () => {
    const { env, folder, discover } = machine();
    delete env.GLYPHPRESS_CHROME;
    delete env.PUPPETEER_CACHE_DIR;
    // What Ubuntu installs where the snap is missing.
    const stub = fakeProgram(
      join(folder, 'bin/chromium-headless-shell'),
      'echo "requires the chromium snap to be installed" >&2; exit 1',
    );
    env.PATH = join(folder, 'bin');
    const { found, rejected } = discover();
    expect(found?.source).toBe('system path');
    expect(rejected).toEqual([
      {
        path: stub,
        source: 'PATH',
        problem: expect.stringContaining('requires the chromium snap'),
      },
    ]);
  });

  it('does not replace a GLYPHPRESS_CHROME that does not work by another browser', () => {
    const { env, folder, discover } = machine();
    env.GLYPHPRESS_CHROME = join(folder, 'nowhere');
    expect(discover()).toEqual({
      found: null,
      rejected: [
        { path: env.GLYPHPRESS_CHROME, source: 'GLYPHPRESS_CHROME', problem: 'no such file' },
      ],
    });
  });

  it('asks again when the executable was replaced', () => {
    const { env, folder, discover } = machine();
    env.GLYPHPRESS_CHROME = join(folder, 'own/chrome');
    expect(discover().found?.version).toBe('1.0.0.1');
    fakeChromium(env.GLYPHPRESS_CHROME, '200.0.0.17');
    expect(discover().found?.version).toBe('200.0.0.17');
  });

  it('throws GP_BROWSER_NOT_FOUND with the ways to mend it', () => {
    const folder = temporaryFolder();
    const pinned = { GLYPHPRESS_CHROME: join(folder, 'nowhere') };
    expect(() => requireChromium(pinned)).toThrow(
      expect.objectContaining({
        code: 'GP_BROWSER_NOT_FOUND',
        message: expect.stringContaining('nowhere'),
        hint: expect.stringContaining('GLYPHPRESS_CHROME'),
        details: expect.objectContaining({
          choices: expect.arrayContaining([expect.stringContaining('puppeteer browsers install')]),
        }),
      }),
    );
  });
});

describe('discovery of Redis', () => {
  it('finds Valkey when there is no Redis, and names it', () => {
    const folder = temporaryFolder();
    const path = fakeProgram(
      join(folder, 'valkey-server'),
      'echo "Valkey server v=8.1.0 sha=00000000:0 malloc=jemalloc bits=64"',
    );
    expect(discoverRedisServer({ env: { PATH: folder }, systemFolders: [] }).found).toEqual({
      path,
      version: '8.1.0',
      kind: 'Valkey',
      source: 'PATH',
    });
  });

  it('passes over a server that BullMQ refuses', () => {
    const folder = temporaryFolder();
    fakeProgram(join(folder, 'redis-server'), 'echo "Redis server v=5.0.14 sha=00000000:0"');
    const { found, rejected } = discoverRedisServer({ env: { PATH: folder }, systemFolders: [] });
    expect(found).toBeNull();
    expect(rejected[0]?.problem).toBe('version 5.0.14 is older than 6.2.0');
  });

  it('takes GLYPHPRESS_REDIS_SERVER and nothing else when it is set', () => {
    expect(findRedisServer({ ...process.env, GLYPHPRESS_REDIS_SERVER: '/nowhere' })).toBeNull();
  });
});

describe('the sandbox', () => {
  it('cannot be used as root', () => {
    expect(chromiumSandbox({ platform: 'linux', uid: 0 })).toEqual({
      usable: false,
      reason: expect.stringContaining('root'),
    });
  });

  it('cannot be used where namespaces are forbidden', () => {
    const folder = temporaryFolder();
    fakeProgram(join(folder, 'unshare'), 'exit 1');
    expect(chromiumSandbox({ platform: 'linux', uid: 1000, env: { PATH: folder } }).usable).toBe(
      false,
    );
  });

  it('is on elsewhere', () => {
    expect(chromiumSandbox({ platform: 'darwin', uid: 501 }).usable).toBe(true);
  });
});

describe('the search on PATH', () => {
  it('ignores files that are not executable, folders, and entries relative to the current folder', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'plain'), '');
    fakeProgram(join(folder, 'program'), 'exit 0');
    expect(findOnPath('plain', { PATH: folder })).toBeNull();
    expect(findOnPath('program', { PATH: folder })).toBe(join(folder, 'program'));
    expect(findOnPath('package.json', { PATH: `:.:${folder}` })).toBeNull();
    expect(findOnPath('environment', { PATH: join(folder, '..') })).toBeNull();
  });
});

it.each([
  ['20.19.0', '20.19', 0],
  ['20.9.0', '20.19.0', -1],
  ['22.0.0', '20.19.0', 1],
])('compares %s with %s', (a, b, expected) => {
  expect(compareVersions(a, b)).toBe(expected);
});
