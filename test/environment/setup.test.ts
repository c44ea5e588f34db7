import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { aptInstall, whyNotApt } from '../../scripts/setup/apt.mjs';
import { fakeChromium, fakeProgram, temporaryFolder } from './fake-program.js';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

/**
 * A small clone: the real set-up and launcher, a one-file program, a fake npm that installs a
 * compiler and a commander, and a fake Chromium. Nothing of the real machine is on its PATH.
 */
function clone() {
  const root = join(temporaryFolder(), 'clone');
  for (const path of ['scripts/setup.mjs', 'scripts/setup', 'bin']) {
    cpSync(join(REPOSITORY, path), join(root, path), { recursive: true });
  }
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  write('package.json', '{"name":"glyphpress","version":"0.0.0","type":"module"}');
  write('package-lock.json', '{"lockfileVersion":3}');
  write('src/cli/main.ts', 'console.log("started", ...process.argv.slice(2));');

  // Copies every source as it is; enough, since the program above is plain JavaScript too.
  write(
    'compiler.js',
    `const { cpSync, readdirSync, renameSync, readFileSync, appendFileSync } = require('node:fs');
appendFileSync('calls.txt', 'tsc\\n');
if (readFileSync('src/cli/main.ts', 'utf8').includes('type error')) {
  console.log("src/cli/main.ts(1,1): error TS2322: no");
  process.exit(2);
}
cpSync('src', 'dist/src', { recursive: true });
for (const name of readdirSync('dist/src/cli')) {
  if (name.endsWith('.ts')) renameSync('dist/src/cli/' + name, 'dist/src/cli/' + name.replace('.ts', '.js'));
}`,
  );
  const bin = join(root, 'fake-bin');
  fakeProgram(
    join(bin, 'npm'),
    `echo "npm $* $ONNXRUNTIME_NODE_INSTALL $PUPPETEER_SKIP_DOWNLOAD" >> calls.txt
if [ -e npm-fails ]; then echo "npm error network"; exit 1; fi
if [ -e lock-is-off ]; then
  echo "npm error code EUSAGE"; echo "npm error Missing: a@1.0.0 from lock file"
  echo "npm error Clean install a project"; echo "npm error Options:"; exit 1
fi
rm -rf node_modules
mkdir -p node_modules/typescript/bin node_modules/commander
cp compiler.js node_modules/typescript/bin/tsc
echo '{"name":"commander","main":"index.js"}' > node_modules/commander/package.json
touch node_modules/commander/index.js
echo '{}' > node_modules/.package-lock.json`,
  );
  for (const tool of ['mkdir', 'cp', 'rm', 'touch', 'chmod']) {
    const real = [`/usr/bin/${tool}`, `/bin/${tool}`].find(existsSync)!;
    symlinkSync(real, join(bin, tool));
  }
  const chrome = fakeChromium(join(root, 'fake-chrome'), '150.0.1.2');
  const env: NodeJS.ProcessEnv = {
    PATH: bin,
    HOME: root,
    GLYPHPRESS_CHROME: chrome,
    GLYPHPRESS_REDIS_SERVER: fakeProgram(join(root, 'redis'), 'echo "Redis server v=7.0.15 sha=0"'),
  };
  const node = (script: string, ...args: string[]) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [join(root, script), ...args], {
      cwd: root,
      env,
      encoding: 'utf8',
    });
    return { stdout, stderr, status };
  };
  return {
    root,
    env,
    bin,
    write,
    launch: (...args: string[]) => node('bin/glyphpress.js', ...args),
    setup: (...args: string[]) => node('scripts/setup.mjs', ...args),
    /** What the fake npm and compiler were asked since the last call. */
    calls() {
      const path = join(root, 'calls.txt');
      if (!existsSync(path)) return [];
      const lines = readFileSync(path, 'utf8').trim().split('\n');
      rmSync(path);
      return lines;
    },
  };
}

const NPM_CI = 'npm ci --include=dev --ignore-scripts --no-fund --no-audit skip 1';

