/** Debian packages, installed only when this process may: root, with apt-get, and not told otherwise. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { findOnPath } from './discovery.mjs';
import { lastLines, run } from './run.mjs';

const POLICY_PATH = '/usr/sbin/policy-rc.d';

/** Package scripts ask this file before they start a service; 101 means no. */
const POLICY = '#!/bin/sh\n# Written by the glyphpress set-up, removed when it ends.\nexit 101\n';

/**
 * Why packages cannot be installed here, or null when they can.
 *
 * @param {{ allowed?: boolean, uid?: number, env?: NodeJS.ProcessEnv }} options
 */
export function whyNotApt({ allowed = true, uid = process.getuid?.(), env = process.env } = {}) {
  if (!allowed) return 'installing system packages is switched off';
  if (!findOnPath('apt-get', env)) return 'this system has no apt-get';
  if (uid !== 0) return 'installing packages needs root';
  return null;
}

const refreshed = new Map();

/**
 * Install the first of several packages that apt can install. No service of theirs is started.
 *
 * @param {string[]} packages best first
 * @param {{ env?: NodeJS.ProcessEnv, progress: (line: string) => void, policyPath?: string }} options
 * @returns {Promise<{ installed: string | null, output: string }>}
 */
export async function aptInstall(
  packages,
  { env = process.env, progress, policyPath = POLICY_PATH },
) {
  const aptEnv = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
  const aptGet = findOnPath('apt-get', env);
  const apt = (args, label) => {
    progress(`${label} (apt-get ${args[0]})`);
    // Another package manager may hold the lock for a moment, for example at the boot of a machine.
    return run(aptGet, ['-o', 'DPkg::Lock::Timeout=120', ...args], {
      env: aptEnv,
      onHeartbeat: (seconds) => progress(`${label}: still at it after ${seconds} s`),
    });
  };

  let output = '';
  if (!refreshed.has(aptGet)) {
    const update = await apt(['update'], 'refreshing the package lists');
    refreshed.set(aptGet, update.ok);
    // Old lists may still do, so a failure here only matters when the install fails too.
    if (!update.ok) output += `${lastLines(update.output)}\n`;
  }
  const release = forbidServiceStart(policyPath);
  try {
    for (const name of packages) {
      const install = await apt(
        ['install', '-y', '--no-install-recommends', name],
        `installing ${name}`,
      );
      output += `${lastLines(install.output)}\n`;
      if (install.ok) return { installed: name, output };
    }
    return { installed: null, output };
  } finally {
    release();
  }
}

/**
 * Keep package scripts from starting services until the returned function is called.
 * A policy that the administrator wrote stays as it is.
 */
function forbidServiceStart(policyPath) {
  if (existsSync(policyPath)) return () => {};
  try {
    writeFileSync(policyPath, POLICY, { mode: 0o755, flag: 'wx' });
  } catch {
    return () => {};
  }
  const remove = () => rmSync(policyPath, { force: true });
  const interrupted = (signal) => {
    remove();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  return () => {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    remove();
  };
}
