/** What a command reads: files, folders, patterns, standard input and addresses, and what it says of them. */

import { type Command, Option } from 'commander';
import { GlyphpressError } from '../errors.js';
import { TEXT_ENCODINGS, type TextEncoding } from '../extract/text-encoding.js';
import { isUrl } from '../pipeline/inputs/collect-inputs.js';
import { type InputProgress, type Inputs, readInputs } from '../pipeline/inputs/read-inputs.js';
import { isArtifactFolder } from '../store/artifact-folder.js';
import { collect } from './options.js';
import { Progress } from './progress.js';

export interface InputFlags {
  encoding?: TextEncoding;
  allowUrl?: boolean;
  allowPrivateHost: string[];
}

/** What `<input...>` may be, for the help of an argument. */
export const INPUT_ARGUMENT =
  'files, folders, patterns, "-" for standard input, addresses (--allow-url)';

export function withInputOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--encoding <name>', 'encoding of plain text (default: detected)').argParser(
        (name: string) => encodingNamed(name),
      ),
    )
    .option('--allow-url', 'read documents from http and https addresses')
    .option(
      '--allow-private-host <host>',
      'with --allow-url: a host (or host:port) that need not be public (repeatable)',
      collect,
      [],
    );
}

export const INPUT_HELP = `
Read are text, Markdown, HTML, PDF, DOCX, EPUB and source code; content decides what a file is. A folder
gives all its files that hold text, but for hidden ones and those that .gitignore names. Several inputs are
one document in which each file has a heading with its name; citations name the file.`;

/** Reads them, with progress, and tells on stderr what was taken and what was not. */
export async function openInputs(
  inputs: readonly string[],
  flags: InputFlags,
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<Inputs> {
  await assertNoCompressed(inputs);
  const read = await readInputs(inputs, {
    signal,
    ...(flags.encoding && { encoding: flags.encoding }),
    allowUrl: flags.allowUrl ?? false,
    privateHosts: flags.allowPrivateHost,
    onProgress: (state) => progress.update(extractState(state)),
  });
  progress.stop();
  const told = inputsText(read);
  if (told !== '') process.stderr.write(`${told}\n`);
  return read;
}

/** For `--json`: what the document was made of. */
export function inputsJson({ taken, skipped }: Pick<Inputs, 'taken' | 'skipped'>) {
  return { documents: taken, skipped };
}

/** The text of haystacks, file after file without headings; empty for no input. */
export async function readHaystack(
  inputs: readonly string[],
  flags: Partial<InputFlags>,
  signal: AbortSignal,
): Promise<string> {
  if (inputs.length === 0) return '';
  const progress = new Progress();
  const work = { signal, progress };
  const { document } = await openInputs(inputs, { allowPrivateHost: [], ...flags }, work).finally(
    () => progress.stop(),
  );
  return document.files!.map(({ start, end }) => document.text.slice(start, end)).join('\n\n');
}

function extractState({ done, total, name, page }: InputProgress) {
  if (page) return { stage: `extract ${name}`, done: page.done, total: page.total, unit: 'pages' };
  return { stage: 'extract', done, total, unit: 'files' };
}

/** Rows that are shown of each table; `--json` has all of them. */
const MAX_ROWS = 30;

/** @returns nothing for one plain text, of which there is nothing to say */
export function inputsText({ taken, skipped }: Pick<Inputs, 'taken' | 'skipped'>): string {
  const lines: string[] = [];
  const isTable = taken.length > 1 || skipped.length > 0;
  if (isTable) {
    const characters = taken.reduce((sum, input) => sum + input.characters, 0);
    lines.push(`taken: ${count(taken.length, 'file')}, ${whole(characters)} characters`);
    lines.push(...rows(taken.map((input) => [input.name, describe(input)])));
    if (skipped.length > 0) {
      lines.push(`skipped: ${skipped.length}`);
      lines.push(...rows(skipped.map(({ name, reason }) => [name, reason])));
    }
  } else {
    lines.push(
      ...taken
        .filter(({ encoding, encodingGuessed }) => encoding === null || encodingGuessed)
        .map((input) => `${input.name}: ${describe(input)}`),
    );
  }
  for (const { name, notes } of taken) lines.push(...notes.map((note) => `note: ${name}: ${note}`));
  return lines.join('\n');
}

function describe(input: Inputs['taken'][number]): string {
  const { mediaType, characters, encoding, encodingGuessed, pages } = input;
  return [
    KIND[mediaType] ?? mediaType,
    ...(pages === null ? [] : [count(pages, 'page')]),
    `${whole(characters)} characters`,
    ...(encodingGuessed ? [`taken for ${encoding}`] : []),
  ].join(', ');
}

const KIND: Record<string, string> = {
  'text/plain': 'text',
  'text/markdown': 'Markdown',
  'text/html': 'HTML',
  'application/pdf': 'PDF',
  'application/zip': 'DOCX or EPUB',
  'application/epub+zip': 'EPUB',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'DOCX',
};

function rows(pairs: readonly (readonly [string, string])[]): string[] {
  const shown = pairs.slice(0, MAX_ROWS);
  const width = Math.min(60, Math.max(...shown.map(([name]) => name.length)));
  const lines = shown.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`);
  if (pairs.length > shown.length)
    lines.push(`  … and ${pairs.length - shown.length} more (--json lists all)`);
  return lines;
}

/** @throws {GlyphpressError} GP_USAGE where a compressed folder is named as a source */
async function assertNoCompressed(inputs: readonly string[]): Promise<void> {
  for (const input of inputs) {
    if (isUrl(input) || !(await isArtifactFolder(input))) continue;
    throw new GlyphpressError('GP_USAGE', {
      message: `${input} was made by glyphpress and is no source`,
      hint: 'A compressed folder is asked by itself: glyphpress ask DIR "…". Else give the files that it was made of.',
      details: { folder: input },
    });
  }
}

function encodingNamed(name: string): TextEncoding {
  const known = TEXT_ENCODINGS.find((encoding) => encoding === name.toLowerCase());
  if (known) return known;
  throw new GlyphpressError('GP_USAGE', {
    message: `There is no encoding "${name}"`,
    hint: `Give one of ${TEXT_ENCODINGS.join(', ')}, or leave it out to have it detected.`,
    details: { allowed: TEXT_ENCODINGS },
  });
}

const whole = (n: number) => n.toLocaleString('en-US');
const count = (n: number, unit: string) => `${whole(n)} ${unit}${n === 1 ? '' : 's'}`;
