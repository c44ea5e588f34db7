#!/usr/bin/env node
/**
 * Quick start: sets everything up, compresses a sample document, and asks it a question.
 *
 * Uses Node's built-in modules only, since it runs in a fresh clone.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const SAMPLE = join('samples', 'gate-notes.txt');
const OUT = join('out', 'quickstart');
const QUESTION = 'What is the access code of the north gate?';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const startedMs = performance.now();

step('1/3  Set up', [join('scripts', 'setup.mjs'), '--redis', 'find']);
step(`2/3  Compress ${SAMPLE}`, [join('bin', 'glyphpress.js'), 'compress', SAMPLE, '-o', OUT]);
const page = findFile(join(root, OUT), 'page-0001.png');
if (page) process.stdout.write(`First page: ${relative(root, page)}\n`);
step(`3/3  Ask: ${QUESTION}`, [join('bin', 'glyphpress.js'), 'ask', OUT, QUESTION]);

process.stdout.write(`The text says: The access code of the north gate is 7F2A-91. The reader that ships is very small and
mixes up places that end in the same nine characters (docs/results/reader.md); --model and --backend take larger ones.

Done in ${seconds(startedMs)}. Next, with a document of your own:
  npx glyphpress ask notes.txt "What was decided about the roof?"
  npx glyphpress --help
`);

/** Run one command of the demonstration; its output is the user's to read. */
function step(title, args) {
  process.stdout.write(`\n── ${title}\n   $ node ${args.map(shellQuote).join(' ')}\n`);
  const stepStartedMs = performance.now();
  const { status, error } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status === 0) {
    process.stdout.write(`   (${seconds(stepStartedMs)})\n`);
    return;
  }
  if (error) process.stderr.write(`${error.message}\n`);
  process.stderr.write(
    `\nThe quick start stopped at "${title}". See the message above; to check this machine: npx glyphpress doctor\n`,
  );
  process.exit(status || 1);
}

function findFile(folder, name) {
  if (!existsSync(folder)) return null;
  const entry = readdirSync(folder, { recursive: true, withFileTypes: true }).find(
    (candidate) => candidate.name === name,
  );
  return entry ? join(entry.parentPath, entry.name) : null;
}

function shellQuote(argument) {
  return /^[\w./\\-]+$/.test(argument) ? argument : `"${argument}"`;
}

function seconds(sinceMs) {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}
