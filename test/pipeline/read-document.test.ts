import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeDocument, readDocument } from '../../src/pipeline/read-document.js';
import { sharedFolder } from '../support/folders.js';

const folder = sharedFolder();

function file(name: string, bytes: Buffer | string): string {
  const target = path.join(folder, name);
  writeFileSync(target, bytes);
  return target;
}

const TEXT = 'Tide – tåble, 北京, 🔥.\n';
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16();

const decoded = (bytes: Buffer, encoding?: Parameters<typeof decodeDocument>[2]) =>
  decodeDocument(bytes, 'doc', encoding).text;

const refusal = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

describe('a document', () => {
  it('is the text of a file with the hash of its bytes', () => {
    const name = file('plain.txt', TEXT);
    const hash = createHash('sha256').update(TEXT).digest('hex');
    expect(readDocument(name)).toEqual({ id: `doc_${hash.slice(0, 24)}`, hash, text: TEXT });
    expect(readDocument(file('copy.txt', TEXT)).id).toBe(readDocument(name).id);
    expect(readDocument(file('other.txt', `${TEXT} `)).id).not.toBe(readDocument(name).id);
  });

  it('may begin with a byte order mark, which is no part of the text', () => {
    expect(decoded(Buffer.concat([BOM, Buffer.from(TEXT)]))).toBe(TEXT);
    expect(decoded(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(TEXT, 'utf16le')]))).toBe(
      TEXT,
    );
    expect(decoded(Buffer.concat([Buffer.from([0xfe, 0xff]), utf16be(TEXT)]))).toBe(TEXT);
    expect(decoded(Buffer.concat([BOM, BOM, Buffer.from('x')]))).toBe('\ufeffx');
  });

  it('may be in an encoding that is asked for', () => {
    expect(decoded(Buffer.from(TEXT, 'utf16le'), 'utf-16le')).toBe(TEXT);
    expect(decoded(utf16be(TEXT), 'utf-16be')).toBe(TEXT);
    expect(decoded(Buffer.from(TEXT), 'utf-8')).toBe(TEXT);
  });

  it('in windows-1252 has all 256 bytes, with its own signs from 0x80 to 0x9f', () => {
    const all = decoded(
      Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
      'windows-1252',
    );
    expect(all).toHaveLength(256);
    // The encoding standard's index, https://encoding.spec.whatwg.org/index-windows-1252.txt
    expect(all.slice(0x80, 0xa0)).toBe(
      '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f' +
        '\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178',
    );
    for (const byte of [0x00, 0x41, 0x7f, 0xa0, 0xe9, 0xff])
      expect(all.charCodeAt(byte)).toBe(byte);
  });

  it('keeps every character of any text, in every Unicode encoding', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 }).filter((t) => !t.startsWith('\ufeff'));
    fc.assert(
      fc.property(text, (t) => {
        expect(decoded(Buffer.from(t), 'utf-8')).toBe(t);
        expect(decoded(Buffer.from(t, 'utf16le'), 'utf-16le')).toBe(t);
        expect(decoded(utf16be(t), 'utf-16be')).toBe(t);
      }),
    );
  });
});

