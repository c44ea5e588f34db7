/** What holds for all sources, and that docs/security.md names tests that are there. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesBelow, ROOT } from './support/repository.js';

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

describe('the sources', () => {
  const found = (folders: string[], ends: RegExp, what: RegExp) =>
    filesBelow(folders, ends)
      .filter(({ text }) => what.test(text))
      .map(({ path }) => path);

  it('starts no shell and runs no text as code', () => {
    const shell = /\bexecSync\(|[^.\w]exec\(|shell:\s*true|\beval\(|new Function\(/;
    expect(found(['src', 'web', 'bin'], /\.(ts|js)$/, shell)).toEqual([]);
  });

  it('writes no markup into the console', () => {
    const markup =
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment/;
    expect(found(['web'], /\.(js|html)$/, markup)).toEqual([]);
  });
});

describe('the packages', () => {
  it('installs what the lock file says, and runs no script of a package', () => {
    expect(read('.npmrc')).toMatch(/^ignore-scripts=true$/m);
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { integrity?: string; resolved?: string; link?: boolean }>;
    };
    const listed = Object.entries(packages).filter(([name, { link }]) => name !== '' && !link);
    expect(listed.length).toBeGreaterThan(100);
    for (const [name, { integrity }] of listed)
      expect([name, integrity]).toEqual([name, expect.stringMatching(/^sha512-/)]);
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
      string,
      Record<string, string>
    >;
    for (const version of Object.values({ ...dependencies, ...devDependencies }))
      expect(version).toMatch(/^(npm:[a-z-]+@)?\d+\.\d+\.\d+$/);
  });
});

describe('the table of threats', () => {
  const rows = read('docs/security.md')
    .split('\n')
    .filter((line) => /^\| (?!threat|---)/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()));

  it('names tests that are there', () => {
    expect(rows.length).toBeGreaterThanOrEqual(16);
    for (const [, threat, , tests] of rows) {
      const named = [...tests!.matchAll(/`(test\/[^`]+)` ((?:"[^"]+"(?:, )?)+)/g)];
      expect([threat, named.length > 0]).toEqual([threat, true]);
      for (const [, file, titles] of named) {
        expect([file, existsSync(path.join(ROOT, file!))]).toEqual([file, true]);
        const source = read(file!);
        for (const [, title] of titles!.matchAll(/"([^"]+)"/g)) {
          const isThere = [`'${title}'`, `"${title}"`].some((quoted) => source.includes(quoted));
          expect([file, title, isThere]).toEqual([file, title, true]);
        }
      }
    }
  });
});
