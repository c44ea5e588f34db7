/**
 * The S3-compatible server that the tests start: moto (https://github.com/getmoto/moto, Apache-2.0), from
 * PyPI, in a folder of its own. Nothing but tests and benchmarks uses it.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { lastLines, run } from '../../../scripts/setup/run.mjs';

const REQUIREMENTS = new URL('./requirements.txt', import.meta.url);
const PYTHON = 'python3';

/** Where this version of it lies, whether it is there or not. */
export function s3ServerFolder(env = process.env) {
  const cache =
    env.GLYPHPRESS_CACHE ??
    join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'glyphpress');
  const version = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex');
  return join(cache, 'test-servers', `moto-${version.slice(0, 12)}`);
}

/** How it is started, or null where it is not installed. */
export function s3ServerCommand(port, env = process.env) {
  const folder = s3ServerFolder(env);
  if (!existsSync(folder)) return null;
  return {
    command: PYTHON,
    args: ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)],
    env: { ...env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' },
  };
}

/**
 * A step of the set-up.
 *
 * @param {import('../../../scripts/setup/steps.mjs').Context} context
 * @returns {Promise<import('../../../scripts/setup/steps.mjs').StepResult>}
 */
export async function findOrInstallS3Server({ env, progress }) {
  const folder = s3ServerFolder(env);
  if (existsSync(folder)) return { status: 'ok', detail: `moto (${folder})` };
  progress('installing the S3 server of the tests (moto from PyPI)');
  const partial = `${folder}.${process.pid}.partial`;
  mkdirSync(partial, { recursive: true });
  const { ok, output } = await run(
    PYTHON,
    [
      ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'],
      ...['--target', partial, '--requirement', new URL(REQUIREMENTS).pathname],
    ],
    { env, onHeartbeat: (seconds) => progress(`pip install: still at it after ${seconds} s`) },
  );
  if (ok) {
    // Another set-up may have finished first.
    if (!existsSync(folder)) renameSync(partial, folder);
    rmSync(partial, { recursive: true, force: true });
    return { status: 'ok', detail: `moto (${folder}), installed now`, changed: true };
  }
  rmSync(partial, { recursive: true, force: true });
  return {
    status: 'warn',
    detail: 'not installed: tests over an object store are skipped',
    fix: ['needs Python 3.10 or newer with pip, and PyPI: python3 -m pip --version'],
    output: lastLines(output, 5),
  };
}
