/** What glyphpress finds on this machine, and how to mend what it does not find. */

import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import {
  chromiumChoices,
  compareVersions,
  discoverChromium,
  discoverRedisServer,
  MINIMUM_NODE,
  redisChoices,
} from '#setup/discovery.mjs';
import { cacheFolder } from '../cache-folder.js';
import { packageFile } from '../package-file.js';
import { sandboxState } from './chromium.js';
import { pingRedis } from './redis.js';

/**
 * `ok`: as it should be. `warn`: works, or is needed by some commands only. `missing`: something
 * that the main job needs is absent or broken.
 */
export type CheckStatus = 'ok' | 'warn' | 'missing';

export interface DoctorCheck {
  name: string;
  status: CheckStatus;
  /** One line for people. */
  detail: string;
  /** The ways to mend it, one a line; present unless the status is `ok`. */
  fix?: string;
  /** The same facts for scripts. */
  facts?: Record<string, unknown>;
}

export interface DoctorReport {
  /** False when a check is `missing`. */
  ok: boolean;
  version: string;
  platform: string;
  checks: DoctorCheck[];
}

export interface DiagnoseOptions {
  env?: NodeJS.ProcessEnv;
  /** Folder that holds package.json and models. @defaultValue where glyphpress is installed */
  packageRoot?: string;
  /** What else is checked, in the order in which it is shown. */
  more?: readonly (() => Promise<DoctorCheck>)[];
}

const GIB = 2 ** 30;

/** Below these, documents of a few hundred pages start to fail. */
const LOW_DISK_BYTES = 2 * GIB;
const LOW_MEMORY_BYTES = 2 * GIB;

const REINSTALL = 'node scripts/setup.mjs (in a clone), or npm install glyphpress again';

/** Run every check. Takes well under a second unless REDIS_URL names a server that does not answer. */
export async function diagnose({
  env = process.env,
  packageRoot = packageFile(''),
  more = [],
}: DiagnoseOptions = {}): Promise<DoctorReport> {
  const checks = await Promise.all([
    checkNode(),
    checkChromium(env),
    checkRedis(env),
    checkFonts(packageRoot),
    checkOnnxRuntime(packageRoot),
    checkSharp(),
    checkModels(packageRoot),
    checkDisk(env),
    checkMemory(),
    checkCache(env),
    ...more.map((check) => check()),
  ]);
  return {
    ok: checks.every(({ status }) => status !== 'missing'),
    version: readJson(join(packageRoot, 'package.json'))?.version ?? 'unknown',
    platform: `${process.platform}-${process.arch}`,
    checks,
  };
}

function checkNode(): DoctorCheck {
  const version = process.versions.node;
  if (compareVersions(version.split('-')[0]!, MINIMUM_NODE) >= 0) {
    return { name: 'node', status: 'ok', detail: version, facts: { version } };
  }
  return {
    name: 'node',
    status: 'missing',
    detail: `${version} is older than ${MINIMUM_NODE}`,
    fix: 'install Node 20 LTS or newer from https://nodejs.org',
    facts: { version },
  };
}

function checkChromium(env: NodeJS.ProcessEnv): DoctorCheck {
  const { found, rejected } = discoverChromium({ env });
  const problems = rejected.map(({ path, problem }) => `${path}: ${problem}`);
  if (!found) {
    const pinned = env.GLYPHPRESS_CHROME;
    return {
      name: 'chromium',
      status: 'missing',
      detail: ['none that works', ...problems].join('; '),
      fix: [...(pinned ? ['correct or unset GLYPHPRESS_CHROME'] : []), ...chromiumChoices()].join(
        '\n',
      ),
      facts: { rejected },
    };
  }
  const sandbox = sandboxState(env);
  const detail = `${found.version}, ${found.path} (${found.source})`;
  const facts = { ...found, sandbox, rejected };
  if (sandbox.usable) {
    return { name: 'chromium', status: 'ok', detail: `${detail}, sandbox on`, facts };
  }
  return {
    name: 'chromium',
    status: 'warn',
    detail: `${detail}, sandbox off: ${sandbox.reason}`,
    fix: 'run as an ordinary user on a system that allows user namespaces; until then render only documents that you trust',
    facts,
  };
}