describe('the set-up', () => {
  it('prepares a fresh clone, and does nothing the second time', () => {
    const { setup, calls } = clone();
    const first = setup();
    expect(first).toMatchObject({ status: 0, stderr: '' });
    expect(first.stdout).toContain('✓ Packages: installed');
    expect(first.stdout).toContain('✓ Build: compiled');
    expect(first.stdout).toContain('✓ Chromium: 150.0.1.2 (');
    expect(first.stdout).toContain('✓ Redis: 7.0.15 (');
    expect(calls()).toEqual([NPM_CI, 'tsc']);

    expect(setup()).toMatchObject({ status: 0 });
    expect(setup('--quiet')).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(calls()).toEqual([]);
  });

  it('installs again when the lock file changed, but not when only its date did', () => {
    const { root, setup, calls, write } = clone();
    setup();
    calls();
    const later = new Date(Date.now() + 60_000);
    utimesSync(join(root, 'package-lock.json'), later, later);
    setup();
    expect(calls()).toEqual([]);
    write('package-lock.json', '{"lockfileVersion":3,"packages":{}}');
    utimesSync(join(root, 'package-lock.json'), later, later);
    setup();
    expect(calls()).toEqual([NPM_CI, 'tsc']);
  });

  it('compiles again when a source changed, and forgets the output of removed sources', () => {
    const { root, setup, calls, write } = clone();
    write('src/cli/old.ts', '');
    setup();
    calls();
    write('src/cli/main.ts', 'console.log("changed");');
    setup();
    expect(calls()).toEqual(['tsc']);
    expect(existsSync(join(root, 'dist/src/cli/old.js'))).toBe(true);
    rmSync(join(root, 'src/cli/old.ts'));
    setup();
    expect(existsSync(join(root, 'dist/src/cli/old.js'))).toBe(false);
    expect(existsSync(join(root, 'dist/src/cli/main.js'))).toBe(true);
  });

  it('shows what npm said when it fails, and still looks for the rest', () => {
    const { setup, write } = clone();
    write('npm-fails', '');
    const { status, stdout, stderr } = setup();
    expect(status).toBe(1);
    expect(stderr).toContain('npm error network');
    expect(stderr).toContain('✗ Packages: npm ci failed');
    expect(stderr).toContain('- Build: needs the packages');
    expect(stdout).toContain('✓ Chromium');
  });

  it('names a lock file that does not fit, without the manual that npm appends', () => {
    const { setup, write } = clone();
    write('lock-is-off', '');
    const { status, stderr } = setup();
    expect(status).toBe(1);
    expect(stderr).toContain('Missing: a@1.0.0 from lock file');
    expect(stderr).toContain('✗ Packages: package-lock.json does not fit package.json');
    expect(stderr).not.toContain('Options:');
  });

  it('does not take a failed build for a finished one', () => {
    const { setup, calls, write } = clone();
    write('src/cli/main.ts', '// type error');
    for (let attempt = 0; attempt < 2; attempt++) {
      const { status, stderr } = setup();
      expect(status).toBe(1);
      expect(stderr).toContain('error TS2322');
    }
    expect(calls().filter((call) => call === 'tsc')).toHaveLength(2);
  });

  it('fails without Chromium and prints the choices', () => {
    const { setup, env, root } = clone();
    env.GLYPHPRESS_CHROME = join(root, 'nowhere');
    const { status, stderr } = setup();
    expect(status).toBe(1);
    expect(stderr).toContain('✗ Chromium: not found; GLYPHPRESS_CHROME is set');
    expect(stderr).toContain('apt-get install chromium-headless-shell');
    expect(stderr).toContain('npx puppeteer browsers install');
  });

  it.each([
    ['install', 0, '!'],
    ['find', 0, '!'],
    ['required', 1, '✗'],
  ])('treats a missing Redis as told (--redis %s → status %d)', (mode, status, mark) => {
    const { setup, env, root } = clone();
    env.GLYPHPRESS_REDIS_SERVER = join(root, 'nowhere');
    const result = setup('--redis', mode);
    expect(result.status).toBe(status);
    expect(result.stderr).toContain(`${mark} Redis: no Redis-compatible server found`);
    expect(result.stderr).toContain('REDIS_URL');
  });

  it('needs no server of its own when REDIS_URL names one', () => {
    const { setup, env, root } = clone();
    env.GLYPHPRESS_REDIS_SERVER = join(root, 'nowhere');
    env.REDIS_URL = 'redis://example.invalid:6379';
    const { status, stdout } = setup('--redis', 'required');
    expect(status).toBe(0);
    expect(stdout).toContain('✓ Redis: given by REDIS_URL');
  });

  it('prints one JSON object on stdout', () => {
    const { setup } = clone();
    const { stdout, status } = setup('--json');
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(report.ok).toBe(true);
    expect(report.steps.map(({ name }: { name: string }) => name)).toEqual([
      'Node',
      'Packages',
      'Build',
      'Chromium',
      'Redis',
    ]);
    expect(report.steps[1]).toMatchObject({ status: 'ok', changed: true });
  });

  it.each([
    [['--redis', 'perhaps'], '--redis is one of'],
    [['--verbose'], '--verbose'],
  ])('refuses %j with status 2', (args, message) => {
    const { status, stderr } = clone().setup(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain('Usage:');
  });
});

describe('system packages', () => {
  /** An apt-get that "installs" a Chromium or Redis into the fake PATH. */
  function machineWithApt(installable: string[]) {
    const made = clone();
    delete made.env.GLYPHPRESS_CHROME;
    made.env.PUPPETEER_CACHE_DIR = join(made.root, 'no-cache');
    fakeProgram(
      join(made.bin, 'apt-get'),
      `echo "apt-get $DEBIAN_FRONTEND $*" >> calls.txt
for last; do :; done
case " ${installable.join(' ')} " in *" $last "*)
  echo '#!/bin/sh' > fake-bin/$last
  echo 'echo "Chromium 151.0.0.1"' >> fake-bin/$last
  chmod +x fake-bin/$last
  exit 0;; esac
[ "$last" = update ] || { echo "E: Unable to locate package $last"; exit 100; }`,
    );
    return made;
  }

  // The known system paths of the machine that runs the tests cannot be hidden from a child.
  async function install(made: ReturnType<typeof clone>, packages: string[]) {
    const policyPath = join(made.root, 'policy-rc.d');
    const lines: string[] = [];
    const before = process.cwd();
    process.chdir(made.root);
    try {
      const result = await aptInstall(packages, {
        env: made.env,
        progress: (line: string) => lines.push(line),
        policyPath,
      });
      return { ...result, lines, policyLeft: existsSync(policyPath) };
    } finally {
      process.chdir(before);
    }
  }

  it('refreshes the lists once and takes the first package that installs', async () => {
    const made = machineWithApt(['chromium']);
    const result = await install(made, ['chromium-headless-shell', 'chromium']);
    expect(result.installed).toBe('chromium');
    expect(result.policyLeft).toBe(false);
    const apt = 'apt-get noninteractive -o DPkg::Lock::Timeout=120';
    expect(made.calls()).toEqual([
      `${apt} update`,
      `${apt} install -y --no-install-recommends chromium-headless-shell`,
      `${apt} install -y --no-install-recommends chromium`,
    ]);
    await install(made, ['chromium']);
    expect(made.calls()).toEqual([`${apt} install -y --no-install-recommends chromium`]);
  });

  it('forbids package scripts to start services while it installs', async () => {
    const made = machineWithApt([]);
    fakeProgram(
      join(made.bin, 'apt-get'),
      './policy-rc.d; echo "policy says $?" >> calls.txt; exit 0',
    );
    const result = await install(made, ['redis-server']);
    expect(made.calls().at(-1)).toBe('policy says 101');
    expect(result.policyLeft).toBe(false);
  });

  it('keeps what apt-get said when nothing installs', async () => {
    const made = machineWithApt([]);
    const result = await install(made, ['chromium']);
    expect(result.installed).toBeNull();
    expect(result.output).toContain('Unable to locate package chromium');
  });

  it.each([
    ['is switched off', { allowed: false, uid: 0 }],
    ['needs root', { uid: 1000 }],
    [null, { uid: 0 }],
  ])('knows when it may install (%s)', (reason, options) => {
    const { env } = machineWithApt([]);
    const answer = whyNotApt({ ...options, env });
    if (reason === null) expect(answer).toBeNull();
    else expect(answer).toContain(reason);
    expect(whyNotApt({ ...options, env: { PATH: '/nowhere' } })).not.toBeNull();
  });
});

describe('the launcher', () => {
  it('sets a fresh clone up, keeps stdout for the command, and passes the arguments on', () => {
    const { launch, calls } = clone();
    const first = launch('ask', 'a b', '--json');
    expect(first).toMatchObject({ status: 0, stdout: 'started ask a b --json\n' });
    expect(first.stderr).toContain('first run');
    expect(first.stderr).toContain('✓ Build: compiled');
    calls();

    expect(launch()).toEqual({ status: 0, stdout: 'started\n', stderr: '' });
    expect(calls()).toEqual([]);
  });

  it('sets up again when the packages are gone', () => {
    const { launch, root, calls } = clone();
    launch();
    calls();
    rmSync(join(root, 'node_modules'), { recursive: true });
    expect(launch()).toMatchObject({ status: 0, stdout: 'started\n' });
    expect(calls()[0]).toBe(NPM_CI);
  });

  it('stops with the message of a set-up that fails', () => {
    const { launch, write } = clone();
    write('npm-fails', '');
    const { status, stdout, stderr } = launch('ask');
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('✗ Packages: npm ci failed');
  });

  it('is executable, as npx needs it', () => {
    expect(statSync(join(REPOSITORY, 'bin/glyphpress.js')).mode & 0o111).toBe(0o111);
  });
});
