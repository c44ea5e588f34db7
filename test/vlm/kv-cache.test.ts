import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ContextCache } from '../../src/vlm/context-cache.js';
import { LayerCache } from '../../src/vlm/kv-cache.js';
import { kvFromFloat32, kvRowBytes, kvToFloat32 } from '../../src/vlm/kv-rows.js';

const KV_HEADS = 2;
const HEAD_DIM = 3;
const SHAPE = { dtype: 'fp32' as const, kvHeads: KV_HEADS, headDim: HEAD_DIM };

/** Row r, head h, dimension d of a cache holds r·100 + h·10 + d. */
function rowsOf(from: number, count: number): Float32Array {
  return Float32Array.from({ length: count * KV_HEADS * HEAD_DIM }, (_, n) => {
    const row = from + Math.floor(n / (KV_HEADS * HEAD_DIM));
    const rest = n % (KV_HEADS * HEAD_DIM);
    return row * 100 + Math.floor(rest / HEAD_DIM) * 10 + (rest % HEAD_DIM);
  });
}

function expectRows(cache: LayerCache, length: number): void {
  const { length: actual, ...context } = cache.toContext();
  const [keys, values] = [context.keys as Float32Array, context.values as Float32Array];
  expect(actual).toBe(length);
  expect(keys).toHaveLength(KV_HEADS * length * HEAD_DIM);
  for (let n = 0; n < keys.length; n += 1) {
    const head = Math.floor(n / (length * HEAD_DIM));
    const row = Math.floor((n % (length * HEAD_DIM)) / HEAD_DIM);
    expect(keys[n]).toBe(row * 100 + head * 10 + (n % HEAD_DIM));
    expect(values[n]).toBe(-keys[n]!);
  }
}

function append(cache: LayerCache, count: number): void {
  const rows = rowsOf(cache.length, count);
  cache.append(
    rows,
    rows.map((value) => -value),
    count,
  );
}

describe('LayerCache', () => {
  it('holds every row where it belongs, however it grew', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 6 }),
        fc.nat(200),
        (counts, reserve) => {
          const cache = new LayerCache(SHAPE);
          cache.reserve(reserve);
          for (const count of counts) append(cache, count);
          const total = counts.reduce((sum, count) => sum + count, 0);
          expectRows(cache, total);
          expectRows(LayerCache.fromContext(cache.toContext(), SHAPE, 7), total);
          expectRows(cache.clone(total, 5), total);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe.each(['fp16', 'int8'] as const)('LayerCache in %s', (dtype) => {
  const shape = { ...SHAPE, dtype };

  it('holds the same rows, rounded once, however it grew and went around', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 }),
        (counts) => {
          const [cache, exact] = [new LayerCache(shape), new LayerCache(SHAPE)];
          for (const count of counts) {
            append(cache, count);
            append(exact, count);
          }
          const { keys, values, length } = cache.toContext();
          const plain = exact.toContext();
          expect(length).toBe(plain.length);
          expect(keys).toEqual(kvFromFloat32(plain.keys as Float32Array, dtype, HEAD_DIM));
          expect(values).toEqual(kvFromFloat32(plain.values as Float32Array, dtype, HEAD_DIM));
          // From its own type and from float32, and as a copy.
          const context = { keys, values, length };
          for (const again of [
            LayerCache.fromContext(context, shape, 3),
            LayerCache.fromContext(plain, shape, 3),
            cache.clone(length, 9),
          ]) {
            expect(again.toContext()).toEqual(context);
          }
          const bytes = kvRowBytes(dtype, HEAD_DIM) * 2 * KV_HEADS;
          expect(cache.byteLength).toBe(bytes * cache.capacity);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('is off by no more than a half or half a code', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 6, maxLength: 6 }),
        (numbers) => {
          const values = Float32Array.from(numbers);
          const back = kvToFloat32(kvFromFloat32(values, dtype, HEAD_DIM), HEAD_DIM);
          for (const [n, value] of values.entries()) {
            const row = values.subarray(n < 3 ? 0 : 3, n < 3 ? 3 : 6);
            const widest = Math.max(...row.map(Math.abs));
            const step = dtype === 'fp16' ? Math.abs(value) * 2 ** -10 + 2 ** -24 : widest / 127;
            expect(Math.abs(back[n]! - value)).toBeLessThanOrEqual(0.5 * step * 1.0001 + 1e-40);
          }
        },
      ),
    );
  });
});

describe('ContextCache', () => {
  const context = (length: number) => {
    const cache = new LayerCache(SHAPE);
    append(cache, length);
    return [cache];
  };

  it('takes back the rows of an answer', () => {
    const contexts = new ContextCache(1e9);
    const handle = contexts.add(context(5));
    const first = contexts.lease(handle, 100)!;
    append(first.caches[0]!, 100);
    first.release();
    const second = contexts.lease(handle, 1)!;
    expectRows(second.caches[0]!, 5);
  });

  it('gives a second answer at the same time its own copy', () => {
    const contexts = new ContextCache(1e9);
    const handle = contexts.add(context(5));
    const first = contexts.lease(handle, 10)!;
    append(first.caches[0]!, 10);
    const second = contexts.lease(handle, 10)!;
    expect(second.caches[0]).not.toBe(first.caches[0]);
    first.release();
    const third = contexts.lease(handle, 0)!;
    expectRows(third.caches[0]!, 5);
  });

  it('lets the context go that was asked longest ago', () => {
    const one = context(64);
    const size = one[0]!.byteLength;
    const contexts = new ContextCache(2 * size);
    const a = contexts.add(one);
    const b = contexts.add(context(64));
    contexts.lease(a, 0)!.release();
    const c = contexts.add(context(64));
    expect(contexts.lease(b, 0)).toBeUndefined();
    expect(contexts.lease(a, 0)).toBeDefined();
    expect(contexts.lease(c, 0)).toBeDefined();
  });
});
