import { describe, expect, it } from 'vitest';
import { ERROR_CATALOGUE, type ErrorCode, GlyphpressError, ShapeError } from '../src/errors.js';
import { filesBelow } from './support/repository.js';

const CODES = Object.keys(ERROR_CATALOGUE) as ErrorCode[];

/** What the command line calls an error that nobody threw on purpose. */
const INTERNAL = 'GP_INTERNAL';

/** Code → files that give it to an error; where a code is only compared with, nobody throws it. */
function throwers(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { path, text } of filesBelow(['src', 'workers'], /\.ts$/)) {
    const given = [...text.matchAll(/(?<!(?:[=!]==? |case ))'(GP_[A-Z_]+)'/g)].map(
      ([, code]) => code!,
    );
    if (path !== 'src/errors.ts' && text.includes('new ShapeError(')) given.push('GP_TENSOR_SHAPE');
    if (path === 'src/errors.ts') continue;
    for (const code of new Set(given)) found.set(code, [...(found.get(code) ?? []), path]);
  }
  return found;
}

describe('the catalogue', () => {
  const used = throwers();

  it.each(CODES)('%s is thrown somewhere', (code) => {
    expect(used.get(code) ?? []).not.toEqual([]);
  });

  it('has every code that the sources name', () => {
    const named = filesBelow(['src', 'workers', 'scripts', 'bin'], /\.(ts|mjs|js)$/).flatMap(
      ({ text }) => text.match(/\bGP_[A-Z]+(?:_[A-Z]+)*\b/g) ?? [],
    );
    expect(named.length).toBeGreaterThan(CODES.length);
    expect([...new Set(named)].filter((code) => !(code in ERROR_CATALOGUE))).toEqual([INTERNAL]);
  });

  it.each(CODES)('%s says what it means in a sentence', (code) => {
    expect(ERROR_CATALOGUE[code].meaning).toMatch(/^[A-Z].+\.$/);
  });

  it('calls an error retryable only where the world may change by itself', () => {
    expect(CODES.filter((code) => ERROR_CATALOGUE[code].retryable)).toEqual([
      'GP_INPUT_FETCH',
      'GP_STORAGE',
      'GP_STORE_UNAVAILABLE',
      'GP_STORE_REFUSED',
      'GP_BROWSER_LAUNCH',
      'GP_BROWSER_CRASHED',
      'GP_HUB_UNAVAILABLE',
      'GP_BACKEND_UNAVAILABLE',
      'GP_REDIS_UNAVAILABLE',
      'GP_QUEUE_FULL',
      'GP_BUSY',
      'GP_DOCUMENT_PENDING',
      'GP_WEBHOOK_DELIVERY',
      'GP_RATE_LIMITED',
      'GP_IDEMPOTENCY_BUSY',
    ]);
  });
});

describe('an error', () => {
  const cause = new Error('disk');
  const details = { file: 'a.txt', offset: 3 };
  const error = new GlyphpressError('GP_INPUT_ENCODING', {
    message: 'm',
    hint: 'h',
    details,
    cause,
  });

  it('is an Error with its cause, and takes from the catalogue whether to try again', () => {
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'GlyphpressError', message: 'm', hint: 'h', cause });
    for (const code of CODES) {
      const { retryable } = new GlyphpressError(code, { message: 'm', hint: 'h' });
      expect(retryable).toBe(ERROR_CATALOGUE[code].retryable);
    }
  });

  it('is written as code, message, hint, retryable and details: no stack, no cause', () => {
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'GP_INPUT_ENCODING',
      message: 'm',
      hint: 'h',
      retryable: false,
      details,
    });
  });

  it('has no cause and no details where none were given', () => {
    const bare = new GlyphpressError('GP_USAGE', { message: 'm', hint: 'h' });
    expect('cause' in bare).toBe(false);
    expect(bare.toJSON().details).toEqual({});
  });

  it('about a shape names tensor, expectation and what came', () => {
    const shape: number[] = [2, 3];
    const wrong = new ShapeError('visualTokens', '[N, 4]', shape, 'Check D.');
    shape.push(9);
    expect(wrong).toBeInstanceOf(GlyphpressError);
    expect(wrong).toMatchObject({
      name: 'ShapeError',
      code: 'GP_TENSOR_SHAPE',
      message: 'Expected visualTokens of shape [N, 4], got [2, 3]',
      hint: 'Check D.',
      details: { tensor: 'visualTokens', expected: '[N, 4]', actual: [2, 3] },
    });
  });
});
