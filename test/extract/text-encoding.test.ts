import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeText } from '../../src/extract/text-encoding.js';

const SIGNS = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';
/** Bytes of a text in windows-1252. */
const western = (text: string) =>
  Buffer.from(
    [...text].map((sign) => {
      const high = SIGNS.indexOf(sign);
      return high < 0 ? sign.codePointAt(0)! : 0x80 + high;
    }),
  );
const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16();

describe('the encoding of a text', () => {
  it.each([
    'café',
    'naïve',
    'El niño comió piñas y mañana irá a España',
    'Die Straße führt über die Brücke. Müller zahlt 5 € für „Äpfel“.',
    'L’été à la plage : ça coûte 10 €, très cher…',
    'price £5 — “quoted” text',
    `${'plain English, line after line.\n'.repeat(9_000)}and one “quoted” word`,
  ])('is taken for windows-1252: %j', (text) => {
    expect(decodeText(western(text), 'doc')).toEqual({
      text,
      encoding: 'windows-1252',
      guessed: true,
    });
  });

  it.each([
    [
      'windows-1251',
      'Привет мир, как дела? Это обычный русский текст о погоде и дороге.',
      'cff0e8e2e5f220ece8f02c20eae0ea20e4e5ebe03f20ddf2ee20eee1fbf7edfbe920f0f3f1f1eae8e920f2e5eaf1f220ee20efeee3eee4e520e820e4eef0eee3e52e',
    ],
    [
      'shift_jis',
      'こんにちは世界。これは日本語の文章です。',
      '82b182f182c982bf82cd90a28a45814282b182ea82cd93fa967b8cea82cc95b68fcd82c582b78142',
    ],
  ])('is recognised: %s', (encoding, text, hex) => {
    expect(decodeText(Buffer.from(hex, 'hex'), 'doc')).toMatchObject({ encoding, text });
  });

  it.each(['plain words\nin lines', 'Grüße aus Köln', '北京\n上海\n'])(
    'is UTF-16 without a mark: %j',
    (text) => {
      for (const [encoding, bytes] of [
        ['utf-16le', Buffer.from(text, 'utf16le')],
        ['utf-16be', utf16be(text)],
      ] as const)
        expect(decodeText(bytes, 'doc')).toEqual({ text, encoding, guessed: true });
    },
  );

  it('is UTF-8 wherever the bytes are, and is no guess then', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((t) => !/\0|^\ufeff/.test(t));
    fc.assert(
      fc.property(text, (t) => {
        expect(decodeText(Buffer.from(t), 'doc')).toEqual({
          text: t,
          encoding: 'utf-8',
          guessed: false,
        });
      }),
    );
  });

  it('is not guessed where UTF-8 was broken: the place is named', () => {
    const bytes = Buffer.from('Grüße, größer, schön. '.repeat(9));
    const at = bytes.length - 30;
    bytes[at] = 0xff;
    expect(() => decodeText(bytes, 'doc')).toThrow(
      expect.objectContaining({ code: 'GP_INPUT_ENCODING', details: { file: 'doc', offset: at } }),
    );
  });
});

describe('binary data', () => {
  it.each<[string, Buffer]>([
    ['with zero bytes', Buffer.from('some words\0\0\0\0 and more')],
    [
      'that is compressed',
      Buffer.from(
        Array.from({ length: 4_000 }, (_, n) => ((n * n * 37 + n * 11) >> 3) & 0xff || 1),
      ),
    ],
    ['of numbers', Buffer.from(Float32Array.from({ length: 500 }, Math.sin).buffer)],
    [
      'of 16-bit samples',
      Buffer.from(Int16Array.from({ length: 5_000 }, (_, n) => 9_000 * Math.sin(n)).buffer),
    ],
  ])('is told apart: %s', (_, bytes) => {
    expect(() => decodeText(bytes, 'doc')).toThrow(
      expect.objectContaining({ code: 'GP_INPUT_FORMAT', message: 'doc is binary data, not text' }),
    );
  });

  it('is read where an encoding is named', () => {
    expect(decodeText(Buffer.from('a\0b'), 'doc', 'utf-8').text).toBe('a\0b');
  });
});