async function checkRedis(env: NodeJS.ProcessEnv): Promise<DoctorCheck> {
  const name = 'redis';
  const { found, rejected } = discoverRedisServer({ env });
  const url = env.REDIS_URL;
  if (url) {
    const where = withoutPassword(url);
    const ping = await pingRedis(url);
    const facts = { url: where, ping, server: found };
    if (!ping.ok) {
      return {
        name,
        status: 'warn',
        detail: `REDIS_URL ${where} does not answer: ${ping.problem}`,
        fix: 'start that server, or correct REDIS_URL, or unset it to let glyphpress start its own',
        facts,
      };
    }
    const detail = `${ping.version} at ${where}, ${ping.latencyMs.toFixed(1)} ms (REDIS_URL)`;
    if (ping.evictionPolicy && ping.evictionPolicy !== 'noeviction') {
      return {
        name,
        status: 'warn',
        detail: `${detail}, maxmemory-policy ${ping.evictionPolicy} can lose jobs`,
        fix: 'redis-cli config set maxmemory-policy noeviction, and the same in redis.conf',
        facts,
      };
    }
    return { name, status: 'ok', detail, facts };
  }
  if (!found) {
    return {
      name,
      status: 'warn',
      detail: [
        'no server found; only serve and worker need one',
        ...rejected.map(({ path, problem }) => `${path}: ${problem}`),
      ].join('; '),
      fix: redisChoices().join('\n'),
      facts: { rejected },
    };
  }
  return {
    name,
    status: 'ok',
    detail: `${found.kind} ${found.version}, ${found.path} (${found.source})`,
    facts: { server: found },
  };
}

function withoutPassword(url: string): string {
  try {
    const parsed = new URL(url);
    if (parsed.password) parsed.password = '***';
    return parsed.href;
  } catch {
    // Not a URL: the position of a secret in it is unknown, so none of it is shown.
    return '(not a URL)';
  }
}

/** Per font package, files whose absence would show as boxes on a page. */
const FONT_FILES: Record<string, string[]> = {
  'dejavu-fonts-ttf': ['ttf/DejaVuSans.ttf', 'ttf/DejaVuSansMono.ttf'],
  '@fontsource-variable/noto-sans-sc': [
    'index.css',
    'files/noto-sans-sc-latin-wght-normal.woff2',
    'files/noto-sans-sc-119-wght-normal.woff2',
  ],
};

function checkFonts(packageRoot: string): DoctorCheck {
  const absent: string[] = [];
  const present: string[] = [];
  for (const [name, files] of Object.entries(FONT_FILES)) {
    const folder = findPackage(name, packageRoot);
    if (!folder) {
      absent.push(name);
      continue;
    }
    absent.push(
      ...files.filter((file) => !existsSync(join(folder, file))).map((f) => `${name}/${f}`),
    );
    present.push(`${name} ${readJson(join(folder, 'package.json'))?.version}`);
  }
  if (absent.length === 0) {
    return { name: 'fonts', status: 'ok', detail: present.join(', '), facts: { present } };
  }
  return {
    name: 'fonts',
    status: 'missing',
    detail: `absent: ${absent.join(', ')}`,
    fix: REINSTALL,
    facts: { present, absent },
  };
}

/** Looks at the files only: whoever loads the runtime pays for its threads. */
function checkOnnxRuntime(packageRoot: string): DoctorCheck {
  const name = 'onnxruntime';
  const folder = findPackage('onnxruntime-node', packageRoot);
  if (!folder) {
    return {
      name,
      status: 'missing',
      detail: 'not installed: npm leaves it out when its install script fails',
      fix: `npm install --ignore-scripts onnxruntime-node\n${REINSTALL}`,
    };
  }
  const version: string = readJson(join(folder, 'package.json'))?.version ?? 'unknown';
  const platform = `${process.platform}-${process.arch}`;
  const bindings = listFolder(join(folder, 'bin'))
    .filter((entry) => entry.startsWith('napi-'))
    .map((napi) => join(folder, 'bin', napi, process.platform, process.arch))
    .filter((path) => existsSync(join(path, 'onnxruntime_binding.node')));
  const libraries = bindings[0];
  if (!libraries) {
    return {
      name,
      status: 'missing',
      detail: `${version} has no binary for ${platform}`,
      fix: 'use linux-x64, linux-arm64, darwin-arm64, win32-x64 or win32-arm64, or set --backend to a model server',
      facts: { version, platform },
    };
  }
  const files = listFolder(libraries);
  const backends = ['cpu'];
  if (files.some((file) => file.includes('providers_cuda'))) backends.push('cuda');
  if (files.some((file) => file.includes('providers_tensorrt'))) backends.push('tensorrt');
  if (files.includes('DirectML.dll')) backends.push('dml');
  if (process.platform === 'darwin') backends.push('coreml');
  // Compiled into every binary but this one.
  if (platform !== 'linux-arm64') backends.push('webgpu');
  return {
    name,
    status: 'ok',
    detail: `${version}, ${platform}, providers ${backends.join(', ')}`,
    facts: { version, platform, backends },
  };
}

