/** Processes of a run, found in /proc by the folder that they name in their command or environment. */

import { readdirSync, readFileSync } from 'node:fs';

export type Role = 'api' | 'worker' | 'redis' | 'browser' | 'extractor' | 'other';

export interface FoundProcess {
  pid: number;
  role: Role;
  command: string;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // gone meanwhile
  }
}

function roleOf(command: string): Role {
  if (/glyphpress\.js serve /.test(command)) return 'api';
  if (/glyphpress\.js worker( |$)/.test(command)) return 'worker';
  if (/^\S*(redis|valkey)-server/.test(command)) return 'redis';
  if (/extract\/child\.js/.test(command)) return 'extractor';
  if (/chrom/i.test(command.split(' ')[0]!)) return 'browser';
  return 'other';
}

/** All that live and name the folder; not this process. */
export function processesOf(folder: string): FoundProcess[] {
  const found: FoundProcess[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isSafeInteger(pid) || pid === process.pid) continue;
    const command = textOf(`/proc/${pid}/cmdline`).trim();
    if (command === '') continue; // a zombie, or of the kernel
    if (!command.includes(folder) && !textOf(`/proc/${pid}/environ`).includes(folder)) continue;
    found.push({ pid, role: roleOf(command), command });
  }
  return found;
}

export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false; // it ended by itself
  }
}

/** Resident bytes. */
export function rssOf(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(textOf(`/proc/${pid}/status`));
  return match ? Number(match[1]) * 1024 : 0;
}
