import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { GgufFile } from '../../src/vlm/gguf/gguf-file.js';
import { checkpointTensors } from '../../src/vlm/gguf/gguf-tensors.js';
import { tokenizerOf } from '../../src/vlm/gguf/gguf-tokenizer.js';
import { SafetensorsFile } from '../../src/vlm/safetensors.js';
import { writeSafetensors } from '../../src/vlm/safetensors-writer.js';
import { Tokenizer } from '../../src/vlm/tokenizer.js';
import { findWeight, readRows } from '../../src/vlm/weights/stored-weight.js';
import {
  f32Tensor,
  ggufBytes,
  type MetadataValue,
  type TensorToWrite,
  TINY_VOCABULARY,
} from './gguf-writer.js';

const folder = mkdtempSync(join(tmpdir(), 'glyphpress-gguf-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
function fileOf(bytes: Uint8Array): string {
  const path = join(folder, `${count++}.gguf`);
  writeFileSync(path, bytes);
  return path;
}

function openGguf(metadata: Record<string, MetadataValue>, tensors: TensorToWrite[]): GgufFile {
  return GgufFile.open(fileOf(ggufBytes(metadata, tensors)));
}

describe('GgufFile', () => {
  it('reads metadata and tensors', () => {
    const values = Float32Array.from({ length: 6 }, (_, n) => n / 2);
    const metadata = {
      'general.architecture': 'llama',
      'a.number': 7,
      'a.fraction': 0.5,
      'a.flag': true,
      'some.texts': ['Ġa', '', 'é'],
      'some.numbers': [1, 2, 3],
    };
    const file = openGguf(metadata, [f32Tensor('x', [2, 3], values), f32Tensor('y', [6], values)]);
    expect(Object.fromEntries(file.metadata)).toEqual(metadata);
    expect([...file.tensors.values()].map(({ name, type, shape }) => [name, type, shape])).toEqual([
      ['x', 'F32', [2, 3]],
      ['y', 'F32', [6]],
    ]);
    const y = file.tensors.get('y')!;
    expect([...new Float32Array(file.readBytes(y, 0, y.byteLength).buffer)]).toEqual([...values]);
    file.close();
  });

  it('never crashes on damage: whole, or a typed error', () => {
    const whole = ggufBytes({ 'a.text': 'hello', 'a.list': ['x', 'y'] }, [
      f32Tensor('x', [2, 32], new Float32Array(64)),
    ]);
    fc.assert(
      fc.property(
        fc.nat(whole.byteLength - 1),
        fc.nat(255),
        fc.option(fc.nat(whole.byteLength)),
        (at, byte, cut) => {
          const bytes = Buffer.from(whole);
          bytes[at] = byte;
          const path = fileOf(bytes.subarray(0, cut ?? bytes.byteLength));
          try {
            GgufFile.open(path).close();
          } catch (error) {
            expect(error).toMatchObject({
              code: expect.stringMatching(/^GP_(CHECKPOINT|MODEL_DTYPE)$/),
              retryable: false,
            });
          }
          rmSync(path);
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /is no GGUF file/],
    ['another format', Buffer.alloc(100, 'PK'), /is no GGUF file/],
    [
      'big-endian numbers',
      Buffer.concat([Buffer.from('GGUF'), Buffer.of(0, 0, 0, 3), Buffer.alloc(40)]),
      /version 50331648/,
    ],
    [
      'a cut tensor',
      ggufBytes({}, [f32Tensor('x', [64], new Float32Array(64))]).subarray(0, -64),
      /truncated: tensor x/,
    ],
    ['a missing file', Buffer.of(), /cannot be opened/],
  ])('refuses %s', (name, bytes, message) => {
    const path = name === 'a missing file' ? join(folder, 'none.gguf') : fileOf(bytes);
    expect(() => GgufFile.open(path)).toThrow(message);
  });

  it('names the type that it cannot read', () => {
    const bytes = ggufBytes({}, [
      { name: 'x', type: 11, shape: [1, 256], bytes: new Uint8Array(110) },
    ]);
    expect(() => GgufFile.open(fileOf(bytes))).toThrow(
      expect.objectContaining({
        code: 'GP_MODEL_DTYPE',
        message: expect.stringContaining('tensor x is Q3_K'),
      }),
    );
  });
});

describe('checkpointTensors', () => {
  async function converted(tensor: TensorToWrite, order?: (row: number) => number) {
    const file = openGguf({}, [tensor]);
    const path = join(folder, `${count++}.safetensors`);
    const tensors = checkpointTensors(file, file.tensors.get(tensor.name)!, 'w', order);
    await writeSafetensors(path, tensors);
    const shard = SafetensorsFile.open(path);
    const weight = findWeight(['w'], tensor.shape, [shard])!;
    const values = readRows(weight, 0, tensor.shape[0]!);
    shard.close();
    file.close();
    return values;
  }

  interface GoldenBlocks {
    shape: [rows: number, columns: number];
    types: Record<string, { type: number; blocks: string; values: string }>;
  }
  const golden = JSON.parse(
    readFileSync(join(import.meta.dirname, '../fixtures/gguf/blocks.json'), 'utf8'),
  ) as GoldenBlocks;
  const [rows] = golden.shape;

  it.each(Object.entries(golden.types))('reads %s as the reference does', async (name, entry) => {
    const bytes = new Uint8Array(Buffer.from(entry.blocks, 'base64'));
    const expected = new Float32Array(new Uint8Array(Buffer.from(entry.values, 'base64')).buffer);
    const values = await converted({ name: 'x', type: entry.type, shape: golden.shape, bytes });
    expect(values).toHaveLength(expected.length);
    const widest = Math.max(...expected.map(Math.abs));
    // A scale of a k-quant is a product, here rounded to a half: half of 2^-10 of itself, and of its minimum.
    const allowed = name.endsWith('_K') ? 2 * widest * 2 ** -11 : widest * 2 ** -22;
    for (const [i, value] of expected.entries()) {
      expect(Math.abs(values[i]! - value)).toBeLessThanOrEqual(allowed);
    }
    // Rows are taken in the order asked for.
    const tensor = { name: 'x', type: entry.type, shape: golden.shape, bytes };
    const reversed = await converted(tensor, (row) => rows - 1 - row);
    expect(reversed.subarray(0, 256)).toEqual(values.subarray(256));
  });

  it('takes floats as they are, and rows in the order asked for', async () => {
    const values = Float32Array.from({ length: 8 }, (_, n) => n);
    const tensor = f32Tensor('x', [4, 2], values);
    expect([...(await converted(tensor))]).toEqual([...values]);
    const reversed = await converted(tensor, (row) => 3 - row);
    expect([...reversed]).toEqual([6, 7, 4, 5, 2, 3, 0, 1]);
    const halves = Uint8Array.from([0, 0x3c, 0, 0xc0]);
    expect([...(await converted({ name: 'x', type: 1, shape: [2], bytes: halves }))]).toEqual([
      1, -2,
    ]);
  });
});

describe('tokenizerOf', () => {
  function tokenizer(metadata: Record<string, MetadataValue>): Tokenizer {
    const file = openGguf(metadata, []);
    const { tokenizerJson, tokenizerConfig } = tokenizerOf(file);
    file.close();
    return new Tokenizer(tokenizerJson, tokenizerConfig, 'tiny.gguf');
  }

  it('merges, keeps control tokens whole and digits apart', () => {
    const tokens = tokenizer(TINY_VOCABULARY);
    expect(tokens.encode('ab abc')).toEqual([6, 7, 4]);
    expect(tokens.encode('12')).toEqual([8, 9]);
    expect(tokens.encode('a<|end|>b<note>')).toEqual([2, 0, 3, 1]);
    expect(tokens.encodeLiteral('ab')).toEqual([6]);
    expect(tokens.decode([6, 7, 0, 1, 10])).toBe('ab ab<note>\n');
  });

  it('ends answers at each token that says so', () => {
    const file = openGguf({ ...TINY_VOCABULARY, 'tokenizer.ggml.eot_token_id': 1 }, []);
    expect(tokenizerOf(file).eosTokenIds).toEqual([0, 1]);
    file.close();
  });

  it.each<[string, Record<string, MetadataValue>, RegExp]>([
    ['another kind', { 'tokenizer.ggml.model': 'llama' }, /kind "llama"/],
    ['unknown words', { 'tokenizer.ggml.pre': 'klingon' }, /rule "klingon"/],
    ['no tokens', { 'tokenizer.ggml.tokens': 3 }, /tokens to be a list/],
  ])('refuses %s', (_, change, message) => {
    const file = openGguf({ ...TINY_VOCABULARY, ...change }, []);
    expect(() => tokenizerOf(file)).toThrow(message);
    file.close();
  });
});
