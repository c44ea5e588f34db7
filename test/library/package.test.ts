/** The package as its users get it: packed, unpacked into an empty folder, its documented programs run. */

import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { sharedFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';
import { ROOT } from '../support/repository.js';

const folder = sharedFolder();
const project = path.join(folder, 'project');
const modules = path.join(project, 'node_modules');
const installed = path.join(modules, 'glyphpress');
/** Paths within the package. */
let packed: string[] = [];

/** Above this, a file of a model is packed by its name alone: pressing its weights takes longer than all the rest. */
const LARGE_BYTES = 1_000_000;

/** What the package is made of, without what lies in weights. */
function sources(): string {
  const copy = path.join(folder, 'sources');
  const { files } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const names = (files as string[]).filter((name) => !name.startsWith('!'));
  for (const name of ['package.json', ...names]) {
    cpSync(path.join(ROOT, name), path.join(copy, name), {
      recursive: true,
      filter: (from, to) => {
        const isWeights = from.endsWith('.safetensors') && statSync(from).size > LARGE_BYTES;
        if (isWeights) writeFileSync(to, '');
        return !isWeights;
      },
    });
  }
  return copy;
}

/** As npm lays it out; what it depends on comes from here, so that nothing is fetched. */
beforeAll(() => {
  const out = execFileSync(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    { cwd: sources(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const { filename, files } = packedOf(JSON.parse(out));
  packed = files.map((file) => file.path);
  mkdirSync(modules, { recursive: true });
  execFileSync('tar', ['xzf', path.join(folder, filename), '-C', folder]);
  renameSync(path.join(folder, 'package'), installed);
  for (const name of readdirSync(path.join(ROOT, 'node_modules')))
    if (!name.startsWith('.'))
      symlinkSync(path.join(ROOT, 'node_modules', name), path.join(modules, name));
  writeFileSync(path.join(project, 'package.json'), '{"type":"module","private":true}');
});

interface Packed {
  filename: string;
  files: { path: string }[];
}

/** npm 11 and before give a list, later ones an object by name. */
function packedOf(out: Packed[] | Record<string, Packed>): Packed {
  return Object.values(out)[0]!;
}

const programs = [
  ...readFileSync(path.join(ROOT, 'docs/library.md'), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm),
].map(([, text]) => text!);

describe('the package', () => {
  it('holds no source map, no build record and no test', () => {
    expect(packed.length).toBeGreaterThan(300);
    expect(
      packed.filter((name) => /\.map$|tsbuildinfo|\.test\.|^test\/(?!bench\/README)/.test(name)),
    ).toEqual([]);
    expect(packed).toContain('dist/src/index.js');
    expect(packed).toContain('dist/src/index.d.ts');
    expect(packed).toContain('models/reader/model.safetensors.index.json');
    expect(packed).toContain('models/reader/NOTICE');
  });

  it('holds whatever its pages link to', () => {
    const broken = packed
      .filter((name) => name === 'README.md' || /^docs\/.*\.md$/.test(name))
      .flatMap((page) =>
        [...readFileSync(path.join(installed, page), 'utf8').matchAll(/\]\(([^)\s]+)\)/g)]
          .map(([, link]) => link!.replace(/#.*$/, ''))
          .filter((link) => link !== '' && !/^[a-z]+:/.test(link))
          .map((link) => path.posix.join(path.posix.dirname(page), link))
          .filter((target) => !existsSync(path.join(installed, target)))
          .map((target) => `${page}: ${target}`),
      );
    expect(broken).toEqual([]);
  });

  it('needs no script to be run when it is installed', () => {
    const manifest = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8'));
    for (const step of ['preinstall', 'install', 'postinstall'])
      expect(manifest.scripts).not.toHaveProperty(step);
    // ONNX Runtime's fetches CUDA libraries: as an optional package it is left out where it cannot.
    expect(manifest.optionalDependencies).toHaveProperty('onnxruntime-node');
    const withScripts = Object.keys(manifest.dependencies).filter((name) => {
      const { scripts = {} } = JSON.parse(
        readFileSync(path.join(ROOT, 'node_modules', name, 'package.json'), 'utf8'),
      );
      return scripts.install ?? scripts.postinstall ?? scripts.preinstall;
    });
    expect(withScripts).toEqual([]);
  });

  it('starts as a command', () => {
    const { status, stdout } = spawnSync(
      process.execPath,
      [path.join(installed, 'bin/glyphpress.js'), '--version'],
      { encoding: 'utf8', cwd: project },
    );
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });
});

describe('an installation without ONNX Runtime', () => {
  it('says how to install it, and does what needs none', () => {
    const link = path.join(modules, 'onnxruntime-node');
    const aside = path.join(folder, 'onnxruntime-node');
    renameSync(link, aside);
    try {
      writeFileSync(path.join(project, 'gate.txt'), 'The gate is shut.');
      const command = (...args: string[]) =>
        spawnSync(process.execPath, [path.join(installed, 'bin/glyphpress.js'), ...args], {
          cwd: project,
          encoding: 'utf8',
          env: { ...process.env, GLYPHPRESS_CACHE: path.join(folder, 'cache') },
        });
      expect(command('render', 'gate.txt', '-o', 'gate').status).toBe(0);
      const { status, stderr } = command('ask', 'gate.txt', 'Is it shut?');
      expect(status).toBe(1);
      expect(stderr).toContain('ONNX Runtime is not installed');
      expect(stderr).toContain('npm install --ignore-scripts onnxruntime-node');
    } finally {
      renameSync(aside, link);
    }
  });
});

describe('the programs of docs/library.md', () => {
  it('are three, and the compiler takes them', () => {
    expect(programs).toHaveLength(3);
    for (const [i, text] of programs.entries())
      writeFileSync(path.join(project, `program-${i + 1}.ts`), text);
    writeFileSync(
      path.join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          target: 'ES2023',
          module: 'nodenext',
          moduleResolution: 'nodenext',
          strict: true,
          skipLibCheck: true,
          types: ['node'],
          outDir: 'out',
          rootDir: '.',
        },
        include: ['program-*.ts'],
      }),
    );
    const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', '.'], {
      cwd: project,
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  /** What each prints, besides figures that may change. */
  it.each([
    [1, [/ferry/, /^not found|\(\d\.\d\d, /m, /^\d+ text tokens, (\d+|no) pages drawn$/m]],
    [
      2,
      [
        /^\d+ text tokens, \d+ visual tokens on \d+ pages?$/m,
        /^\d+ pages, the first with \d+ lines$/m,
        /^\d+ visual tokens, [\d.]+ kept$/m,
        /^nothing was computed again$/m,
        /^GP_OUTPUT_EXISTS: notes\.gp holds another compressed document/m,
      ],
    ],
    [3, [/^240 tokens kept$/m, /^tiny-glm4v was asked 1 time$/m]],
  ])(
    'run: %i',
    (number, lines) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [`out/program-${number}.js`], {
        cwd: project,
        encoding: 'utf8',
        env: { ...process.env, MODEL: TINY_MODEL, GLYPHPRESS_CACHE: path.join(folder, 'cache') },
      });
      expect(stderr.replace(/^(render|encode|prefill) \d+\n/gm, '')).toBe('');
      expect(status).toBe(0);
      for (const line of lines) expect(stdout).toMatch(line);
    },
    240_000,
  );
});
