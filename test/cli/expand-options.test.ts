import { describe, expect, it } from 'vitest';
import { assertAttends, assertReadsPages } from '../../src/cli/expand-options.js';
import type { VisionLanguageModel } from '../../src/vlm/index.js';

const named = (passages: 'alone' | 'behind-pages') => ({ dir: 'models/some', passages });

describe('passages where pages are compared', () => {
  it('are refused for a model that would not read the pages then', () => {
    expect(() => assertReadsPages(named('alone'), { expand: 'lexical' })).toThrow(
      /some answers from passages alone/,
    );
    for (const flags of [{}, { expand: 'off' as const }])
      expect(() => assertReadsPages(named('alone'), flags)).not.toThrow();
    expect(() => assertReadsPages(named('behind-pages'), { expand: 'lexical' })).not.toThrow();
  });

  it('by attention need heads that are known', () => {
    const model = { attentionHeads: null, info: named('behind-pages') } as unknown;
    const asked = (expand: 'attention' | 'auto') => () =>
      assertAttends(model as VisionLanguageModel, { expand });
    expect(asked('attention')).toThrow(/heads/);
    expect(asked('auto')).not.toThrow();
  });
});
