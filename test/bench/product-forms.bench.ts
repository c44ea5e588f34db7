/**
 * What one product of an int4 model costs in each form, by the number of rows: float32, four bits multiplied in
 * float32 (level 1), with rows of eight bits (level 4), and eight bits. One thread, processor time, best of some.
 */
import { it } from 'vitest';
import { encodeModel, type OnnxInitializer } from '../../src/vlm/onnx-model.js';
import { Session } from '../../src/vlm/runtime.js';
import { emit } from './measure.js';

const SHAPES = [
  [576, 1536],
  [1536, 576],
  [2048, 6144],
] as const;
const ROWS = [1, 16, 128, 512];
const FORMS = [
  ['float32', null],
  ['4 bits, level 1', { bits: 4, level: 1 }],
  ['4 bits, level 4', { bits: 4, level: 4 }],
  ['8 bits, level 4', { bits: 8, level: 4 }],
] as const;
const BLOCK = 32;

function session(columns: number, out: number, form: { bits: number; level: number } | null) {
  const initializers: OnnxInitializer[] = [];
  const constant = (name: string, type: 'uint8' | 'float32', dims: number[], value: number) => {
    const count = dims.reduce((product, size) => product * size, 1);
    const data =
      type === 'uint8'
        ? Uint8Array.from({ length: count }, (_, n) => (n * 97) % 256)
        : new Uint8Array(Float32Array.from({ length: count }, () => value).buffer);
    initializers.push({ name, type, dims, data });
    return name;
  };
  const blocks = columns / BLOCK;
  const inputs = form
    ? [
        'x',
        constant('codes', 'uint8', [out, blocks, (BLOCK * form.bits) / 8], 0),
        constant('scales', 'float32', [out, blocks], 0.01),
      ]
    : ['x', constant('matrix', 'float32', [out, columns], 0.01)];
  const node = form
    ? {
        opType: 'MatMulNBits',
        domain: 'com.microsoft' as const,
        attributes: {
          ...{ K: columns, N: out, bits: form.bits },
          ...{ block_size: BLOCK, accuracy_level: form.level },
        },
      }
    : { opType: 'Gemm', domain: '' as const, attributes: { transB: 1 } };
  const graph = encodeModel({
    name: 'product',
    nodes: [{ ...node, inputs, outputs: ['y'] }],
    inputs: [{ name: 'x', type: 'float32', dims: ['rows', columns] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['rows', out] }],
    initializers,
  });
  return Session.create('product', graph, { weightsFolder: '', threads: 1, arena: true });
}

it('multiplies', async () => {
  for (const [columns, out] of SHAPES) {
    for (const [name, form] of FORMS) {
      const product = await session(columns, out, form);
      const gflops: Record<number, number> = {};
      for (const rows of ROWS) {
        const x = { data: new Float32Array(rows * columns).fill(0.5), dims: [rows, columns] };
        const times = rows > 1 ? 1 : 20;
        let best = Number.POSITIVE_INFINITY;
        for (let round = 0; round < 12; round += 1) {
          const before = process.cpuUsage();
          for (let n = 0; n < times; n += 1) await product.run({ x }, ['y']);
          const { user, system } = process.cpuUsage(before);
          best = Math.min(best, (user + system) / times);
        }
        gflops[rows] = Math.round((2 * rows * columns * out) / best / 1e3);
      }
      await product.release();
      emit({ bench: 'product-forms', columns, out, form: name, gflops });
    }
  }
}, 600_000);
