import { describe, expect, it } from 'vitest';
import { chosenOf, finalists } from '../../src/search/result.js';
import type { DocumentScore, TrialRecord } from '../../src/search/trial.js';

const QUESTIONS = 12;

function scored(right: number, contextTokens: number): DocumentScore {
  const scores = Array.from({ length: QUESTIONS }, (_, i) => (i < right ? 1 : 0));
  return { document: 'text', scores, textTokens: 1200, visualTokens: 600, contextTokens };
}

function record(id: number, right: number, contextTokens: number, name?: string): TrialRecord {
  return {
    trial: {
      id,
      generation: 0,
      point: {},
      settings: { config: {}, plan: { decoder: [] }, sidecar: 0 },
      by: name === undefined ? 'evolution' : 'preset',
      parents: [],
      ...(name !== undefined && { name }),
    },
    renderCheck: {
      pages: 1,
      textTokens: 1200,
      visualTokens: 600,
      contextTokens,
      characterErrorRate: 0,
    },
    infeasible: false,
    failure: null,
    documents: [scored(right, contextTokens)],
    rung: 2,
  };
}

describe('finalists', () => {
  // Ten trials that looked better on train texts than the preset, each at a higher ratio as well.
  const lucky = Array.from({ length: 10 }, (_, i) => record(i + 1, 9, 380 - i));
  const preset = record(11, 8, 400, 'balanced');

  it('are the best on train texts and every preset that was asked everything', () => {
    const ids = finalists([...lucky, preset], QUESTIONS).map(({ trial }) => trial.id);
    expect(ids).toHaveLength(9);
    expect(ids).toContain(11);
    const unasked = { ...preset, documents: [] };
    expect(finalists([...lucky, unasked], QUESTIONS)).toHaveLength(8);
    const wrong = record(12, 0, 200, 'default');
    expect(finalists([...lucky, wrong], QUESTIONS)).toHaveLength(8);
  });

  it('let a preset win again on texts that nothing was chosen by', () => {
    const records = [...lucky, preset];
    const validation = finalists(records, QUESTIONS).map(({ trial, documents }) => ({
      trial: trial.id,
      split: 'validation' as const,
      documents: trial.name === undefined ? [scored(5, documents[0]!.contextTokens)] : documents,
    }));
    expect(chosenOf(records, validation).map(({ trial }) => trial.name)).toContain('balanced');
  });
});
