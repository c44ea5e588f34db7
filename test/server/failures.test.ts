import { describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import type { DocumentRecord } from '../../src/queue/document-record.js';
import { httpFailure, problemOf } from '../../src/server/errors.js';
import { notThere } from '../../src/service/document-pages.js';
import type { Work } from '../../src/service/work.js';

const SECRET = '/srv/data/store/tenants/acme';

describe('a failure over HTTP', () => {
  const replyError = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });
  const full = { code: 'ENOSPC', syscall: 'write', path: SECRET };
  it.each([
    [
      'a Redis with a full disk',
      replyError('MISCONF Errors writing to the AOF file: No space left'),
    ],
    [
      'a Redis with full memory',
      replyError("OOM command not allowed when used memory > 'maxmemory'."),
    ],
    ['a full disk', Object.assign(new Error(`ENOSPC: no space left, ${SECRET}`), full)],
  ])('of %s may be tried again, and names no path', (_, error) => {
    const failure = httpFailure(error);
    expect(failure).toMatchObject({ status: 507, code: 'GP_STORAGE', retryAfterS: 10 });
    expect(JSON.stringify(failure)).not.toContain(SECRET);
  });

  it('of what Redis says otherwise is a fault of ours', () => {
    expect(httpFailure(replyError('ERR unknown command'))).toMatchObject({ status: 500 });
  });

  it('of a damaged artifact says how to mend it, and names no path', () => {
    const failure = httpFailure(
      new GlyphpressError('GP_ARTIFACT_DAMAGED', {
        message: `${SECRET}/context does not match`,
        hint: 'run the command',
        details: { file: SECRET },
      }),
    );
    expect(failure).toMatchObject({ status: 500, code: 'GP_ARTIFACT_DAMAGED' });
    expect(failure.hint).toMatch(/Submit the same document again/);
    expect(JSON.stringify(failure)).not.toContain(SECRET);
  });
});

it.each([
  ['in_progress', 'GP_DOCUMENT_PENDING'],
  ['failed', 'GP_DOCUMENT_STATE'],
  ['completed', 'GP_ARTIFACT_DAMAGED'],
])('what a document that is %s does not have is told as %s', (state, code) => {
  const work = { record: { state, stage: null } as DocumentRecord } as Work;
  expect(notThere(work, 'text').code).toBe(code);
});

describe('what a schema misses', () => {
  const at = (instancePath: string, params: object, message = 'must be something') => ({
    instancePath,
    params,
    message,
  });

  it('is told with the values that would be taken', () => {
    expect(problemOf([at('/n', { allowedValue: 1 })])).toBe('must be 1');
    expect(problemOf([at('/role', { allowedValues: ['user', 'system'] })])).toBe(
      'must be one of "user", "system"',
    );
    // The branches of a union, and something about another place.
    expect(
      problemOf([
        at('/type', { allowedValue: 'text' }),
        at('/type', { allowedValue: 'file' }),
        at('/type', {}, 'must match a schema in anyOf'),
        at('/text', { allowedValue: 'x' }),
      ]),
    ).toBe('must be one of "text", "file"');
  });

  it('is told in other words where there is no value to name', () => {
    expect(problemOf([at('/keep', { limit: 1 }, 'must be <= 1')])).toBe('must be <= 1');
    expect(problemOf([])).toBe('is not what is taken here');
  });
});
