/** The natural suite as it lies on disk: real documents, and what people ask of them. */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { packageFile } from '../../package-file.js';
import { sha256Hex } from '../../sha256.js';

/** Documents and questions. */
export const NATURAL_FOLDER = packageFile('suites/natural');

export const NATURAL_KINDS = [
  ...['who', 'when', 'where', 'how-many', 'which', 'identifier', 'list'],
  ...['why', 'what-does', 'summary', 'allowed', 'yes-no', 'absent'],
] as const;

/** `written` for the suite, `made` by a script of it, or a file of a `package` that glyphpress depends on. */
export const NATURAL_ORIGINS = ['written', 'made', 'package'] as const;
export type NaturalOrigin = (typeof NATURAL_ORIGINS)[number];

export interface NaturalQuestion {
  document: string;
  kind: string;
  question: string;
  /** Forms of the value, any of which is right. */
  answers?: string[];
  /** Values that spoil the answer. */
  wrong?: string[];
  /** The value counts letter by letter, as all of kind `identifier` do. */
  exact?: boolean;
  /** Groups of ways to say one thing (`|` between them), all or `atLeast` of which the answer holds. */
  words?: string[];
  atLeast?: number;
  forbidden?: string[];
  verdict?: 'yes' | 'no';
  /** Ways to say the verdict without yes or no. */
  phrases?: string[];
  /** What the text says that makes the answer right, word for word. */
  evidence?: string;
  /** The text does not answer. */
  absent?: true;
  /** What the text would have to speak of to answer, and does not. */
  missing?: string[];
}

export interface NaturalDocument {
  document: string;
  /** Letter, manual, log, … */
  kind: string;
  origin: NaturalOrigin;
  licence: string;
  /** Of origin `package`: where the text comes from. Several files make one text. */
  package?: string;
  version?: string;
  files?: string[];
  /** In o200k_base. */
  textTokens: number;
  sha256: string;
}

export interface NaturalText extends NaturalDocument {
  text: string;
  questions: NaturalQuestion[];
}

/**
 * @returns every document with its questions, in the order of `documents.json`
 * @throws {GlyphpressError} GP_INPUT_NOT_FOUND, GP_INPUT_UNREADABLE for what is missing, is no JSON, or is
 *   another text than the one that the questions were written for
 */
export function readNaturalSuite(folder = NATURAL_FOLDER): NaturalText[] {
  const documents = parse<NaturalDocument[]>(path.join(folder, 'documents.json'));
  const questions = readFile(path.join(folder, 'questions.jsonl'))
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as NaturalQuestion);
  return documents.map((document) => ({
    ...document,
    text: readText(document, folder),
    questions: questions.filter((question) => question.document === document.document),
  }));
}

function readText(document: NaturalDocument, folder: string): string {
  const text =
    document.origin === 'package'
      ? document.files!.map((file) => readFile(fileOfPackage(document.package!, file))).join('\n')
      : readFile(path.join(folder, 'documents', document.document));
  const sha256 = sha256Hex(text);
  if (sha256 === document.sha256) return text;
  const { package: name, version } = document;
  throw new GlyphpressError('GP_INPUT_UNREADABLE', {
    message: `${document.document} of the natural suite is not the text that its questions are about`,
    hint: name
      ? `It is a file of ${name} ${version}; install that version (npm ci).`
      : 'Restore the file from the repository.',
    details: { document: document.document, expected: document.sha256, actual: sha256 },
  });
}

const require = createRequire(import.meta.url);

/** Packages may keep their files from `require.resolve`, not from the disk. */
function fileOfPackage(name: string, file: string): string {
  const roots = require.resolve.paths(name) ?? [];
  const root = roots.find((root) => existsSync(path.join(root, name, 'package.json'))) ?? '';
  return path.join(root, name, file);
}

function parse<T>(file: string): T {
  return JSON.parse(readFile(file)) as T;
}

function readFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `The natural suite needs ${file}: ${(cause as Error).message}`,
      hint: 'Run it from a checkout of glyphpress after npm ci.',
      details: { file },
      cause,
    });
  }
}
