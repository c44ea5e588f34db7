import { describe, expect, it } from 'vitest';
import { expandFlagsFor } from '../../../src/cli/expand-options.js';
import { expansionOf } from '../../../src/server/chat-request.js';

const ALONE = { passages: 'alone' } as const;
const BEHIND = { passages: 'behind-pages' } as const;

describe('reading twice, where nobody says so', () => {
  it('is done for models that read passages better than pages', () => {
    expect(expandFlagsFor({ expandBudget: 200 }, ALONE)).toEqual({
      expand: 'auto',
      expandBudget: 200,
    });
    expect(expandFlagsFor({}, BEHIND)).toEqual({ expand: 'off' });
    expect(expansionOf({}, ALONE)).toEqual({ method: 'auto', budget: 300 });
    expect(expansionOf({}, BEHIND)).toBeUndefined();
  });

  it('is what the question says, where it says something', () => {
    expect(expandFlagsFor({ expand: 'off' }, ALONE)).toEqual({ expand: 'off' });
    expect(expandFlagsFor({ expand: 'lexical' }, BEHIND)).toEqual({ expand: 'lexical' });
    expect(expansionOf({ expand: 'off' }, ALONE)).toBeUndefined();
    expect(expansionOf({ expand: 'attention', expand_budget: 90 }, BEHIND)).toEqual({
      method: 'attention',
      budget: 90,
    });
  });

  it('is not done where pages are read with the question first', () => {
    expect(expandFlagsFor({ questionFirst: true }, ALONE)).toEqual({ questionFirst: true });
  });
});
