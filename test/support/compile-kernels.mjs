/**
 * Writes src/prune/row-kernel-code.ts from src/prune/row-kernel.wat. For developers:
 *
 *   npm run compile-kernels
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import wabt from 'wabt';

const source = fileURLToPath(new URL('../../src/prune/row-kernel.wat', import.meta.url));
const target = fileURLToPath(new URL('../../src/prune/row-kernel-code.ts', import.meta.url));

/** @returns {Promise<string>} the text of the TypeScript module */
export async function kernelModule() {
  const { parseWat } = await wabt();
  const module = parseWat('row-kernel.wat', readFileSync(source, 'utf8'), { simd: true });
  module.validate();
  const code = Buffer.from(module.toBinary({}).buffer).toString('base64');
  return `/** Made from row-kernel.wat by \`npm run compile-kernels\`; not to be edited. */\nexport const ROW_KERNEL_CODE =\n  '${code}';\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  writeFileSync(target, await kernelModule());
