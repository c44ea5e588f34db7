import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { holdsAnswer } from '../scripts/quickstart/check.mjs';
import { temporaryFolder } from './support/folders.js';
import { ROOT } from './support/repository.js';

describe('the answer of the quick start', () => {
  it.each([
    ['The registration of the ferry is SK-2086.', 'SK-2086'],
    ['sk 2086', 'SK-2086'],
    ['On the first Monday of the month', 'first Monday'],
  ])('%j holds %j', (answer, expected) => {
    expect(holdsAnswer(answer, expected)).toBe(true);
  });

  it.each([
    ['The registration of the ferry is SK-20861.', 'SK-2086'],
    ['2086 SK', 'SK-2086'],
    ['', 'SK-2086'],
    ['anything', ''],
  ])('%j does not hold %j', (answer, expected) => {
    expect(holdsAnswer(answer, expected)).toBe(false);
  });
});

describe('the sample', () => {
  it('says what is asked for, once', () => {
    const sample = JSON.parse(readFileSync(path.join(ROOT, 'samples/quickstart.json'), 'utf8'));
    const text = readFileSync(path.join(ROOT, 'samples', sample.document), 'utf8');
    for (const { question, answer } of sample.questions) {
      expect(text.split(answer)).toHaveLength(2);
      expect(question).not.toContain(answer);
    }
  });
});

describe('npm run quickstart', () => {
  const run = (sample: string) =>
    spawnSync(process.execPath, [path.join(ROOT, 'scripts/quickstart.mjs'), sample], {
      encoding: 'utf8',
      env: { ...process.env, GLYPHPRESS_CACHE: temporaryFolder() },
    });

  it('exits with 1 and says so where the answer is wrong', () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'note.txt'), 'The north gate is shut.');
    const sample = path.join(folder, 'sample.json');
    const question = 'What is the registration of the ferry?';
    const questions = [{ question, answer: 'SK-2086' }];
    writeFileSync(sample, JSON.stringify({ document: 'note.txt', questions }));
    const { status, stderr } = run(sample);
    expect(stderr).toContain('The answer is wrong: the text says "SK-2086"');
    expect(status).toBe(1);
  }, 120_000);
});
