import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasPhrase, plainWords } from '../../src/eval/metrics/plain-words.js';
import { isExact } from '../../src/eval/natural/natural-plan.js';
import {
  NATURAL_FOLDER,
  NATURAL_KINDS,
  NATURAL_ORIGINS,
  readNaturalSuite,
} from '../../src/eval/natural/natural-suite.js';
import { countTextTokens } from '../../src/pipeline/text-tokens.js';
// The script that made two of the documents.
import { MADE } from '../../suites/natural/made.mjs';
import { ROOT } from '../support/repository.js';

const suite = readNaturalSuite();
const questions = suite.flatMap((document) =>
  document.questions.map((one) => ({ ...one, document })),
);
const named = questions.map((one) => [`${one.document.document}: ${one.question}`, one] as const);

/** In a table a comma ends a field, also between digits. */
const wordsOf = (document: string, text: string) =>
  plainWords(document.endsWith('.csv') ? text.replaceAll(',', ' ') : text);

describe('the documents of the natural suite', () => {
  it('are many, of many kinds and lengths', () => {
    expect(suite.length).toBeGreaterThanOrEqual(30);
    expect(new Set(suite.map(({ kind }) => kind)).size).toBeGreaterThanOrEqual(15);
    const within = (least: number, most: number) =>
      suite.filter(({ textTokens }) => textTokens >= least && textTokens < most).length;
    expect(within(0, 2_000)).toBeGreaterThanOrEqual(15);
    expect(within(4_000, 9_000)).toBeGreaterThanOrEqual(8);
    expect(within(9_000, 40_000)).toBeGreaterThanOrEqual(3);
  });

  it('are different texts, of the length that is noted', () => {
    expect(new Set(suite.map(({ sha256 }) => sha256)).size).toBe(suite.length);
    expect(new Set(suite.map(({ document }) => document)).size).toBe(suite.length);
    for (const { text, textTokens } of suite) expect(countTextTokens(text)).toBe(textTokens);
  });

  it.each(suite.map((one) => [one.document, one] as const))('say where %s is from', (_, one) => {
    expect(NATURAL_ORIGINS).toContain(one.origin);
    if (one.origin !== 'package') {
      expect(one.licence).toBe('Apache-2.0');
      return;
    }
    const manifest = JSON.parse(
      readFileSync(path.join(ROOT, 'node_modules', one.package!, 'package.json'), 'utf8'),
    );
    expect(one.version).toBe(manifest.version);
    expect(one.licence).toBe(manifest.license);
    // What only development needs is not there for users.
    const own = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
    expect(own.dependencies[one.package!]).toBe(one.version);
  });

  it('are made again by their script, byte for byte', () => {
    const made = suite.filter(({ origin }) => origin === 'made');
    expect(made.map(({ document }) => document).sort()).toEqual(Object.keys(MADE).sort());
    for (const { document, text } of made) expect(MADE[document as keyof typeof MADE]()).toBe(text);
  });
});

describe('the questions of the natural suite', () => {
  it('are many, of all kinds, and no two alike', () => {
    expect(questions.length).toBeGreaterThanOrEqual(300);
    const ofKind = (kind: string) => questions.filter((one) => one.kind === kind).length;
    expect([...new Set(questions.map(({ kind }) => kind))].sort()).toEqual(
      [...NATURAL_KINDS].sort(),
    );
    for (const kind of NATURAL_KINDS) expect([kind, ofKind(kind) >= 8]).toEqual([kind, true]);
    expect(ofKind('absent')).toBeGreaterThanOrEqual(30);
    const texts = questions.map(({ document, question }) =>
      plainWords(`${document.document} ${question}`).join(' '),
    );
    expect(new Set(texts).size).toBe(texts.length);
    const lines = readFileSync(path.join(NATURAL_FOLDER, 'questions.jsonl'), 'utf8');
    expect(questions.length).toBe(lines.trim().split('\n').length);
  });

  it('have as many verdicts of yes as of no, or nearly', () => {
    const yes = questions.filter(({ verdict }) => verdict === 'yes').length;
    const no = questions.filter(({ verdict }) => verdict === 'no').length;
    expect(yes / (yes + no)).toBeGreaterThan(0.35);
    expect(yes / (yes + no)).toBeLessThan(0.65);
  });

  it.each(suite.map((one) => [one.document, one] as const))('ask something of %s', (_, one) => {
    expect(one.questions.length).toBeGreaterThanOrEqual(3);
    expect(one.questions.some(({ absent }) => absent)).toBe(true);
  });

  it.each(named)('one way to be right: %s', (_, one) => {
    const ways = [one.answers, one.words, one.verdict, one.absent].filter(
      (way) => way !== undefined,
    );
    expect(ways).toHaveLength(1);
    expect(one.kind === 'absent').toBe(one.absent === true);
  });

  it.each(named.filter(([, one]) => !one.absent))('is answered by its text: %s', (_, one) => {
    const { text, document } = one.document;
    const words = wordsOf(document, text);
    if (one.evidence !== undefined) expect(text.replace(/\s+/g, ' ')).toContain(one.evidence);
    if (one.answers && one.evidence === undefined) {
      const isThere = (answer: string) =>
        isExact(one) ? text.includes(answer) : hasPhrase(words, answer);
      expect(one.answers.some(isThere)).toBe(true);
    }
    for (const group of one.evidence === undefined ? (one.words ?? []) : []) {
      const isThere = group.split('|').some((way) => hasPhrase(words, way));
      expect([group, isThere]).toEqual([group, true]);
    }
    if (one.verdict) expect(one.evidence).toBeDefined();
  });

  it.each(named.filter(([, one]) => one.absent))('is not answered by its text: %s', (_, one) => {
    expect(one.missing!.length).toBeGreaterThan(0);
    const words = wordsOf(one.document.document, one.document.text);
    for (const word of one.missing!) expect([word, hasPhrase(words, word)]).toEqual([word, false]);
  });

  it.each(named.filter(([, one]) => one.wrong))(
    'its wrong values are no right ones: %s',
    (_, one) => {
      for (const wrong of one.wrong!)
        for (const right of one.answers ?? [])
          expect(hasPhrase(plainWords(right), wrong)).toBe(false);
    },
  );
});
