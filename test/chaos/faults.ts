/** The faults of a run, each of them over when its promise is. */

import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { until } from '../support/service.js';
import type { LimitedDisk } from './limited-disk.js';
import type { FaultKind, PlannedFault, Random } from './plan.js';
import { type Role, send } from './processes.js';
import { LOCK_SECONDS, type SupervisedService } from './supervised-service.js';

export interface FaultOutcome {
  kind: FaultKind;
  /** Seconds since the run began. */
  atS: number;
  /** What it hit; null when there was nothing to hit. */
  hit: string | null;
}

export interface FaultTargets {
  service: SupervisedService;
  /** Null where none is to be full. */
  disk: LimitedDisk | null;
  store: string;
  dice: Random;
}

const BROWSER_WAIT_MS = 8_000;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** @returns what was hit, or null */
export async function strike(
  { kind, lastsMs }: PlannedFault,
  { service, disk, store, dice }: FaultTargets,
): Promise<string | null> {
  const some = (role: Role) => {
    const found = service.processes(role);
    return found.length > 0 ? dice.pick(found) : null;
  };
  const kill = (role: Role) => {
    const victim = some(role);
    return victim && send(victim.pid, 'SIGKILL') ? `${role} ${victim.pid}` : null;
  };
  const pause = async (role: Role, ms: number) => {
    const victim = some(role);
    if (!victim || !send(victim.pid, 'SIGSTOP')) return null;
    await sleep(ms);
    send(victim.pid, 'SIGCONT');
    return `${role} ${victim.pid} for ${ms} ms`;
  };
  switch (kind) {
    case 'kill-api':
      return kill('api');
    case 'kill-worker':
      return kill('worker');
    case 'kill-redis':
      return kill('redis');
    case 'kill-browser':
      await until(() => some('browser') !== null, BROWSER_WAIT_MS, 'a browser').catch(() => {});
      return kill('browser');
    case 'pause-redis':
      return pause('redis', lastsMs);
    case 'pause-worker':
      // Long enough for its work to be given to another, and then it goes on.
      return pause('worker', lastsMs + 1.5 * LOCK_SECONDS * 1000);
    case 'full-disk': {
      if (!disk || disk.problem !== null) return null;
      disk.fill();
      await sleep(lastsMs);
      disk.free();
      return `full for ${lastsMs} ms`;
    }
    case 'damage-artifact':
      return damageSomeFile(store, dice);
    case 'restart-api':
      service.terminate();
      return 'SIGTERM';
  }
}

/** Flips one bit of one file in the store. */
export function damageSomeFile(store: string, dice: Random): string | null {
  const files = filesOf(path.join(store, 'tenants'));
  return files.length > 0 && flipBit(dice.pick(files), dice) ? 'one bit of a file' : null;
}

export function flipBit(file: string, dice: Random): boolean {
  try {
    const { size } = statSync(file);
    if (size === 0) return false;
    const handle = openSync(file, 'r+');
    try {
      const at = dice.between(0, size - 1);
      const byte = Buffer.alloc(1);
      readSync(handle, byte, 0, 1, at);
      byte[0]! ^= 1 << dice.between(0, 7);
      writeSync(handle, byte, 0, 1, at);
      return true;
    } finally {
      closeSync(handle);
    }
  } catch {
    return false; // moved or deleted meanwhile
  }
}

export function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
  } catch {
    return []; // not there yet, or changing under our eyes
  }
}
