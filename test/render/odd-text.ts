/** Texts full of what breaks renderers. */

import fc from 'fast-check';

const trouble = fc.constantFrom(
  ...['\n', '\r\n', '\r', '\f', '\v', '\t', '\0', '\u2028', '\u0085', ' ', '  '],
  ...['\u200b', '\u200d', '\u00ad', '\ufeff', '\ufe0f', '\u202e', '\u0301', '\u3000', '\u00a0'],
  ...['🔥', '👨‍👩‍👧', '中', '한', 'ש', 'سلام', 'é', '\ud800', '\udfff', '<b>', '&amp;', '</style>'],
);

export const oddText = fc
  .array(
    fc.oneof(
      { weight: 2, arbitrary: trouble },
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.lorem({ maxCount: 5 }),
    ),
    {
      maxLength: 40,
    },
  )
  .map((parts) => parts.join(''));
