import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LONGEST_CYCLE, LoopDetector, repeatedTokensOf } from '../../src/vlm/loop-detector.js';

/** Pushes until the detector speaks. */
function run(tokens: readonly number[]): { pushed: number; repeated: number } {
  const detector = new LoopDetector();
  for (const [n, token] of tokens.entries()) {
    const repeated = detector.push(token);
    if (repeated > 0) return { pushed: n + 1, repeated };
  }
  return { pushed: tokens.length, repeated: 0 };
}

/** As a byte-level tokenizer has it, the finest there is: what passes here passes in larger tokens. */
const bytes = (text: string) => [...Buffer.from(text)];

const cycleOf = (length: number) => fc.array(fc.nat(300), { minLength: length, maxLength: length });

describe('a loop', () => {
  it('is seen when its copies fill the limit, and leaves one copy', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(300), { maxLength: 60 }),
        fc.integer({ min: 1, max: LONGEST_CYCLE }).chain(cycleOf),
        (start, cycle) => {
          const limit = repeatedTokensOf(cycle.length);
          const copies = Math.ceil(limit / cycle.length) + 1;
          const tokens = [...start, ...Array.from({ length: copies }, () => cycle).flat()];
          const { pushed, repeated } = run(tokens);
          expect(repeated).toBeGreaterThan(0);
          expect(pushed).toBeLessThanOrEqual(start.length + limit + cycle.length);
          // What is left is the start and at most one copy, though the copy may begin elsewhere.
          const kept = tokens.slice(0, pushed - repeated);
          expect(kept).toEqual(tokens.slice(0, kept.length));
          expect(kept.length).toBeLessThanOrEqual(start.length + cycle.length);
        },
      ),
    );
  });

  it('trims to the first copy', () => {
    const start = bytes('The code is ');
    const tokens = [...start, ...bytes('7F2A-91. '.repeat(40))];
    const { pushed, repeated } = run(tokens);
    expect(Buffer.from(tokens.slice(0, pushed - repeated)).toString()).toBe(
      // The copies are taken to begin with the space that stands before each.
      'The code is 7F2A-91.',
    );
    expect(pushed - start.length).toBe(127);
  });

  it('longer than the longest cycle is none', () => {
    const cycle = Array.from({ length: LONGEST_CYCLE + 1 }, (_, n) => n);
    expect(run(Array.from({ length: 20 }, () => cycle).flat()).repeated).toBe(0);
  });
});

describe('no loop', () => {
  const table = ['| gate | open |', '|---|---|', ...Array(7).fill('| 0.00 | n/a |')].join('\n');
  it.each([
    ['a table with seven equal rows', table],
    ['a rule of 120 dashes', `Title\n${'-'.repeat(120)}\nText`],
    [
      'three equal paragraphs',
      `${'The tide turns at noon, and the gate is shut until the bell. '.repeat(3)}`,
    ],
    ['a list of zeros', `[${Array(40).fill('0').join(', ')}]`],
    [
      'a table of numbered rows',
      Array.from({ length: 80 }, (_, n) => `| ${n} | 0 | 0 |\n`).join(''),
    ],
    ['indented brackets', '        }\n      }\n    }\n  }\n}\n'.repeat(3)],
  ])('is %s', (_, text) => expect(run(bytes(text)).repeated).toBe(0));

  it('is text whose end no cycle fills', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { maxLength: 700 }), (tokens) => {
        const { pushed, repeated } = run(tokens);
        if (repeated === 0) return;
        // By definition: some cycle stands over and over at the end, as far as it must.
        const seen = tokens.slice(0, pushed);
        const isCycle = Array.from({ length: LONGEST_CYCLE }, (_, n) => n + 1).some((cycle) => {
          const tail = seen.slice(-repeatedTokensOf(cycle));
          return (
            tail.length >= repeatedTokensOf(cycle) &&
            tail.slice(cycle).every((token, n) => token === tail[n])
          );
        });
        expect(isCycle).toBe(true);
      }),
    );
  });

  it('of random text is ever claimed', () => {
    let state = 1;
    const tokens = Array.from({ length: 20_000 }, () => {
      state = (state * 48271) % 2147483647;
      return state % 4;
    });
    expect(run(tokens).repeated).toBe(0);
  });
});

it('needs more of a longer cycle, and never less', () => {
  for (let cycle = 1; cycle < LONGEST_CYCLE; cycle++) {
    expect(repeatedTokensOf(cycle + 1)).toBeGreaterThanOrEqual(repeatedTokensOf(cycle));
    expect(repeatedTokensOf(cycle)).toBeGreaterThanOrEqual(4 * cycle);
  }
});
