/** Child processes of the set-up: quiet while all is well, their whole output when not. */
import { spawn } from 'node:child_process';

const HEARTBEAT_MS = 15_000;

/** The last lines of a long output. */
export function lastLines(text, count = 40) {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

/**
 * Run a command to its end without showing its output.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onHeartbeat?: (seconds: number) => void }} options
 * @returns {Promise<{ ok: boolean, output: string }>} output is stdout and stderr as they came
 */
export function run(command, args, { cwd, env = process.env, onHeartbeat } = {}) {
  return new Promise((resolve) => {
    const startedMs = Date.now();
    const heartbeat = setInterval(
      () => onHeartbeat?.(Math.round((Date.now() - startedMs) / 1000)),
      HEARTBEAT_MS,
    );
    let output = '';
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const collect = (chunk) => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    const finish = (ok) => {
      clearInterval(heartbeat);
      resolve({ ok, output });
    };
    child.on('error', (error) => {
      output += `${command}: ${error.message}\n`;
      finish(false);
    });
    child.on('close', (status) => finish(status === 0));
  });
}
