/**
 * The steps of the set-up. Each looks first, acts only when something is missing, and says in one
 * line what is there now.
 *
 * @typedef {{ status: 'ok' | 'warn' | 'failed', detail: string, changed?: boolean, fix?: string[],
 *   output?: string }} StepResult
 * @typedef {{ root: string, env: NodeJS.ProcessEnv, progress: (line: string) => void,
 *   systemPackages: boolean, redis: 'install' | 'required' | 'find' }} Context
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { aptInstall, whyNotApt } from './apt.mjs';
import {
  chromiumChoices,
  compareVersions,
  discoverChromium,
  discoverRedisServer,
  MINIMUM_NODE,
  redisChoices,
} from './discovery.mjs';
import { lastLines, run } from './run.mjs';

const CHROMIUM_PACKAGES = ['chromium-headless-shell', 'chromium'];
const REDIS_PACKAGES = ['redis-server', 'valkey-server'];

/** @returns {StepResult} */
export function checkNode(version = process.versions.node) {
  if (compareVersions(version.split('-')[0], MINIMUM_NODE) >= 0) {
    return { status: 'ok', detail: version };
  }
  return {
    status: 'failed',
    detail: `${version} is too old: glyphpress needs ${MINIMUM_NODE} or newer`,
    fix: ['install Node 20 LTS or newer from https://nodejs.org, or with nvm: nvm install 20'],
  };
}

/**
 * `npm ci` when the lock file says something else than what is installed.
 *
 * @param {Context} context
 * @returns {Promise<StepResult>}
 */
export async function installPackages({ root, env, progress }) {
  const lockPath = join(root, 'package-lock.json');
  // An installed package has no lock file: its dependencies came with it.
  if (!existsSync(lockPath)) return { status: 'ok', detail: 'installed with glyphpress' };
  const modules = join(root, 'node_modules');
  const stampPath = join(modules, '.glyphpress-lock');
  const lock = sha256(readFileSync(lockPath));
  if (packagesAreFresh(modules, stampPath, lockPath, lock)) {
    return { status: 'ok', detail: 'up to date' };
  }

  progress('installing npm packages (npm ci)');
  const npm = npmCommand(env);
  const { ok, output } = await run(
    npm.command,
    [...npm.args, 'ci', '--include=dev', '--ignore-scripts', '--no-fund', '--no-audit'],
    {
      cwd: root,
      // Two packages fetch large files in their install scripts; neither file is needed here.
      env: { ...env, ONNXRUNTIME_NODE_INSTALL: 'skip', PUPPETEER_SKIP_DOWNLOAD: '1' },
      onHeartbeat: (seconds) => progress(`npm ci: still at it after ${seconds} s`),
    },
  );
  if (!ok) {
    const lockIsOff = output.includes('code EUSAGE');
    return {
      status: 'failed',
      detail: lockIsOff ? 'package-lock.json does not fit package.json' : 'npm ci failed',
      fix: lockIsOff
        ? ['npm install', 'then try again: node scripts/setup.mjs']
        : [
            'check that the npm registry can be reached: npm ping',
            'then try again: node scripts/setup.mjs',
          ],
      // npm appends its manual to this kind of error.
      output: output.split('npm error Clean install a project')[0],
    };
  }
  writeFileSync(stampPath, `${lock}\n`);
  return { status: 'ok', detail: 'installed', changed: true };
}

function packagesAreFresh(modules, stampPath, lockPath, lock) {
  const installedPath = join(modules, '.package-lock.json');
  // Without the compiler this is an install for production, which cannot build.
  if (!existsSync(installedPath) || !existsSync(join(modules, 'typescript'))) return false;
  if (existsSync(stampPath) && readFileSync(stampPath, 'utf8').trim() === lock) return true;
  // No stamp of ours: somebody ran npm by hand, whose own record is then newer than the lock file.
  return statSync(installedPath).mtimeMs >= statSync(lockPath).mtimeMs;
}

function npmCommand(env) {
  if (env.npm_execpath?.endsWith('npm-cli.js')) {
    return { command: process.execPath, args: [env.npm_execpath] };
  }
  return process.platform === 'win32'
    ? { command: 'cmd.exe', args: ['/d', '/s', '/c', 'npm.cmd'] }
    : { command: 'npm', args: [] };
}

/**
 * Compile src and workers to dist when any source, compiler setting or the lock file changed.
 *
 * @param {Context} context
 * @returns {Promise<StepResult>}
 */
