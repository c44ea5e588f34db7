/**
 * Where Chromium and a Redis-compatible server are looked for.
 *
 * Plain JavaScript on built-in modules only, because the set-up needs it before anything is
 * installed or compiled; src/environment imports the same file, so both always agree.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';

/** The oldest Node that works; package.json says the same under `engines`. */
export const MINIMUM_NODE = '20.19.0';

/** BullMQ refuses older servers. */
export const MINIMUM_REDIS = '6.2.0';

/** Names to look for on PATH, best first: the headless shell is smaller and starts faster. */
const CHROMIUM_NAMES = [
  'chromium-headless-shell',
  'chrome-headless-shell',
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'chrome',
];

/** Full paths to look at when PATH names nothing. */
const CHROMIUM_SYSTEM_PATHS = {
  linux: [
    '/usr/bin/chromium-headless-shell',
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome-stable',
    '/opt/google/chrome/chrome',
    '/usr/local/bin/chrome',
    '/snap/bin/chromium',
  ],
  darwin: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
  ],
  win32: [
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
    'C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe',
  ],
};

/** Executable inside `<cache>/<browser>/<platform>-<version>/<archive folder>/`. */
const PUPPETEER_EXECUTABLES = {
  'chrome-headless-shell': ['chrome-headless-shell', 'chrome-headless-shell.exe'],
  chrome: [
    'chrome',
    'chrome.exe',
    'Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing',
  ],
};

const REDIS_NAMES = ['redis-server', 'valkey-server'];

/** Folders that a service package may use although they are not on a user's PATH. */
const REDIS_SYSTEM_FOLDERS = ['/usr/bin', '/usr/local/bin', '/usr/sbin', '/opt/homebrew/bin'];

const PROBE_TIMEOUT_MS = 15_000;

/** −1, 0 or 1 for dotted version numbers of any length. */
export function compareVersions(a, b) {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** First executable file called `name` in an absolute folder of PATH, or null. */
export function findOnPath(name, env = process.env) {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    // An empty or relative entry means the current folder: whoever wrote that must not choose the browser.
    if (!isAbsolute(folder)) continue;
    const path = join(folder, name);
    if (isExecutableFile(path)) return path;
  }
  return null;
}

