import { expect, it } from 'vitest';
import { ContextCache } from '../../src/vlm/context-cache.js';
import { LayerCache } from '../../src/vlm/kv-cache.js';

const row = (value: number) => new Float32Array(4).fill(value);

function layer(rows: number[]): LayerCache {
  const cache = new LayerCache({ dtype: 'fp32', kvHeads: 2, headDim: 2 });
  for (const value of rows) cache.append(row(value), row(-value), 1);
  return cache;
}

it('shows no answer what another one, under way on the same context, has written', () => {
  const contexts = new ContextCache(1e9);
  const handle = contexts.add([layer([1, 2, 3]), layer([4])]);
  const first = contexts.lease(handle, 8)!;
  for (const cache of first.caches) cache.append(row(99), row(99), 1);
  const second = contexts.lease(handle, 8)!;
  expect(second.caches.map((cache) => cache.toContext())).toEqual(
    [layer([1, 2, 3]), layer([4])].map((cache) => cache.toContext()),
  );
  for (const cache of second.caches) cache.append(row(77), row(77), 1);
  expect(first.caches[1]!.toContext().keys).toContain(99);
  expect(first.caches[1]!.toContext().keys).not.toContain(77);
  first.release();
  second.release();
  expect(contexts.lease(handle, 1)!.caches.map(({ length }) => length)).toEqual([3, 1]);
});
