/** Every type of a GGUF file, multiplied as it is stored: the graph gives the reference's numbers. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { GgufFile } from '../../src/vlm/gguf/gguf-file.js';
import { checkpointTensors } from '../../src/vlm/gguf/gguf-tensors.js';
import { GraphBuilder } from '../../src/vlm/graph-builder.js';
import { Session } from '../../src/vlm/runtime.js';
import { SafetensorsFile } from '../../src/vlm/safetensors.js';
import { writeSafetensors } from '../../src/vlm/safetensors-writer.js';
import { placeStored } from '../../src/vlm/weights/placement.js';
import { findWeight } from '../../src/vlm/weights/stored-weight.js';
import { ggufBytes } from './gguf-writer.js';

const folder = mkdtempSync(join(tmpdir(), 'glyphpress-gguf-product-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface GoldenBlocks {
  shape: [rows: number, columns: number];
  types: Record<string, { type: number; blocks: string; values: string }>;
}
const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/gguf/blocks.json'), 'utf8'),
) as GoldenBlocks;

it.each(Object.entries(golden.types))('%s', async (name, { type, blocks, values }) => {
  const [rows, columns] = golden.shape;
  const bytes = new Uint8Array(Buffer.from(blocks, 'base64'));
  const expected = new Float32Array(new Uint8Array(Buffer.from(values, 'base64')).buffer);
  const path = join(folder, `${name}.gguf`);
  writeFileSync(path, ggufBytes({}, [{ name: 'x', type, shape: [rows, columns], bytes }]));
  const file = GgufFile.open(path);
  const stored = join(folder, `${name}.safetensors`);
  await writeSafetensors(stored, checkpointTensors(file, file.tensors.get('x')!, 'w'));
  file.close();
  const shard = SafetensorsFile.open(stored);
  const weights = placeStored(
    new Map([['w', findWeight(['w'], golden.shape, [shard])!]]),
    1,
    new Set(),
  );
  shard.close();
  const graph = new GraphBuilder('product', weights);
  const x = graph.input('x', 'float32', ['rows', columns]);
  graph.output('y', 'float32', ['rows', rows], graph.linear(x, 'w'));
  const session = await Session.create('product', graph.encode(), {
    weightsFolder: weights.folder,
    threads: 1,
    arena: false,
  });
  // One at each place in turn: every number of the weight by itself.
  const unit = new Float32Array(columns * columns);
  for (let n = 0; n < columns; n += 1) unit[n * columns + n] = 1;
  const { y } = await session.run({ x: { data: unit, dims: [columns, columns] } }, ['y']);
  await session.release();
  const widest = Math.max(...expected.map(Math.abs));
  for (let n = 0; n < columns; n += 1) {
    for (let row = 0; row < rows; row += 1) {
      const difference = Math.abs(y[n * rows + row]! - expected[row * columns + n]!);
      expect(difference).toBeLessThanOrEqual(widest * 2 ** -9);
    }
  }
});
