/** A Redis or Valkey server of glyphpress's own: started, watched, started again, and ended with it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { redisChoices } from '#setup/discovery.mjs';
import { GlyphpressError } from '../errors.js';
import { makeFolderSync } from '../output-folder.js';
import { sha256Hex } from '../sha256.js';
import { findRedisServer, pingRedis } from './redis.js';

export interface PrivateRedis {
  /** For {@link pingRedis} and ioredis: the path of a socket that only this user can open. */
  url: string;
  /** Rejects when the server cannot be kept alive; never resolves before {@link stop}. */
  lost: Promise<never>;
  /** Shuts the server down cleanly: its data is on disk before it exits. */
  stop(): Promise<void>;
}

/** Linux takes 107 bytes, macOS 103. */
const MAX_SOCKET_PATH_BYTES = 100;

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;

/** A server that dies this often within the time is not started again. */
const MAX_DEATHS = 5;
const DEATHS_WITHIN_MS = 60_000;

/**
 * Ends the server when its standard input closes, and that happens however glyphpress ends. In a
 * session of its own, so that Ctrl-C reaches it through glyphpress only, after the workers.
 */
const GUARD = `exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat; kill -TERM "$server"; } <&3 >/dev/null 2>&1 &
exec 3<&-
wait "$server"`;

/** Where the private server of a data folder listens, whether it runs or not. */
export function privateRedisSocket(dataFolder: string): string {
  const folder = path.resolve(dataFolder, 'redis');
  const socket = path.join(folder, 'redis.sock');
  if (Buffer.byteLength(socket) <= MAX_SOCKET_PATH_BYTES) return socket;
  const name = sha256Hex(folder).slice(0, 16);
  return path.join(tmpdir(), `glyphpress-${process.getuid?.() ?? ''}-${name}`, 'redis.sock');
}

/**
 * @param dataFolder gets a folder `redis`; its content outlives the server
 * @throws {GlyphpressError} GP_REDIS_NOT_FOUND, GP_REDIS_UNAVAILABLE (does not start),
 *   GP_SERVICE (a server of another glyphpress runs on this folder)
 */
export async function startPrivateRedis(
  dataFolder: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<PrivateRedis> {
  const server = findRedisServer(env);
  if (!server) {
    throw new GlyphpressError('GP_REDIS_NOT_FOUND', {
      message: 'Expected REDIS_URL or a redis-server or valkey-server on PATH, found neither',
      hint: redisChoices().join('\n  '),
    });
  }
  const folder = path.resolve(dataFolder, 'redis');
  const socket = privateRedisSocket(dataFolder);
  for (const dir of [folder, path.dirname(socket)]) {
    makeFolderSync(dir, 0o700);
    chmodSync(dir, 0o700);
  }
  if ((await pingRedis(socket, 1_000)).ok) {
    throw new GlyphpressError('GP_SERVICE', {
      message: `Another glyphpress serves the data in ${path.resolve(dataFolder)}`,
      hint: 'Stop it, or give this one another folder with --data.',
      details: { dataFolder },
    });
  }
  const start = () =>
    spawn('/bin/sh', ['-c', GUARD, 'glyphpress-redis', server.path, ...settings(folder, socket)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: folder,
    });

  let stopping = false;
  let guard: ChildProcess;
  let reportLoss: (error: GlyphpressError) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    reportLoss = reject;
  });
  lost.catch(() => {}); // whoever cares awaits it
  const deaths: number[] = [];
  const watch = (child: ChildProcess): void => {
    guard = child;
    child.stdin!.on('error', () => {}); // gone with the server
    child.once('error', (cause) => reportLoss(unavailable(folder, cause)));
    child.once('exit', () => {
      child.stdin!.destroy();
      if (stopping) return;
      deaths.push(Date.now());
      const recent = deaths.filter((time) => Date.now() - time < DEATHS_WITHIN_MS).length;
      if (recent >= MAX_DEATHS) reportLoss(unavailable(folder));
      else setTimeout(() => !stopping && watch(start()), 100 * recent);
    });
  };
  watch(start());
  const redis: PrivateRedis = {
    url: socket,
    lost,
    async stop() {
      if (stopping) return;
      stopping = true;
      await end(guard);
    },
  };
  try {
    await Promise.race([untilReady(socket, folder), lost]);
    return redis;
  } catch (error) {
    await redis.stop();
    throw error;
  }
}

/** Every accepted document is on the disk within a second; nothing is ever evicted. */
function settings(folder: string, socket: string): string[] {
  return Object.entries({
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
    // A record in one piece, with its settings and its report, takes half as much. Redis 6.2 knows this name only.
    'hash-max-ziplist-value': '4096',
    daemonize: 'no',
    logfile: path.join(folder, 'redis.log'),
  }).flatMap(([key, value]) => [`--${key}`, value]);
}

async function untilReady(socket: string, folder: string): Promise<void> {
  const end = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const ping = await pingRedis(socket, 1_000);
    if (ping.ok) return;
    if (Date.now() > end) throw unavailable(folder);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function end(guard: ChildProcess): Promise<void> {
  if (guard.exitCode !== null || guard.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const force = setTimeout(() => {
      try {
        process.kill(-guard.pid!, 'SIGKILL');
      } catch {
        // gone meanwhile
      }
    }, STOP_TIMEOUT_MS);
    guard.once('exit', () => {
      clearTimeout(force);
      resolve();
    });
    guard.stdin!.end();
  });
}

function unavailable(folder: string, cause?: unknown): GlyphpressError {
  const log = path.join(folder, 'redis.log');
  let said = '';
  try {
    said = readFileSync(log, 'utf8').trim().split('\n').slice(-3).join('\n');
  } catch {
    // It did not come as far as a log.
  }
  return new GlyphpressError('GP_REDIS_UNAVAILABLE', {
    message: `The private Redis does not stay up${said ? `:\n${said}` : ''}`,
    hint: `Read ${log}, or give another server with REDIS_URL.`,
    details: { log },
    cause,
  });
}
