import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it, vi } from 'vitest';
import { doctorTable, registerDoctor } from '../../src/cli/doctor.js';
import { type DoctorReport, diagnose } from '../../src/environment/doctor.js';
import { temporaryFolder } from './fake-program.js';

const CHECKS = [
  'node',
  'chromium',
  'redis',
  'fonts',
  'onnxruntime',
  'sharp',
  'models',
  'disk',
  'memory',
  'cache',
];

function check(report: DoctorReport, name: string) {
  return report.checks.find((candidate) => candidate.name === name)!;
}

describe('the diagnosis', () => {
  it('has one entry per check, with a fix wherever something is not ok', async () => {
    const report = await diagnose();
    expect(report.checks.map(({ name }) => name)).toEqual(CHECKS);
    expect(report.version).toMatch(/^\d+\.\d+\.\d+/);
    for (const { name, status, detail, fix } of report.checks) {
      expect(['ok', 'warn', 'missing']).toContain(status);
      expect(detail, name).not.toBe('');
      expect(detail, name).not.toContain('\n');
      if (status !== 'ok') expect(fix, name).toBeTruthy();
    }
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('finds what an installed package brings', async () => {
    const report = await diagnose();
    for (const name of ['node', 'fonts', 'onnxruntime', 'sharp']) {
      expect(check(report, name)).toMatchObject({ status: 'ok' });
    }
    expect(check(report, 'onnxruntime').facts?.backends).toContain('cpu');
  });

  it('names every missing part and how to get it', async () => {
    const folder = temporaryFolder();
    const report = await diagnose({
      packageRoot: folder,
      env: {
        PATH: folder,
        GLYPHPRESS_CHROME: join(folder, 'chrome'),
        GLYPHPRESS_REDIS_SERVER: join(folder, 'redis'),
        // A file where a folder should be.
        GLYPHPRESS_CACHE: join(writeEmpty(join(folder, 'file')), 'cache'),
      },
    });
    expect(report.ok).toBe(false);
    const missing = report.checks.filter(({ status }) => status === 'missing');
    expect(missing.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['chromium', 'fonts', 'onnxruntime', 'models']),
    );
    expect(check(report, 'chromium').fix).toContain('GLYPHPRESS_CHROME');
    expect(check(report, 'chromium').fix).toContain('apt-get install chromium-headless-shell');
    expect(check(report, 'redis')).toMatchObject({
      status: 'warn',
      fix: expect.stringContaining('REDIS_URL'),
    });
    expect(check(report, 'fonts').detail).toContain('dejavu-fonts-ttf');
    expect(check(report, 'models').fix).toContain('--model');
  });

  it.each([
    [true, 'ok'],
    [false, 'warn'],
  ])('tells whether the reader is trained (%s → %s)', async (trained, status) => {
    const folder = temporaryFolder();
    const reader = join(folder, 'models/reader');
    mkdirSync(reader, { recursive: true });
    writeFileSync(
      join(reader, 'config.json'),
      JSON.stringify({ model_type: 'glm4v', glyphpress: { trained } }),
    );
    expect(check(await diagnose({ packageRoot: folder }), 'models').status).toBe('missing');
    writeEmpty(join(reader, 'model.safetensors'));
    expect(check(await diagnose({ packageRoot: folder }), 'models').status).toBe(status);
  });

  it('says that REDIS_URL does not answer, without its password', async () => {
    const report = await diagnose({
      env: { ...process.env, REDIS_URL: 'redis://user:hunter2@127.0.0.1:1' },
    });
    const redis = check(report, 'redis');
    expect(redis).toMatchObject({
      status: 'warn',
      detail: expect.stringMatching(/127\.0\.0\.1:1 does not answer: .*ECONNREFUSED/),
    });
    expect(JSON.stringify(report)).not.toContain('hunter2');
  });

  it('survives a REDIS_URL that is not a URL', async () => {
    const report = await diagnose({ env: { ...process.env, REDIS_URL: 'nonsense' } });
    expect(check(report, 'redis').status).toBe('warn');
  });
});

describe('the table', () => {
  it('aligns the names and puts each fix on a line of its own', () => {
    const table = doctorTable({
      ok: false,
      version: '1.2.3',
      platform: 'linux-x64',
      checks: [
        { name: 'node', status: 'ok', detail: '20.20.2' },
        { name: 'chromium', status: 'missing', detail: 'none that works', fix: 'one\ntwo' },
        { name: 'redis', status: 'warn', detail: 'no server found', fix: 'three' },
      ],
    });
    expect(table).toBe(`glyphpress 1.2.3 on linux-x64

✓ node      20.20.2
✗ chromium  none that works
              → one
              → two
! redis     no server found
              → three

Not ready: chromium.
`);
  });
});

describe('the command', () => {
  async function run(...args: string[]) {
    let output = '';
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      output += chunk;
      return true;
    });
    const before = process.exitCode;
    try {
      const program = new Command().exitOverride();
      registerDoctor(program);
      await program.parseAsync(['doctor', ...args], { from: 'user' });
      return { output, exitCode: process.exitCode };
    } finally {
      write.mockRestore();
      process.exitCode = before;
    }
  }

  it('prints JSON and exits by what is missing', async () => {
    const { output, exitCode } = await run('--json');
    const report: DoctorReport = JSON.parse(output);
    expect(report.checks.map(({ name }) => name)).toEqual([...CHECKS, 'stored', 'settings']);
    expect(exitCode).toBe(report.ok ? 0 : 1);
  });

  it('shows an example in its help', async () => {
    let help = '';
    const program = new Command().exitOverride().configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    registerDoctor(program);
    program.commands[0]!.exitOverride().configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    await expect(program.parseAsync(['doctor', '--help'], { from: 'user' })).rejects.toMatchObject({
      code: 'commander.helpDisplayed',
    });
    expect(help).toContain('glyphpress doctor --json');
  });
});

function writeEmpty(path: string): string {
  writeFileSync(path, '');
  return path;
}
