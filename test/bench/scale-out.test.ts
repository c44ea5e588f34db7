import { describe, expect, it } from 'vitest';
import { type StageTimes, simulate } from './scale-out.js';

const times = (more: Partial<StageTimes> = {}): StageTimes => ({
  ...{ extractMs: 1, renderMs: 10, encodeMs: 100, prefillMs: 5, pages: 1 },
  ...more,
});

describe('the simulation of many workers', () => {
  it('takes the sum of its stages for one document of one part, whatever the workers', () => {
    for (const workers of [1, 4]) expect(simulate([times()], workers).makespanMs).toBe(116);
  });

  it('shares the parts of a long document out', () => {
    const long = [times({ pages: 64 })];
    expect(simulate(long, 1).makespanMs).toBe(116);
    expect(simulate(long, 2).makespanMs).toBe(66);
    expect(simulate(long, 4).makespanMs).toBe(41);
    expect(simulate(long, 64).makespanMs).toBe(41);
  });

  it('is as fast as its slowest stage where documents are many', () => {
    const many = Array.from({ length: 10 }, () => times());
    expect(simulate(many, 1).makespanMs).toBe(1 + 10 + 10 * 100 + 5);
    expect(simulate(many, 10).makespanMs).toBeLessThan(250);
  });

  it('does no more at once than a worker has cores', () => {
    const two = [times({ encodeMs: 0, prefillMs: 100, renderMs: 100, extractMs: 0 }), times()];
    expect(simulate(two, 1, { cores: 1 }).makespanMs).toBeCloseTo(100 + 100 + 1 + 10 + 100 + 5);
  });
});
