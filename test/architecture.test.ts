import { describe, expect, it } from 'vitest';
import { importsOf, violations } from './support/architecture.js';
import { filesBelow } from './support/repository.js';

const sources = filesBelow(['src', 'workers'], /\.[cm]?tsx?$/);

describe('the sources', () => {
  it('keep the import rules of the design', () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(violations(sources)).toEqual([]);
  });

  it('name ONNX Runtime and Puppeteer in one file each', () => {
    const users = (name: string) =>
      sources
        .filter(({ text }) =>
          importsOf(text).some(({ specifier, typeOnly }) => specifier === name && !typeOnly),
        )
        .map(({ path }) => path);
    expect(users('onnxruntime-node')).toEqual(['src/vlm/runtime.ts']);
    expect(users('puppeteer')).toEqual(['src/render/chromium.ts']);
  });

  it('run no Python', () => {
    const product = filesBelow(['src', 'workers', 'bin', 'scripts'], /\.[^/]+$/);
    expect(product.map(({ path }) => path).filter((path) => /\.(py|ipynb)$/.test(path))).toEqual(
      [],
    );
    const callers = product.filter(({ text }) => /['"`](\S*\/)?python[\d.]*(\s|['"`])/i.test(text));
    expect(callers.map(({ path }) => path)).toEqual([]);
  });
});

describe('the check', () => {
  const broken = (...files: [path: string, text: string][]) =>
    violations(files.map(([path, text]) => ({ path, text })));

  it.each([
    ["import { a } from './a.js';", './a.js', false],
    ["import a, {\n  type B,\n  c,\n} from '../a.js';", '../a.js', false],
    ["import { type B } from 'b';", 'b', false],
    ["import type { B } from 'b';", 'b', true],
    ["import type from 'b';", 'b', false],
    ["import 'side-effect';", 'side-effect', false],
    ["export { a } from './a.js';", './a.js', false],
    ["export * from './a.js';", './a.js', false],
    ["export type { A } from './a.js';", './a.js', true],
    ["const { a } = await import('./a.js');", './a.js', false],
    ["type A = typeof import('a');", 'a', true],
    ["const a = require('a');", 'a', false],
  ])('reads %s', (text, specifier, typeOnly) => {
    expect(importsOf(text)).toEqual([{ specifier, typeOnly }]);
  });

  it('reads no imports in comments, strings and other calls', () => {
    const text = [
      "// import a from 'a';",
      "/* import b from 'b'; */",
      "const url = 'http://x'; // import('c')",
      "const d = require.resolve('d');",
      "this.import('e');",
      'new URL(import.meta.url);',
    ].join('\n');
    expect(importsOf(text)).toEqual([]);
  });

  it('finds what lies behind a comment and behind a string with slashes', () => {
    expect(importsOf("const u = 'http://x'; /* y */ const a = import('a');")).toEqual([
      { specifier: 'a', typeOnly: false },
    ]);
  });

  const rules: [rule: string, path: string, text: string, complaint: RegExp][] = [
    [
      'parts know no other part',
      'src/prune/a.ts',
      "import '../vlm/b.js';",
      /prune may not import vlm/,
    ],
    [
      'types count',
      'src/store/a.ts',
      "import type { B } from '../render/b.js';",
      /may not import render/,
    ],
    ['parts know no verbs', 'src/vlm/a.ts', "export * from '../pipeline/b.js';", /import pipeline/],
    ['verbs know no edges', 'src/search/a.ts', "await import('../cli/b.js');", /import cli/],
    [
      'errors stand alone',
      'src/errors.ts',
      "import './prune/a.js';",
      /errors may not import prune/,
    ],
    ['parts know no machine', 'src/render/a.ts', "import '../environment/b.js';", /environment/],
    ['environment knows discovery only', 'src/environment/a.ts', "import '#setup/apt.mjs';", /apt/],
    ['parts know no Redis', 'src/store/a.ts', "await import('ioredis');", /may not know ioredis/],
    ['parts know no HTTP', 'src/vlm/a.ts', "import http from 'node:http';", /node:http/],
    [
      'parts know no command line',
      'src/render/a.ts',
      "import { Command } from 'commander';",
      /commander/,
    ],
    ['BullMQ has one folder', 'src/server/a.ts', "import { Queue } from 'bullmq';", /bullmq/],
    [
      'Puppeteer has one file',
      'src/render/a.ts',
      "import { type Page } from 'puppeteer';",
      /puppeteer/,
    ],
    [
      'its types one folder',
      'src/pipeline/a.ts',
      "import type { Page } from 'puppeteer';",
      /puppeteer/,
    ],
    [
      'documents have one door',
      'src/eval/a.ts',
      "import { compress } from '../pipeline/backends/compress.js';",
      /opened through a Backend/,
    ],
    ['imports can be read', 'src/vlm/a.ts', 'await import(name);', /only known at run time/],
    ['folders have a rule', 'src/helpers/a.ts', '', /no rule for the folder helpers/],
  ];
  it.each(rules)('sees it broken: %s', (_, path, text, complaint) => {
    const found = broken([path, text]);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(complaint);
  });

  it('sees a second user of ONNX Runtime', () => {
    const text = "import { Tensor } from 'onnxruntime-node';";
    expect(broken(['src/vlm/a.ts', text])).toEqual([]);
    expect(broken(['src/vlm/a.ts', text], ['src/vlm/b.ts', text])[0]).toMatch(/a\.ts, src\/vlm\/b/);
  });

  it('sees folders that import each other', () => {
    const files: [string, string][] = [
      ['src/pipeline/a.ts', "import '../eval/b.js';"],
      ['src/eval/b.ts', "import '../search/c.js';"],
      ['src/search/c.ts', "import '../pipeline/d.js';"],
    ];
    expect(broken(...files)).toEqual([
      'folders import each other: pipeline → eval → search → pipeline',
    ]);
    expect(broken(...files.slice(0, 2))).toEqual([]);
  });

  it('sees files that import each other, also for types alone', () => {
    expect(
      broken(
        ['src/server/a.ts', "import type { B } from './rooms/b.js';"],
        ['src/server/rooms/b.ts', "import { c } from '../c.js';"],
        ['src/server/c.ts', "await import('./a.js');"],
        ['src/server/d.ts', "import './a.js';"],
      ),
    ).toEqual(['files import each other: src/server/a.ts, src/server/c.ts, src/server/rooms/b.ts']);
    expect(broken(['src/server/a.ts', "import './a.js';"])).toHaveLength(1);
  });

  it('sees a seventh floor of folders', () => {
    const tower: [string, string][] = [
      ['src/cli/a.ts', "import '../server/b.js';"],
      ['src/server/b.ts', "import '../service/c.js';"],
      ['src/service/c.ts', "import '../search/d.js';"],
      ['src/search/d.ts', "import '../pipeline/e.js';"],
      ['src/pipeline/e.ts', "import '../vlm/f.js';"],
      ['src/vlm/f.ts', "import '../errors.js';"],
    ];
    expect(broken(...tower)).toEqual([
      'more than 6 floors of folders: cli → server → service → search → pipeline → vlm → errors',
    ]);
    expect(broken(...tower.slice(1))).toEqual([]);
  });

  it('lets pass what the design allows', () => {
    expect(
      broken(
        ['src/cli/a.ts', "import '../pipeline/b.js'; \nimport '../environment/c.js';"],
        ['src/pipeline/b.ts', "import '../render/d.js';\nimport '../environment/c.js';"],
        ['src/environment/c.ts', "import '#setup/discovery.mjs';"],
        ['src/render/d.ts', "import type { Page } from 'puppeteer';\nimport '../errors.js';"],
        ['workers/e.ts', "import '../src/queue/f.js';"],
        ['src/queue/f.ts', "import { Worker } from 'bullmq';"],
      ),
    ).toEqual([]);
  });
});
