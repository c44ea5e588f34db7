#!/usr/bin/env node
/**
 * Quick start: sets everything up, compresses a sample document, asks it questions, and checks the
 * answers against what the document says. Exits with 1 where a step fails or an answer is wrong.
 *
 * `quickstart.mjs [FILE]` takes another sample in the form of samples/quickstart.json.
 *
 * Uses Node's built-in modules only, since it runs in a fresh clone.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { holdsAnswer } from './quickstart/check.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const OUT = join('out', 'quickstart');
const GLYPHPRESS = join('bin', 'glyphpress.js');

const sampleFile = resolve(process.argv[2] ?? join(root, 'samples', 'quickstart.json'));
const sample = JSON.parse(readFileSync(sampleFile, 'utf8'));
const document = relative(root, join(dirname(sampleFile), sample.document));
const startedMs = performance.now();
const steps = 2 + sample.questions.length;

step(`1/${steps}  Set up`, [join('scripts', 'setup.mjs'), '--redis', 'find']);
step(`2/${steps}  Compress ${document}`, [GLYPHPRESS, 'compress', document, '-o', OUT, '--force']);
const page = findFile(join(root, OUT), 'page-0001.png');
if (page) process.stdout.write(`First page: ${relative(root, page)}\n`);
for (const [n, { question, answer }] of sample.questions.entries()) {
  const said = ask(`${n + 3}/${steps}  Ask: ${question}`, question);
  if (!holdsAnswer(said, answer)) {
    process.stderr.write(
      `\nThe answer is wrong: the text says "${answer}". The model that ships is very small (docs/results/reader.md); --model and --backend take larger ones.\n`,
    );
    process.exit(1);
  }
  process.stdout.write('That is what the text says.\n');
}
process.stdout.write(`
Done in ${seconds(startedMs)}. Next, with a document of your own:
  npx glyphpress ask notes.txt "What was decided about the roof?" --expand lexical
  npx glyphpress --help
`);

/** The answer alone, from the JSON; what the command says beside it is the user's to read. */
function ask(title, question) {
  const stdout = step(
    title,
    [GLYPHPRESS, 'ask', OUT, question, ...(sample.options ?? []), '--json'],
    'pipe',
  );
  const { answer } = JSON.parse(stdout);
  process.stdout.write(`${answer}\n`);
  return answer;
}

/** Run one command of the demonstration. */
function step(title, args, stdout = 'inherit') {
  process.stdout.write(`\n── ${title}\n   $ node ${args.map(shellQuote).join(' ')}\n`);
  const stepStartedMs = performance.now();
  const result = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['inherit', stdout, 'inherit'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status === 0) {
    process.stdout.write(`   (${seconds(stepStartedMs)})\n`);
    return result.stdout;
  }
  if (result.error) process.stderr.write(`${result.error.message}\n`);
  process.stderr.write(
    `\nThe quick start stopped at "${title}". See the message above; to check this machine: npx glyphpress doctor\n`,
  );
  process.exit(result.status || 1);
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
