#!/usr/bin/env node
/**
 * Set-up: makes a fresh clone ready to run, and does nothing when it is.
 *
 * Uses Node's built-in modules only, since it runs before anything is installed.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import {
  build,
  checkNode,
  findOrInstallChromium,
  findOrInstallRedis,
  installPackages,
} from './setup/steps.mjs';

const HELP = `Usage: node scripts/setup.mjs [options]

Installs the npm packages, compiles src and workers to dist, and finds or installs Chromium and a
Redis-compatible server; where there are tests, also the S3 server that they start (Python with pip).
Does nothing when all of that is there.

  --redis <mode>        install   install one if possible, else warn (default)
                        required  install one if possible, else fail
                        find      only look for one, warn if there is none
  --no-system-packages  never call apt-get (also: GLYPHPRESS_NO_SYSTEM_PACKAGES=1)
  --quiet               print warnings and failures only
  --json                print one JSON object on stdout, progress on stderr
  --help                print this text

Exit status: 0 ready, 1 something needed is missing, 2 unknown option.
`;

const MARKS = { ok: '✓', warn: '!', failed: '✗', skipped: '-' };
const REDIS_MODES = ['install', 'required', 'find'];

const options = readOptions();
const context = {
  root: dirname(dirname(fileURLToPath(import.meta.url))),
  env: process.env,
  systemPackages:
    !options['no-system-packages'] && process.env.GLYPHPRESS_NO_SYSTEM_PACKAGES !== '1',
  redis: options.redis,
  progress(line) {
    if (options.quiet) return;
    (options.json ? process.stderr : process.stdout).write(`… ${line}\n`);
  },
};

const steps = [];
const node = await step('Node', () => checkNode());
if (node.status === 'ok') {
  const packages = await step('Packages', installPackages);
  if (packages.status === 'ok') await step('Build', build);
  else report({ name: 'Build', status: 'skipped', detail: 'needs the packages', ms: 0 });
  await step('Chromium', findOrInstallChromium);
  await step('Redis', findOrInstallRedis);
  await findOrInstallTestServers();
}

const ok = steps.every(({ status }) => status === 'ok' || status === 'warn');
if (options.json) process.stdout.write(`${JSON.stringify({ ok, steps }, null, 2)}\n`);
else if (!ok) process.stderr.write('Set-up is not complete: see ✗ above.\n');
process.exitCode = ok ? 0 : 1;

/** What the tests need beside the product brings its own step; an installed package has no tests. */
async function findOrInstallTestServers() {
  const installer = join(context.root, 'test', 'support', 's3-server', 'install.mjs');
  if (!existsSync(installer)) return;
  const { findOrInstallS3Server } = await import(pathToFileURL(installer).href);
  await step('S3 server', findOrInstallS3Server);
}

async function step(name, action) {
  const startedMs = performance.now();
  let result;
  try {
    result = await action(context);
  } catch (error) {
    result = { status: 'failed', detail: error.message, output: error.stack };
  }
  return report({ name, ...result, ms: Math.round(performance.now() - startedMs) });
}

function report(entry) {
  steps.push(entry);
  if (options.json) return entry;
  const bad = entry.status === 'failed';
  const stream = entry.status === 'ok' ? process.stdout : process.stderr;
  if (bad && entry.output) stream.write(`${entry.output.trimEnd()}\n`);
  if (!options.quiet || entry.status !== 'ok') {
    stream.write(`${MARKS[entry.status]} ${entry.name}: ${entry.detail}\n`);
  }
  for (const fix of entry.fix ?? []) stream.write(`    ${fix}\n`);
  return entry;
}

function readOptions() {
  const usage = (message) => {
    process.stderr.write(`${message}\n\n${HELP}`);
    process.exit(2);
  };
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        redis: { type: 'string', default: 'install' },
        'no-system-packages': { type: 'boolean', default: false },
        quiet: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    usage(error.message);
  }
  if (!REDIS_MODES.includes(values.redis)) {
    usage(`--redis is one of ${REDIS_MODES.join(', ')}, not ${values.redis}`);
  }
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  return values;
}
