import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { information, makeSidecar } from '../../../src/pipeline/exact-values/sidecar.js';
import { countTextTokens } from '../../../src/pipeline/text-tokens.js';

const bytes = (text: string) => Buffer.byteLength(text);
const filler = 'The boats came home before the rain, and nobody spoke for a while. ';

describe('the sidecar', () => {
  it('gives every value with the words before it, in the order of the text', () => {
    const text = `${filler}The access code of the north gate is 7F2A-91. ${filler}\nThe badge number of Clara is 482913. ${filler}`;
    expect(makeSidecar(text, 400, bytes)).toEqual({
      text: 'Exact values from the pages:\n- The access code of the north gate is 7F2A-91\n- The badge number of Clara is 482913\n\n',
      tokens: 115,
      found: 2,
      kept: 2,
      kinds: { identifier: 1, number: 1 },
    });
  });

  it('joins the lines of hard-wrapped text, and begins with a whole word', () => {
    const text = `${filler.trimEnd().replace('.', ',')} the\naccess code of the\nnorth gate is 7F2A-91.`;
    expect(makeSidecar(text, 400, bytes).text).toContain(
      '\n- spoke for a while, the access code of the north gate is 7F2A-91\n',
    );
  });

  it('begins with the line of a list or log, and goes back over a wrapped one', () => {
    const log = 'x done\n2026-03-12 pump KX-4410 failed\n- badge 8QY2ZP\n';
    expect(makeSidecar(log, 400, bytes).text).toContain(
      '\n- 2026-03-12 pump KX-4410\n- - badge 8QY2ZP\n',
    );
    const wrapped = 'The access code of the north gate is\n7F2A-91 since then.';
    expect(makeSidecar(wrapped, 400, bytes).text).toContain(
      '\n- The access code of the north gate is 7F2A-91\n',
    );
  });

  it('puts neighbours in one sentence on one line', () => {
    const text = 'The first is AB-1234 and the second is CD-5678.';
    expect(makeSidecar(text, 400, bytes).text).toContain(
      '\n- The first is AB-1234 and the second is CD-5678\n',
    );
  });

  it('names a value once, at its first place', () => {
    const text = `Pump KX-4410 leaks. ${filler}Then KX-4410 stopped.`;
    const { text: sidecar, found } = makeSidecar(text, 400, bytes);
    expect(found).toBe(1);
    expect(sidecar.match(/KX-4410/g)).toHaveLength(1);
    expect(sidecar).toContain('- Pump KX-4410\n');
  });

  it('keeps what cannot be guessed when there is not room for all', () => {
    const text = [
      'It was signed on 12 March 2026.',
      'The commit is 9fceb02d0ae598e95dc970b74767f19372d61af8.',
      'The code is 7F2A-91.',
    ].join(` ${filler}`);
    expect(makeSidecar(text, 100, bytes)).toMatchObject({ kept: 1, kinds: { hash: 1 } });
    expect(makeSidecar(text, 126, bytes)).toMatchObject({
      kept: 2,
      kinds: { hash: 1, identifier: 1 },
    });
    expect(makeSidecar(text, 200, bytes).kept).toBe(3);
  });

  it('prefers rare values to those that stand everywhere', () => {
    const often = `Form QX-1234 was used. ${filler}`.repeat(40);
    const text = `${often} The last key is ZK-9876.`;
    const { text: sidecar } = makeSidecar(text, 60, bytes);
    expect(sidecar).toContain('ZK-9876');
    expect(sidecar).not.toContain('QX-1234');
  });

  it('is empty without a budget or without values', () => {
    const empty = { text: '', tokens: 0, kept: 0 };
    expect(makeSidecar('Code 7F2A-91.', 0, bytes)).toMatchObject(empty);
    expect(makeSidecar('Code 7F2A-91.', 20, bytes)).toMatchObject({ ...empty, found: 1 });
    expect(makeSidecar(filler, 500, bytes)).toMatchObject({ ...empty, found: 0 });
  });

  it('never takes more than its budget, by the count of the whole, and says what it took', () => {
    const values = fc.constantFrom(
      '7F2A-91',
      'a@b.org',
      '$12',
      '2026-03-12',
      '3fa9c07be214',
      'é1234x',
    );
    const texts = fc
      .array(fc.tuple(values, fc.constantFrom(' ', '\n', '. ', ' is the code of ')), {
        maxLength: 20,
      })
      .map((parts) => parts.map((part, i) => part[0] + (i % 3) + part[1]).join(''));
    const counters = fc.constantFrom(bytes, countTextTokens);
    fc.assert(
      fc.property(texts, fc.nat(300), counters, (text, budget, count) => {
        const sidecar = makeSidecar(text, budget, count);
        expect(sidecar.tokens).toBe(count(sidecar.text));
        expect(sidecar.tokens).toBeLessThanOrEqual(budget);
        expect(sidecar.kept).toBeLessThanOrEqual(sidecar.found);
        expect(makeSidecar(text, budget, count)).toEqual(sidecar);
      }),
    );
  });
});

describe('information', () => {
  it('is high for scrambled characters and low for words', () => {
    expect(information('9fceb02d0ae5')).toBeGreaterThan(information('KX-4410'));
    expect(information('KX-4410')).toBeGreaterThan(information('1st May'));
    expect(information('step-two-of-four')).toBeLessThan(information('8QY2ZP'));
  });
});