function isExecutableFile(path) {
  try {
    if (!statSync(path).isFile()) return false;
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** One answer per executable as it is on disk now; a version probe costs 10 to 500 ms. */
const probes = new Map();

/**
 * What `<path> --version` says.
 *
 * @returns {{ version: string, banner: string } | { problem: string }}
 */
function probeVersion(path, pattern, env) {
  let key;
  try {
    const { mtimeMs, size } = statSync(path);
    key = `${path}\0${mtimeMs}\0${size}`;
  } catch {
    return { problem: 'no such file' };
  }
  if (!probes.has(key)) probes.set(key, runVersionProbe(path, pattern, env));
  return probes.get(key);
}

function runVersionProbe(path, pattern, env) {
  if (!isExecutableFile(path)) return { problem: 'not an executable file' };
  const { stdout, stderr, status, error, signal } = spawnSync(path, ['--version'], {
    encoding: 'utf8',
    env,
    timeout: PROBE_TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error) return { problem: `does not start: ${error.message}` };
  const version = pattern.exec(stdout)?.[1];
  if (status === 0 && version) return { version, banner: stdout.trim() };
  const said = (stderr || stdout).trim().split('\n')[0]?.slice(0, 200);
  const how = signal ? `signal ${signal}` : `exit status ${status}`;
  return { problem: `--version gave ${how}${said ? `: ${said}` : ' and no version'}` };
}

function probeChromium(path, env, platform) {
  // On Windows `chrome.exe --version` opens a window and prints nothing.
  if (platform === 'win32') {
    return existsSync(path) ? { version: 'unknown' } : { problem: 'no such file' };
  }
  return probeVersion(path, /\b(\d+\.\d+\.\d+\.\d+)\b/, env);
}

/** Executables that `puppeteer browsers install` left, newest version first. */
function puppeteerCacheExecutables(env, home) {
  const cache = env.PUPPETEER_CACHE_DIR || join(home, '.cache', 'puppeteer');
  const found = [];
  for (const [browser, executables] of Object.entries(PUPPETEER_EXECUTABLES)) {
    const builds = listFolder(join(cache, browser))
      .map((name) => ({ name, version: name.slice(name.lastIndexOf('-') + 1) }))
      .filter(({ version }) => /^\d+(\.\d+)+$/.test(version))
      .sort((a, b) => compareVersions(b.version, a.version));
    for (const { name } of builds) {
      const build = join(cache, browser, name);
      for (const archive of listFolder(build)) {
        for (const executable of executables) {
          const path = join(build, archive, executable);
          if (existsSync(path)) found.push(path);
        }
      }
    }
  }
  return found;
}

function listFolder(path) {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/**
 * The first Chromium that answers `--version`, in the order GLYPHPRESS_CHROME → Puppeteer's cache →
 * PATH → known system paths.
 *
 * GLYPHPRESS_CHROME is final: when it is set and does not work, nothing else is tried, because a
 * silently different browser draws different pages.
 */
export function discoverChromium({
  env = process.env,
  platform = process.platform,
  home = homedir(),
  systemPaths = CHROMIUM_SYSTEM_PATHS[platform] ?? [],
} = {}) {
  const rejected = [];
  const seen = new Set();
  const accept = (path, source) => {
    if (seen.has(path)) return null;
    seen.add(path);
    const probe = probeChromium(path, env, platform);
    if (probe.version) return { found: { path, version: probe.version, source }, rejected };
    rejected.push({ path, source, problem: probe.problem });
    return null;
  };

  if (env.GLYPHPRESS_CHROME) {
    return accept(env.GLYPHPRESS_CHROME, 'GLYPHPRESS_CHROME') ?? { found: null, rejected };
  }
  for (const path of puppeteerCacheExecutables(env, home)) {
    const result = accept(path, 'puppeteer cache');
    if (result) return result;
  }
  for (const name of CHROMIUM_NAMES) {
    const path = findOnPath(name, env);
    const result = path && accept(path, 'PATH');
    if (result) return result;
  }
  for (const path of systemPaths.filter((path) => existsSync(path))) {
    const result = accept(path, 'system path');
    if (result) return result;
  }
  return { found: null, rejected };
}

/** The first Redis or Valkey server: GLYPHPRESS_REDIS_SERVER (final) → PATH → system folders. */
export function discoverRedisServer({
  env = process.env,
  systemFolders = REDIS_SYSTEM_FOLDERS,
} = {}) {
  const rejected = [];
  const accept = (path, source) => {
    const probe = probeVersion(path, /\bv=(\d+\.\d+\.\d+)/, env);
    const problem =
      probe.problem ??
      (compareVersions(probe.version, MINIMUM_REDIS) < 0
        ? `version ${probe.version} is older than ${MINIMUM_REDIS}`
        : null);
    if (problem) {
      rejected.push({ path, source, problem });
      return null;
    }
    const kind = /valkey/i.test(probe.banner) ? 'Valkey' : 'Redis';
    return { found: { path, version: probe.version, kind, source }, rejected };
  };

  if (env.GLYPHPRESS_REDIS_SERVER) {
    const result = accept(env.GLYPHPRESS_REDIS_SERVER, 'GLYPHPRESS_REDIS_SERVER');
    return result ?? { found: null, rejected };
  }
  for (const name of REDIS_NAMES) {
    const path = findOnPath(name, env);
    const result = path && accept(path, 'PATH');
    if (result) return result;
  }
  for (const folder of systemFolders) {
    for (const name of REDIS_NAMES) {
      const path = join(folder, name);
      const result = isExecutableFile(path) && accept(path, 'system path');
      if (result) return result;
    }
  }
  return { found: null, rejected };
}

/**
 * Whether Chromium can use its sandbox here. It cannot as root, nor where the kernel gives ordinary
 * users no namespaces; then it starts only with `--no-sandbox`.
 */
export function chromiumSandbox({
  platform = process.platform,
  uid = process.getuid?.(),
  env = process.env,
} = {}) {
  if (platform !== 'linux') return { usable: true, reason: `always on ${platform}` };
  if (uid === 0) return { usable: false, reason: 'Chromium refuses its sandbox as root' };
  if (kernelSetting('/proc/sys/user/max_user_namespaces') === '0') {
    return { usable: false, reason: 'user namespaces are off (user.max_user_namespaces=0)' };
  }
  if (kernelSetting('/proc/sys/kernel/unprivileged_userns_clone') === '0') {
    return {
      usable: false,
      reason: 'user namespaces need root (kernel.unprivileged_userns_clone=0)',
    };
  }
  // Containers and AppArmor forbid it in ways that no setting shows: try it where the tool is at hand.
  const unshare = findOnPath('unshare', env);
  if (unshare) {
    const { status } = spawnSync(unshare, ['--user', '--map-root-user', 'true'], {
      env,
      stdio: 'ignore',
      timeout: PROBE_TIMEOUT_MS,
    });
    if (status !== 0) {
      return { usable: false, reason: 'this container or security profile forbids namespaces' };
    }
  }
  return { usable: true, reason: 'user namespaces are available' };
}

function kernelSetting(path) {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

/** The ways to get a Chromium, one a line, best first. */
export function chromiumChoices(platform = process.platform) {
  const debian = 'Debian: apt-get install chromium-headless-shell';
  const puppeteer = 'any system: npx puppeteer browsers install chrome-headless-shell';
  const own = 'have one already: set GLYPHPRESS_CHROME to its executable';
  if (platform === 'linux') return [debian, puppeteer, own];
  return ['install Google Chrome', puppeteer, own];
}

/** The ways to get a Redis-compatible server, one a line, best first. */
export function redisChoices(platform = process.platform) {
  return [
    platform === 'darwin'
      ? 'macOS: brew install redis (or valkey)'
      : 'Debian, Ubuntu: apt-get install redis-server (or valkey-server)',
    'have one running: set REDIS_URL, for example redis://localhost:6379',
    'have the binary elsewhere: set GLYPHPRESS_REDIS_SERVER to it',
  ];
}