describe('bytes that are not UTF-8, where UTF-8 is asked for,', () => {
  /** Each starts with the byte that is wrong, whatever stands before and after it in valid text. */
  const invalid: [string, number[]][] = [
    ['a stray continuation byte', [0x80]],
    ['three stray continuation bytes', [0x80, 0xbf, 0x80]],
    ['five stray continuation bytes', [0x80, 0x80, 0x80, 0x80, 0x80]],
    ['a byte that never occurs', [0xff]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['an overlong form of three', [0xe0, 0x80, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['two of three bytes', [0xe2, 0x82]],
    ['three of four bytes', [0xf0, 0x9f, 0x94]],
    ['Latin-1', [0xe9]],
  ];
  const offsetOf = (bytes: Buffer) => {
    const error = refusal(() => decodeDocument(bytes, 'doc', 'utf-8'));
    expect(error).toMatchObject({ code: 'GP_INPUT_ENCODING', retryable: false });
    const { message, details } = error as { message: string; details: { offset: number } };
    const { offset } = details;
    expect(message).toBe(
      `doc is not UTF-8: byte ${offset} is 0x${bytes[offset]!.toString(16).padStart(2, '0')}`,
    );
    return offset;
  };

  it.each(invalid)('are named by their exact place: %s, alone and at the end', (_, bad) => {
    expect(offsetOf(Buffer.from(bad))).toBe(0);
    expect(offsetOf(Buffer.concat([Buffer.from('🔥é'), Buffer.from(bad)]))).toBe(6);
  });

  it.each(invalid)('are named by their exact place around each kibibyte: %s', (_, bad) => {
    for (const border of [1024, 2048]) {
      for (let at = border - 5; at <= border + 5; at++) {
        for (const last of ['x', 'é', '€', '🔥']) {
          const tail = Buffer.from(last);
          const before = Buffer.concat([Buffer.alloc(at - tail.length, 'a'), tail]);
          for (const after of ['', ' then more'.repeat(300)]) {
            expect(offsetOf(Buffer.concat([before, Buffer.from(bad), Buffer.from(after)]))).toBe(
              at,
            );
          }
        }
      }
    }
  });

  it('are named by their exact place in any text', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 1500, size: 'max' });
    fc.assert(
      fc.property(text, text, fc.constantFrom(...invalid), (before, after, [, bad]) => {
        const start = Buffer.from(before);
        const bytes = Buffer.concat([start, Buffer.from(bad), Buffer.from(after)]);
        expect(offsetOf(bytes)).toBe(start.length);
      }),
      { numRuns: 300 },
    );
  });

  it('are found far behind', () => {
    const bytes = Buffer.alloc(20_000_000, 'é');
    bytes[19_999_998] = 0xff;
    expect(offsetOf(bytes)).toBe(19_999_998);
  });

  it.each(['utf-16le', 'utf-16be'] as const)('nor %s, are refused', (encoding) => {
    const lone = encoding === 'utf-16le' ? [0x00, 0xd8, 0x41, 0x00] : [0xd8, 0x00, 0x00, 0x41];
    for (const bytes of [Buffer.from([0x41, 0x00, 0x42]), Buffer.from(lone)]) {
      expect(refusal(() => decodeDocument(bytes, 'doc', encoding))).toMatchObject({
        code: 'GP_INPUT_ENCODING',
        details: { encoding },
      });
    }
  });
});

describe('what is no document', () => {
  it('is told apart', () => {
    const cases: [string, string][] = [
      [file('empty.txt', ''), 'GP_INPUT_EMPTY'],
      [path.join(folder, 'absent.txt'), 'GP_INPUT_NOT_FOUND'],
      [folder, 'GP_INPUT_UNREADABLE'],
      [path.join(file('a-file', 'x'), 'below'), 'GP_INPUT_UNREADABLE'],
    ];
    for (const [name, code] of cases) {
      expect(refusal(() => readDocument(name))).toMatchObject({ code, details: { file: name } });
    }
  });

  it('is unreadable for any user: a link to itself', () => {
    const loop = path.join(folder, 'loop');
    symlinkSync(loop, loop);
    const error = refusal(() => readDocument(loop));
    expect(error).toMatchObject({ code: 'GP_INPUT_UNREADABLE', cause: { code: 'ELOOP' } });
  });

  it.skipIf(process.getuid?.() === 0)('is unreadable: a file of others', () => {
    const name = path.join(folder, 'secret');
    writeFileSync(name, 'x', { mode: 0o000 });
    expect(refusal(() => readDocument(name))).toMatchObject({ code: 'GP_INPUT_UNREADABLE' });
  });

  it('is a file beyond what a string can hold', async () => {
    const name = path.join(folder, 'huge');
    mkdirSync(folder, { recursive: true });
    const { open } = await import('node:fs/promises');
    const handle = await open(name, 'w');
    await handle.truncate(300 * 1024 * 1024); // sparse
    await handle.close();
    expect(refusal(() => readDocument(name))).toMatchObject({
      code: 'GP_INPUT_UNREADABLE',
      details: { size: 300 * 1024 * 1024 },
    });
  });
});
