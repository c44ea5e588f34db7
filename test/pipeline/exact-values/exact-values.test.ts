import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exactValues, VALUE_KINDS } from '../../../src/pipeline/exact-values/exact-values.js';

const found = (text: string) => exactValues(text).map(({ kind, value }) => `${kind} ${value}`);

describe('exact values', () => {
  it.each<[string, string[]]>([
    // URLs
    ['See https://example.org/a?b=c&d=(e).', ['url https://example.org/a?b=c&d=(e)']],
    ['(http://a.b/c), then', ['url http://a.b/c']],
    ['"url":"https://x.y/z","n":1', ['url https://x.y/z']],
    // e-mail addresses
    ['Write to anna.k+x@mail.example.com, please', ['email anna.k+x@mail.example.com']],
    ['<a@b.org>;c@d.net', ['email a@b.org', 'email c@d.net']],
    ['a@b is none, nor @home', []],
    // UUIDs and hashes
    ['id=123e4567-e89b-42d3-a456-426614174000.', ['uuid 123e4567-e89b-42d3-a456-426614174000']],
    [
      'commit 9fceb02d0ae598e95dc970b74767f19372d61af8',
      ['hash 9fceb02d0ae598e95dc970b74767f19372d61af8'],
    ],
    ['the checksum of hall 3 is 3fa9c07be214', ['hash 3fa9c07be214']],
    ['at 0x7fffdeadbeef01', ['hash 0x7fffdeadbeef01']],
    ['facade and deadbeefcafe have no digit', []],
    // dates
    ['on 2026-03-12, at 2026-03-12T08:30:00Z', ['date 2026-03-12', 'date 2026-03-12T08:30:00Z']],
    ['due 31.12.2026 or 12/31/26', ['date 31.12.2026', 'date 12/31/26']],
    ['March 12, 2026 and 1st May 2027', ['date March 12, 2026', 'date 1st May 2027']],
    ['in April 1999', ['date April 1999']],
    ['you may 3 times march on', []],
    ['45.45.2026 is no date', ['identifier 45.45.2026']],
    // amounts
    ['pay $1,234.50 now', ['amount $1,234.50']],
    ['EUR 12.50, 30 € and 7 dollars', ['amount EUR 12.50', 'amount 30 €', 'amount 7 dollars']],
    ['3.4 million dollars; $2 billion', ['amount 3.4 million dollars', 'amount $2 billion']],
    ['a rate of 12.5% or 8 %', ['amount 12.5%', 'amount 8 %']],
    // identifiers
    ['The access code of the north gate is 7F2A-91.', ['identifier 7F2A-91']],
    [
      'KX-4410 8QY2ZP 31-XK2-90 tR5kQ0a',
      ['identifier KX-4410', 'identifier 8QY2ZP', 'identifier 31-XK2-90', 'identifier tR5kQ0a'],
    ],
    ['from 192.168.10.4:8080 on', ['identifier 192.168.10.4:8080']],
    ['the 21st of 20-year utf8 int32 x86 12mm step-2', []],
    ['plain words, well-known and hyphen-ated', []],
    // numbers
    ['number 482913 in 1999', ['number 482913']],
    ['1,234,567 of them, and 12', ['number 1,234,567']],
    ['a,b,c,1234,5678', ['number 1234', 'number 5678']],
  ])('of %j', (text, expected) => {
    expect(found(text)).toEqual(expected);
  });

  it('know their place', () => {
    const text = 'A 2026-03-12 (7F2A-91) x@y.org\n\nhttps://a.b/c?d. $5 — 9fceb02d0ae5';
    const values = exactValues(text);
    expect(new Set(values.map(({ kind }) => kind)).size).toBe(6);
    for (const { start, end, value } of values) expect(text.slice(start, end)).toBe(value);
  });

  it('ascend, do not overlap and lie in the text, whatever the text', () => {
    const parts = fc.constantFrom(
      ...'12 March 2026|7F2A-91|$|€|%| |\n|,|.|:|//|https://|a@b.co|EUR|1,234|"|(|)|é|漢|😀|=|-|million|0x|deadbeef0123'.split(
        '|',
      ),
    );
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(parts, { maxLength: 40 }).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        let end = 0;
        for (const value of exactValues(text)) {
          expect(VALUE_KINDS).toContain(value.kind);
          expect(value.start).toBeGreaterThanOrEqual(end);
          expect(value.end).toBeGreaterThan(value.start);
          expect(text.slice(value.start, value.end)).toBe(value.value);
          end = value.end;
        }
        expect(end).toBeLessThanOrEqual(text.length);
      }),
      { numRuns: 500 },
    );
  });

  it('are found across the blocks that a long text is read in', () => {
    const line = 'The badge number of the old mill is QX-1234.\n';
    const text = line.repeat(8_000);
    expect(exactValues(text)).toHaveLength(8_000);
  });

  it.each([
    ['digits', '1'],
    ['a dotted number', '1.'],
    ['a grouped number', '1,'],
    ['an address', 'a@'],
    ['a long address', 'a@b.'],
    ['a URL', 'https://'],
    ['a code', 'A1-'],
    ['signs', '$'],
    ['a date', '1-'],
    ['months', 'May '],
    ['days', '12 '],
    ['hex', '0a'],
    ['spaces', ' '],
    ['commas', ','],
  ])('take no more than linear time on endless %s', (_, unit) => {
    const text = (length: number) => unit.repeat(Math.ceil(length / unit.length));
    const time = (input: string) => {
      // Of the processor, in ms: what else the machine does is none of it.
      const start = process.cpuUsage();
      exactValues(input);
      return process.cpuUsage(start).user / 1e3;
    };
    const [short, long] = [text(200_000), text(1_600_000)];
    time(short);
    // Eight times the text: quadratic work would take 64 times as long, and minutes.
    expect(time(long)).toBeLessThan(24 * Math.max(time(short), 20));
  });
});
