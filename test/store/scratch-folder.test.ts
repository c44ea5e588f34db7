import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { PROCESS_TAG } from '../../src/store/process-tag.js';
import { sweepScratch } from '../../src/store/scratch-folder.js';
import { namesIn, temporaryFolder } from '../support/folders.js';

it('clears away what killed processes left, and nothing else', () => {
  const parent = temporaryFolder();
  const [place] = PROCESS_TAG.split('-');
  // A process that has just ended.
  const { pid } = spawnSync('true');
  const names = [
    `glyphpress-${place}-${pid}-abcdef`,
    `glyphpress-${PROCESS_TAG}-abcdef`,
    `glyphpress-00000000-${pid}-abcdef`, // of another machine
    'glyphpress-test-abcdef',
    `other-${place}-${pid}-abcdef`,
  ];
  for (const name of names) mkdirSync(path.join(parent, name, 'profile'), { recursive: true });
  expect(sweepScratch(parent)).toBe(1);
  expect(namesIn(parent)).toEqual(names.slice(1).sort());
});
