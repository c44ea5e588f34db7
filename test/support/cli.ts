/** The command line as its users start it: another process, its streams and its exit code. */

import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { ROOT } from './repository.js';

const BIN = path.join(ROOT, 'bin/glyphpress.js');

export interface CliOptions {
  /** Put over the environment of the test; undefined unsets. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** What it reads from standard input; without it, that is empty. */
  stdin?: Buffer | string;
}

export interface CliResult {
  /** Null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** Pieces of stdout as they came. */
  chunks: string[];
}

export interface RunningCli {
  child: ChildProcess;
  result: Promise<CliResult>;
}

/** In a process group of its own, so that a test can do what Ctrl-C does. */
export function startGlyphpress(args: readonly string[], options: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: options.cwd,
    env: {
      ...process.env,
      GLYPHPRESS_API_KEY: undefined,
      OPENAI_API_KEY: undefined,
      ...options.env,
    },
    stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  // One that ends early closes its pipe.
  child.stdin?.on('error', () => {}).end(options.stdin);
  const chunks: string[] = [];
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => chunks.push(text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const result = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout: chunks.join(''), stderr, chunks }));
  });
  return { child, result };
}

export function glyphpress(args: readonly string[], options?: CliOptions): Promise<CliResult> {
  return startGlyphpress(args, options).result;
}
