import { describe, expect, it } from 'vitest';
import { expansionFor } from '../../../src/pipeline/expanding/expansion-choice.js';

const ALONE = { passages: 'alone' } as const;
const BEHIND = { passages: 'behind-pages' } as const;

describe('reading twice, where nobody says so', () => {
  it('is done for models that read passages better than pages', () => {
    expect(expansionFor({}, ALONE)).toEqual({ method: 'auto', budget: 300 });
    expect(expansionFor({ expandBudget: 200 }, ALONE)).toEqual({ method: 'auto', budget: 200 });
    expect(expansionFor({}, BEHIND)).toBeUndefined();
    expect(expansionFor({}, null)).toBeUndefined();
  });

  it('is what the question says, where it says something', () => {
    expect(expansionFor({ expand: 'off' }, ALONE)).toBeUndefined();
    expect(expansionFor({ expand: 'lexical' }, BEHIND)).toEqual({ method: 'lexical', budget: 300 });
    expect(expansionFor({ expand: 'attention', expandBudget: 90 }, null)).toEqual({
      method: 'attention',
      budget: 90,
    });
  });

  it('is not done where pages are read with the question first', () => {
    expect(expansionFor({ questionFirst: true }, ALONE)).toBeUndefined();
  });
});