export async function build({ root, env, progress }) {
  const dist = join(root, 'dist');
  if (!existsSync(join(root, 'src'))) return { status: 'ok', detail: 'installed with glyphpress' };
  const stampPath = join(dist, '.setup.json');
  const sources = sourceHashes(root);
  const stamp = readStamp(stampPath);
  if (stamp && JSON.stringify(stamp) === JSON.stringify(sources)) {
    return { status: 'ok', detail: 'up to date' };
  }
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(compiler)) {
    return {
      status: 'failed',
      detail: 'the TypeScript compiler is not installed',
      fix: ['npm ci', 'then try again: node scripts/setup.mjs'],
    };
  }

  // Without a stamp nobody knows what dist holds, and a removed source would live on in dist.
  // Another compiler setting may put the output elsewhere.
  const settings = 'tsconfig.build.json';
  if (
    !stamp ||
    stamp[settings] !== sources[settings] ||
    Object.keys(stamp).some((path) => !(path in sources))
  ) {
    rmSync(dist, { recursive: true, force: true });
  }
  rmSync(stampPath, { force: true });
  progress('compiling (tsc)');
  const { ok, output } = await run(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
    cwd: root,
    env,
  });
  if (!ok) {
    return {
      status: 'failed',
      detail: 'the TypeScript build failed',
      fix: ['fix the errors above, then try again: npm run build'],
      output,
    };
  }
  mkdirSync(dist, { recursive: true });
  writeFileSync(stampPath, `${JSON.stringify(sources)}\n`);
  return { status: 'ok', detail: 'compiled', changed: true };
}

/** Path → SHA-256 of everything that the build depends on, in a fixed order. */
function sourceHashes(root) {
  const sources = ['src', 'workers']
    .map((name) => join(root, name))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package.json', 'package-lock.json']
    .map((name) => join(root, name))
    .filter((path) => existsSync(path));
  const all = [...sources, ...settings].sort();
  return Object.fromEntries(
    all.map((path) => [
      path.slice(root.length + 1).replaceAll('\\', '/'),
      sha256(readFileSync(path)),
    ]),
  );
}

function readStamp(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Find Chromium, else install it.
 *
 * @param {Context} context
 * @returns {Promise<StepResult>}
 */
export async function findOrInstallChromium(context) {
  return findOrInstall(context, {
    what: 'Chromium',
    discover: () => discoverChromium({ env: context.env }),
    pinned: 'GLYPHPRESS_CHROME',
    packages: CHROMIUM_PACKAGES,
    install: true,
    choices: chromiumChoices(),
    describe: ({ version, path }) => `${version} (${path})`,
    otherwise: { status: 'failed', detail: 'not found' },
  });
}

/**
 * Find a Redis-compatible server, else install it. Only `serve` and `worker` need one, so without
 * it the set-up still succeeds unless it is told that Redis is required.
 *
 * @param {Context} context
 * @returns {Promise<StepResult>}
 */
export async function findOrInstallRedis(context) {
  const required = context.redis === 'required';
  if (context.env.REDIS_URL) {
    return { status: 'ok', detail: 'given by REDIS_URL (glyphpress doctor tests the connection)' };
  }
  return findOrInstall(context, {
    what: 'Redis',
    discover: () => discoverRedisServer({ env: context.env }),
    pinned: 'GLYPHPRESS_REDIS_SERVER',
    packages: REDIS_PACKAGES,
    install: context.redis !== 'find',
    choices: redisChoices(),
    describe: ({ kind, version, path }) =>
      `${kind === 'Redis' ? '' : `${kind} `}${version} (${path})`,
    otherwise: required
      ? { status: 'failed', detail: 'no Redis-compatible server found' }
      : {
          status: 'warn',
          detail: 'no Redis-compatible server found; only `serve` and `worker` need one',
        },
  });
}

async function findOrInstall(context, target) {
  const { env, progress, systemPackages } = context;
  const before = target.discover();
  if (before.found) return { status: 'ok', detail: target.describe(before.found) };

  const missing = (notes, output) => ({
    ...target.otherwise,
    detail: [target.otherwise.detail, ...notes].join('; '),
    fix: target.choices,
    output,
  });
  const problems = (rejected) => rejected.map(({ path, problem }) => `${path}: ${problem}`);
  // The user named one: installing another would not make it be used.
  if (env[target.pinned]) return missing([`${target.pinned} is set`, ...problems(before.rejected)]);
  if (!target.install) return missing(problems(before.rejected));

  const obstacle = whyNotApt({ allowed: systemPackages, env });
  if (obstacle) {
    return missing([...problems(before.rejected), `not installed here: ${obstacle}`]);
  }
  const { installed, output } = await aptInstall(target.packages, {
    env,
    progress: (line) => progress(`${target.what}: ${line}`),
  });
  const after = target.discover();
  if (after.found) {
    return {
      status: 'ok',
      detail: `${target.describe(after.found)}, installed now`,
      changed: true,
    };
  }
  const outcome = installed
    ? `package ${installed} was installed but gives no working program`
    : 'apt-get could not install it';
  return missing([outcome, ...problems(after.rejected)], lastLines(output));
}