async function checkSharp(): Promise<DoctorCheck> {
  try {
    const { default: sharp } = await import('sharp');
    const versions = sharp.versions as Record<string, string>;
    return {
      name: 'sharp',
      status: 'ok',
      detail: `${versions.sharp}, libvips ${versions.vips}`,
      facts: { version: versions.sharp, libvips: versions.vips },
    };
  } catch (error) {
    return {
      name: 'sharp',
      status: 'missing',
      detail: `does not load: ${(error as Error).message.split('\n')[0]}`,
      fix: REINSTALL,
    };
  }
}

function checkModels(packageRoot: string): DoctorCheck {
  const name = 'models';
  const folder = join(packageRoot, 'models', 'reader');
  const config = readJson(join(folder, 'config.json'));
  const weights = listFolder(folder).filter((file) => file.endsWith('.safetensors'));
  const facts = { folder, trained: config?.glyphpress?.trained === true, weights };
  if (!config || weights.length === 0) {
    return {
      name,
      status: 'missing',
      detail: config
        ? 'models/reader has no weights'
        : 'models/reader is absent or has no config.json',
      fix: 'get the folder back (in a clone: git checkout -- models), or name a checkpoint of your own with --model',
      facts,
    };
  }
  if (!facts.trained) {
    return {
      name,
      status: 'warn',
      detail: 'models/reader is not trained: its answers mean nothing',
      fix: 'use a trained checkpoint with --model',
      facts,
    };
  }
  return {
    name,
    status: 'ok',
    detail: `reader (${config.model_type ?? 'unknown'}), trained`,
    facts,
  };
}

async function checkDisk(env: NodeJS.ProcessEnv): Promise<DoctorCheck> {
  const folder = nearestFolder(cacheFolder(env));
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  const detail = `${gib(freeBytes)} GiB free at ${folder}`;
  if (freeBytes >= LOW_DISK_BYTES) {
    return { name: 'disk', status: 'ok', detail, facts: { folder, freeBytes } };
  }
  return {
    name: 'disk',
    status: 'warn',
    detail,
    fix: 'free some space, or set GLYPHPRESS_CACHE to a folder on a larger disk',
    facts: { folder, freeBytes },
  };
}

function checkMemory(): DoctorCheck {
  // 0 means no limit; some kernels report a limit far above the memory there is.
  const limit = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  const usableBytes = Math.min(totalmem(), limit);
  const threads = availableParallelism();
  const facts = { usableBytes, freeBytes: freemem(), threads };
  const detail = `${gib(usableBytes)} GiB, ${threads} CPU threads`;
  if (usableBytes >= LOW_MEMORY_BYTES) return { name: 'memory', status: 'ok', detail, facts };
  return {
    name: 'memory',
    status: 'warn',
    detail,
    fix: `give this machine or container ${gib(LOW_MEMORY_BYTES)} GiB or more`,
    facts,
  };
}

async function checkCache(env: NodeJS.ProcessEnv): Promise<DoctorCheck> {
  const folder = cacheFolder(env);
  try {
    if (existsSync(folder)) {
      await rm(await mkdtemp(join(folder, '.doctor-')), { recursive: true });
    } else {
      // Only look: a check must not leave folders behind.
      accessSync(nearestFolder(folder), constants.W_OK);
    }
    return { name: 'cache', status: 'ok', detail: `${folder} is writable`, facts: { folder } };
  } catch (error) {
    return {
      name: 'cache',
      status: 'missing',
      detail: `${folder} is not writable: ${(error as NodeJS.ErrnoException).code}`,
      fix: 'set GLYPHPRESS_CACHE to a folder that you can write',
      facts: { folder },
    };
  }
}

function nearestFolder(path: string): string {
  let folder = path;
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** The folder of an installed package, searched upwards as Node does; export maps do not matter. */
function findPackage(name: string, from: string): string | null {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (dirname(folder) === folder) return null;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the callers read single fields of foreign files
function readJson(path: string): any {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function gib(bytes: number): string {
  return (bytes / GIB).toFixed(1);
}
