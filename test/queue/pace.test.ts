import { describe, expect, it } from 'vitest';
import { Pace } from '../../src/queue/pace.js';

describe('the time that a stage still takes', () => {
  it('is what the rest takes at the pace so far', () => {
    const pace = new Pace();
    expect(pace.remainingSeconds(0, 1_000)).toBeNull();
    expect(pace.remainingSeconds(0.25, 11_000)).toBe(30);
    expect(pace.remainingSeconds(1, 41_000)).toBe(0);
  });

  it('counts from where an earlier try stopped', () => {
    const pace = new Pace();
    expect(pace.remainingSeconds(0.5, 0)).toBeNull();
    expect(pace.remainingSeconds(0.6, 10_000)).toBe(40);
  });

  it('is unknown while next to nothing is done', () => {
    const pace = new Pace();
    pace.remainingSeconds(0, 0);
    expect(pace.remainingSeconds(0.01, 60_000)).toBeNull();
  });
});
