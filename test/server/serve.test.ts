import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { glyphpress, type RunningCli, startGlyphpress } from '../support/cli.js';
import { temporaryFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';
import { words } from '../support/rendering.js';
import { SMALL_PAGES, until } from '../support/service.js';

/** Command lines of processes that name the folder, by process id. */
function processesNaming(folder: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (command.includes(folder) && Number(name) !== process.pid)
        found.set(Number(name), command);
    } catch {
      // gone meanwhile
    }
  }
  return found;
}

const workersIn = (data: string) =>
  [...processesNaming(data)].filter(([, command]) => / worker /.test(command)).map(([pid]) => pid);

async function serve(data: string, args: string[] = [], env: Record<string, string> = {}) {
  const scratch = path.join(data, 'scratch');
  mkdirSync(scratch, { recursive: true });
  const running = startGlyphpress(
    ['serve', '--port', '0', '--json', '--model', TINY_MODEL, '--log-level', 'warn', ...args],
    // Browsers name the place of their profiles.
    { env: { GLYPHPRESS_DATA: data, REDIS_URL: undefined, TMPDIR: scratch, ...env } },
  );
  onTestFinished(async () => {
    if (running.child.exitCode === null && running.child.signalCode === null)
      process.kill(-running.child.pid!, 'SIGKILL');
    await running.result;
    await until(() => processesNaming(data).size === 0, 10_000, 'the end of all processes');
  });
  let out = '';
  running.child.stdout!.on('data', (text: string) => {
    out += text;
  });
  await until(() => out.includes('\n') || running.child.exitCode !== null, 90_000, 'the service');
  if (!out.includes('\n')) throw new Error((await running.result).stderr);
  return { ...running, url: JSON.parse(out).url as string };
}

async function submit(url: string, text: string): Promise<string> {
  const response = await fetch(`${url}/v1/documents`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text, render: SMALL_PAGES }),
  });
  // A machine that is busy with other things: the service asks to come back.
  if (response.status === 503) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return submit(url, text);
  }
  return ((await response.json()) as { id: string }).id;
}

const stateOf = async (url: string, id: string) =>
  (await (await fetch(`${url}/v1/documents/${id}`)).json()) as {
    status: string;
    stage: string | null;
    progress: { pages_done: number };
  };

async function stop({ child, result }: RunningCli, signal: NodeJS.Signals, group = false) {
  if (group) process.kill(-child.pid!, signal);
  else child.kill(signal);
  return result;
}

// Processes are found in /proc.
describe.skipIf(!existsSync('/proc/self/cmdline'))('glyphpress serve', () => {
  it('survives the death of its worker, stops in order, and goes on where it was', async () => {
    const data = temporaryFolder();
    const first = await serve(data, [], { GLYPHPRESS_LOCK_SECONDS: '2' });
    const id = await submit(first.url, words(2_000, 2));
    await until(
      async () => (await stateOf(first.url, id)).progress.pages_done > 2,
      40_000,
      'pages',
    );

    const [worker] = workersIn(data);
    process.kill(worker!, 'SIGKILL');
    await until(
      () => workersIn(data).some((pid) => pid !== worker),
      20_000,
      'another worker process',
    );
    expect((await stateOf(first.url, id)).status).toBe('in_progress');

    // As Ctrl-C does it: every process of the group gets the signal.
    const { code, stderr } = await stop(first, 'SIGINT', true);
    expect({ code, stderr: stderr.replace(/^\{.*\n/gm, '') }).toMatchObject({ code: 0 });
    await until(() => processesNaming(data).size === 0, 5_000, 'the end of all processes');

    const second = await serve(data, [], { GLYPHPRESS_LOCK_SECONDS: '2' });
    const { stage, progress } = await stateOf(second.url, id);
    if (stage === 'render') expect(progress.pages_done).toBeGreaterThan(2);
    expect(stage).not.toBe('extract');
    await until(
      async () => ['completed', 'failed'].includes((await stateOf(second.url, id)).status),
      60_000,
      'the document',
    );
    expect((await stateOf(second.url, id)).status).toBe('completed');
    expect((await stop(second, 'SIGTERM')).code).toBe(0);
    await until(() => processesNaming(data).size === 0, 5_000, 'the end of all processes');
  }, 150_000);

  it('leaves no process when it is killed itself, whatever its worker was at', async () => {
    const data = temporaryFolder();
    const service = await serve(data);
    const id = await submit(service.url, words(4_000, 4));
    await until(
      async () => (await stateOf(service.url, id)).progress.pages_done > 0,
      40_000,
      'pages',
    );
    expect([...processesNaming(data).values()].join('\n')).toContain('redis-server');
    expect(workersIn(data)).toHaveLength(1);
    await stop(service, 'SIGKILL');
    await until(() => processesNaming(data).size === 0, 30_000, 'the end of all processes');
  }, 100_000);

  it('takes the keys that are made beside it, until they are revoked', async () => {
    const data = temporaryFolder();
    const env = { GLYPHPRESS_DATA: data, REDIS_URL: undefined };
    const made = await glyphpress(['keys', 'create', '--tenant', 'acme', '--json'], { env });
    const { key, id } = JSON.parse(made.stdout);
    const service = await serve(data, ['--require-key', '--workers', '0']);
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${service.url}/v1/models`, { headers })).status;
    expect(await status({})).toBe(401);
    expect(await status({ authorization: `Bearer ${key}` })).toBe(200);
    expect((await glyphpress(['keys', 'revoke', id], { env })).code).toBe(0);
    expect(await status({ authorization: `Bearer ${key}` })).toBe(401);
    expect((await stop(service, 'SIGTERM')).code).toBe(0);
  });

  it('tells a worker without a service what to do', async () => {
    const env = { GLYPHPRESS_DATA: temporaryFolder(), REDIS_URL: undefined };
    const { code, stderr } = await glyphpress(['worker', '--model', TINY_MODEL], { env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/GP_REDIS_NOT_FOUND.*\n.*glyphpress serve/);
  });
});
