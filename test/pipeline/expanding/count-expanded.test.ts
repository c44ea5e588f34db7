import { describe, expect, it } from 'vitest';
import { countExpanded } from '../../../src/pipeline/expanding/count-expanded.js';
import { mergeReports } from '../../../src/pipeline/parts/merge-reports.js';
import { type CompressionReport, tokenAccount } from '../../../src/pipeline/report.js';

const report = {
  ...tokenAccount(1_200, {
    visualTokens: 600,
    encodedTokens: 500,
    layerTokens: [500, 300],
    sidecarTokens: 20,
  }),
  timings: {},
  missingSample: [],
} as unknown as CompressionReport;

describe('the report of an answer', () => {
  it('counts passages that follow the pages on top of them', () => {
    expect(countExpanded(report, { tokens: 80, reading: 'behind-pages' })).toMatchObject({
      layerTokens: [500, 300],
      contextTokens: 500,
      finalTokens: 400,
      stackedRatio: 2.4,
      passages: 'behind-pages',
    });
  });

  it('counts passages that were read alone, and nothing else', () => {
    const alone = countExpanded(report, { tokens: 80, reading: 'alone' });
    expect(alone).toMatchObject({
      visualTokens: 600,
      renderRatio: 2,
      layerTokens: [0, 0],
      sidecarTokens: 0,
      contextTokens: 80,
      finalTokens: 80,
      stackedRatio: 15,
      passages: 'alone',
    });
    // Another part had no passages, and was read from its pages.
    const both = mergeReports([alone, report], 'both');
    expect(both).toMatchObject({ contextTokens: 500, passages: 'behind-pages' });
    expect(mergeReports([alone, alone], 'both')).toMatchObject({
      contextTokens: 160,
      stackedRatio: 15,
      passages: 'alone',
    });
  });
});
