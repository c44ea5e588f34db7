import { describe, expect, it } from 'vitest';
import { ERROR_CATALOGUE, type ErrorCode, GlyphpressError } from '../../src/errors.js';
import { inClientWords } from '../../src/queue/client-words.js';
import { redisUnavailable } from '../../src/queue/connection.js';
import { filesBelow } from '../support/repository.js';

/** What a client of a service cannot do: type options, set variables, install packages. */
const NOT_FOR_CLIENTS =
  /(^|[\s"'`(])--[a-z]|\bglyphpress (?:[a-z]+ )?(?:create|serve|keys|doctor)\b|\b[A-Z]+_URL\b|npm (ci|install)/;

const hintsIn = (text: string) =>
  [...text.matchAll(/\bhint:\s*(?:'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`)/g)].map(
    ([, plain, template]) => (plain ?? template)!,
  );

describe('errors in words for clients', () => {
  it('give no advice for a terminal, whatever the error', () => {
    const hints = filesBelow(['src'], /\.ts$/)
      .filter(({ path }) => !path.startsWith('src/cli/'))
      .flatMap(({ text }) => hintsIn(text));
    expect(hints.length).toBeGreaterThan(100);
    expect(hints.filter((hint) => NOT_FOR_CLIENTS.test(hint)).length).toBeGreaterThan(5);
    const codes = Object.keys(ERROR_CATALOGUE) as ErrorCode[];
    for (const hint of hints) {
      for (const code of codes) {
        const told = inClientWords(new GlyphpressError(code, { message: 'm', hint })).hint;
        expect([hint, NOT_FOR_CLIENTS.test(told)]).toEqual([hint, false]);
      }
    }
  });

  it('say no address of Redis', () => {
    const told = inClientWords(
      redisUnavailable(new Error('connect ECONNREFUSED 10.1.2.3:6379 /data/redis.sock')),
    );
    expect(`${told.message} ${told.hint} ${JSON.stringify(told.details)}`).not.toMatch(
      /10\.1|sock|REDIS|Redis/,
    );
    expect(told.code).toBe('GP_REDIS_UNAVAILABLE');
    expect(told.retryable).toBe(true);
  });

  it('leave advice that a client can follow', () => {
    const error = new GlyphpressError('GP_REQUEST', {
      message: 'The form has no file',
      hint: 'Give one in the field "file".',
      details: { param: 'file' },
    });
    expect(inClientWords(error)).toBe(error);
  });

  it('keep message and details where only the advice was for somebody else', () => {
    const told = inClientWords(
      new GlyphpressError('GP_INPUT_ENCODING', {
        message: 'Byte 0x81 at 12 is no UTF-8',
        hint: 'Give --encoding windows-1252.',
        details: { offset: 12 },
      }),
    );
    expect(told).toMatchObject({
      message: 'Byte 0x81 at 12 is no UTF-8',
      details: { offset: 12 },
      hint: expect.stringContaining('UTF-8'),
    });
  });
});
