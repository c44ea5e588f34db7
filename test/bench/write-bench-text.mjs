#!/usr/bin/env node
/**
 * Write the benchmarks' prose to a file, for peers that are not written in TypeScript:
 *
 *   node test/bench/write-bench-text.mjs 215000 /tmp/bench.txt
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
// Vitest brings it; Node 20 itself cannot load TypeScript.
import { runnerImport } from 'vite';

const [chars, path] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(chars ?? '') || !path) {
  process.stderr.write('Usage: node test/bench/write-bench-text.mjs <characters> <file>\n');
  process.exit(2);
}
const { module } = await runnerImport(fileURLToPath(new URL('bench-text.ts', import.meta.url)));
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, module.proseText(Number(chars)));
process.stdout.write(`${chars} characters of prose (${module.proseOrigin()}) in ${path}\n`);
