import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import { parseSafetensors, SafetensorsFile } from '../../src/vlm/safetensors.js';
import {
  encodeSafetensors,
  safetensorsByteLength,
  type WritableTensor,
  writeSafetensors,
} from '../../src/vlm/safetensors-writer.js';
import { TINY } from './golden.js';

const folder = mkdtempSync(join(tmpdir(), 'glyphpress-safetensors-'));
afterAll(() => rmSync(folder, { recursive: true }));

const shapeArbitrary = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
const elements = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
const tensorArbitrary: fc.Arbitrary<Omit<WritableTensor, 'name'>> = shapeArbitrary.chain(
  (shape) => {
    const size = { minLength: elements(shape), maxLength: elements(shape) };
    return fc.oneof(
      fc
        .float32Array({ ...size, noNaN: true })
        .map((data) => ({ dtype: 'F32' as const, shape, data })),
      fc.uint16Array(size).map((data) => ({ dtype: 'F16' as const, shape, data })),
      fc.int32Array(size).map((data) => ({ dtype: 'I32' as const, shape, data })),
      fc.bigInt64Array(size).map((data) => ({ dtype: 'I64' as const, shape, data })),
    );
  },
);
const fileArbitrary = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), tensorArbitrary, {
  maxKeys: 5,
});

async function encode(
  tensors: WritableTensor[],
  metadata?: Record<string, string>,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of encodeSafetensors(tensors, metadata)) pieces.push(piece.slice());
  return Buffer.concat(pieces);
}

describe('safetensors', () => {
  it('reads back what it wrote, from a file and from memory', async () => {
    const path = join(folder, 'round-trip.safetensors');
    await fc.assert(
      fc.asyncProperty(
        fileArbitrary,
        fc.dictionary(fc.string(), fc.string()),
        async (entries, metadata) => {
          fc.pre(!Object.hasOwn(entries, '__metadata__'));
          fc.pre(!Object.hasOwn(entries, '__proto__') && !Object.hasOwn(metadata, '__proto__'));
          const tensors = Object.entries(entries).map(([name, tensor]) => ({ name, ...tensor }));
          await writeSafetensors(path, tensors, metadata);
          const file = SafetensorsFile.open(path);
          const memory = parseSafetensors(readFileSync(path));
          expect(readFileSync(path).byteLength).toBe(safetensorsByteLength(tensors, metadata));
          expect(file.metadata).toEqual(metadata);
          expect([...file.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
          for (const { name, dtype, shape, data } of tensors) {
            expect(file.entry(name)).toMatchObject({ dtype, shape });
            const given = data as Float32Array;
            const bytes = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
            expect(Buffer.compare(file.readBytes(name), bytes)).toBe(0);
            expect(Buffer.compare(memory.readBytes(name), bytes)).toBe(0);
          }
          file.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('writes what the official implementation writes the same way back', () => {
    // The fixture was written by the safetensors package.
    const file = SafetensorsFile.open(`${TINY}/model.safetensors`);
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(file.entry('lm_head.weight')).toMatchObject({ dtype: 'F32', shape: [272, 64] });
    file.close();
  });

  it('takes tensors in pieces', async () => {
    const data = () => [Float32Array.of(1, 2), Float32Array.of(3)];
    const bytes = await encode([{ name: 'x', dtype: 'F32', shape: [3], data }]);
    expect([...parseSafetensors(bytes).readFloat32('x')]).toEqual([1, 2, 3]);
  });

  it('refuses data that does not fill its shape', async () => {
    const tensor: WritableTensor = {
      name: 'x',
      dtype: 'F32',
      shape: [3],
      data: Float32Array.of(1, 2),
    };
    await expect(encode([tensor])).rejects.toMatchObject({ code: 'GP_TENSOR_SHAPE' });
  });

  it('leaves no file behind when writing fails', async () => {
    const path = join(folder, 'failed.safetensors');
    const tensor: WritableTensor = {
      name: 'x',
      dtype: 'F32',
      shape: [3],
      data: Float32Array.of(1),
    };
    await expect(writeSafetensors(path, [tensor])).rejects.toThrow();
    expect(() => readFileSync(path)).toThrow(/ENOENT/);
  });

  const header = (value: unknown, data = 0) => {
    const json = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.byteLength));
    return Buffer.concat([length, json, Buffer.alloc(data)]);
  };
  const entry = (dtype: string, shape: unknown, begin: number, end: number) => ({
    dtype,
    shape,
    data_offsets: [begin, end],
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', Buffer.alloc(0), /too short/],
    ['a header length beyond the file', Buffer.from([255, 0, 0, 0, 0, 0, 0, 0, 1]), /truncated/],
    ['a header length beyond 100 MB', Buffer.alloc(9, 0xff), /at most 100000000/],
    ['a header that is not JSON', header('{"x":'), /not JSON/],
    ['a header that is not an object', header([1]), /not a JSON object/],
    ['an unknown dtype', header({ x: entry('F12', [1], 0, 1) }, 1), /tensor x .*unknown dtype/],
    [
      'a dtype that is a property of every object',
      header({ x: entry('toString', [1], 0, 1) }, 1),
      /unknown dtype/,
    ],
    ['a negative size', header({ x: entry('U8', [-1], 0, 1) }, 1), /tensor x .*shape/],
    ['sizes that overflow', header({ x: entry('F32', [2 ** 40, 2 ** 40], 0, 4) }, 4), /takes/],
    ['bytes that do not fit the shape', header({ x: entry('F32', [2], 0, 4) }, 4), /takes 8 bytes/],
    ['a truncated tensor', header({ x: entry('F32', [2], 0, 8) }, 4), /truncated: tensor x/],
    [
      'overlapping tensors',
      header({ x: entry('U8', [2], 0, 2), y: entry('U8', [2], 1, 3) }, 3),
      /overlaps/,
    ],
    ['a hole', header({ x: entry('U8', [1], 1, 2) }, 2), /hole/],
    [
      'trailing bytes',
      header({ x: entry('U8', [1], 0, 1) }, 5),
      /4 bytes that belong to no tensor/,
    ],
    ['metadata that is not text', header({ __metadata__: { a: 1 } }), /__metadata__/],
  ])('refuses %s', (_, bytes, message) => {
    const path = join(folder, 'broken.safetensors');
    writeFileSync(path, bytes);
    for (const read of [() => SafetensorsFile.open(path), () => parseSafetensors(bytes)]) {
      expect(read).toThrow(message);
      expect(read).toThrow(expect.objectContaining({ code: 'GP_CHECKPOINT' }));
    }
    expect(() => parseSafetensors(bytes, { code: 'GP_ARTIFACT_DAMAGED' })).toThrow(
      expect.objectContaining({ code: 'GP_ARTIFACT_DAMAGED' }),
    );
  });

  it('answers damaged bytes with its own error and nothing else', async () => {
    const valid = await encode([
      { name: 'a', dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
      { name: 'b', dtype: 'I32', shape: [3], data: Int32Array.of(1, 2, 3) },
    ]);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 })), {
          maxLength: 6,
        }),
        fc.nat(valid.length),
        (edits, length) => {
          const bytes = valid.slice(0, length);
          for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
          try {
            const parsed = parseSafetensors(bytes);
            for (const name of parsed.tensors.keys()) parsed.readBytes(name);
          } catch (error) {
            expect(error).toBeInstanceOf(GlyphpressError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
