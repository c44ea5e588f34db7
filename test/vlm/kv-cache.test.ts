import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ContextCache } from '../../src/vlm/context-cache.js';
import { LayerCache } from '../../src/vlm/kv-cache.js';

const KV_HEADS = 2;
const HEAD_DIM = 3;

/** Row r, head h, dimension d of a cache holds r·100 + h·10 + d. */
function rowsOf(from: number, count: number): Float32Array {
  return Float32Array.from({ length: count * KV_HEADS * HEAD_DIM }, (_, n) => {
    const row = from + Math.floor(n / (KV_HEADS * HEAD_DIM));
    const rest = n % (KV_HEADS * HEAD_DIM);
    return row * 100 + Math.floor(rest / HEAD_DIM) * 10 + (rest % HEAD_DIM);
  });
}

function expectRows(cache: LayerCache, length: number): void {
  const { keys, values, length: actual } = cache.toContext();
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
          const cache = new LayerCache(KV_HEADS, HEAD_DIM);
          cache.reserve(reserve);
          for (const count of counts) append(cache, count);
          const total = counts.reduce((sum, count) => sum + count, 0);
          expectRows(cache, total);
          expectRows(LayerCache.fromContext(cache.toContext(), KV_HEADS, HEAD_DIM, 7), total);
          expectRows(cache.clone(total, 5), total);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('ContextCache', () => {
  const context = (length: number) => {
    const cache = new LayerCache(KV_HEADS, HEAD_DIM);
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
