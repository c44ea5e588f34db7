#!/usr/bin/env node
/**
 * Starts the command line. In a clone where nothing was set up yet it runs the set-up first; all of
 * that goes to stderr, so the output of the command stays clean.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, 'dist', 'src', 'cli', 'main.js');

if (!isSetUp()) {
  process.stderr.write('glyphpress: first run, setting up (this happens once)\n');
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'scripts', 'setup.mjs'), '--redis', 'find'],
    // The set-up's stdout is our stderr.
    { stdio: ['ignore', 2, 2] },
  );
  if (status !== 0) process.exit(status ?? 1);
  if (!existsSync(main)) {
    process.stderr.write(`glyphpress: the build made no ${main}\n`);
    process.exit(1);
  }
}

await import(pathToFileURL(main).href);

function isSetUp() {
  try {
    import.meta.resolve('commander');
    return existsSync(main);
  } catch {
    return false;
  }
}
