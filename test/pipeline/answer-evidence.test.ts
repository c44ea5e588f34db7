import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evidenceOf } from '../../src/pipeline/answer-evidence.js';
import { PASSAGE_GAP } from '../../src/pipeline/expanding/expand-places.js';
import { tellingStems, WordRarity } from '../../src/pipeline/telling-words.js';

const TEXT = [
  'The annual meeting is held in the Methodist hall on 11 April.',
  'Desmond will fit the new tap, which may cost at most £45.',
  'The lease has always allowed chickens on the plots.',
  'Hilary keeps the seed potatoes in her shed, twelve sacks of them.',
].join('\n\n');
const rarity = new WordRarity(TEXT);
const evidence = (answer: string, question: string, read = TEXT) =>
  evidenceOf(answer, question, read, rarity);

describe('what speaks for an answer', () => {
  it('is that it stands where the question is spoken of', () => {
    const question = 'Who is going to fit the new tap?';
    const told = evidence('Desmond will fit it.', question);
    const elsewhere = evidence('Hilary will fit it.', question);
    const nowhere = evidence('Mr Osei will fit it.', question);
    expect(told.beside).toBeGreaterThan(0.6);
    expect(elsewhere.beside).toBeLessThan(0.1);
    expect(nowhere.beside).toBe(0);
    expect(told).toMatchObject({ notFound: false, verdict: false });
  });

  it('knows numbers and dates however they are written', () => {
    const question = 'How many sacks of seed potatoes does Hilary keep?';
    expect(evidence('There are 12.', question).beside).toBeGreaterThan(0.6);
    expect(evidence('There are 13.', question).beside).toBe(0);
    const meeting = 'When is the annual meeting?';
    expect(evidence('It is on April 11th.', meeting).beside).toBeGreaterThan(0.6);
  });

  it('is nothing for an answer that repeats the question', () => {
    expect(evidence('The new tap will be fitted.', 'Who will fit the new tap?').beside).toBe(0);
  });

  it('says how much of the question what was read speaks of', () => {
    const far = evidence('Not found: the document does not say.', 'What is the telephone number?');
    const near = evidence('Not found: the document does not say.', 'What may the tap cost?');
    expect(far).toMatchObject({ notFound: true, asked: 0, beside: 0 });
    expect(near.asked).toBe(1);
  });

  it('tells a verdict by its first word', () => {
    expect(evidence('No, it has not.', 'Are chickens allowed?').verdict).toBe(true);
    expect(evidence('Nobody keeps chickens.', 'Are chickens allowed?').verdict).toBe(false);
  });

  it('does not join sentences of passages that do not follow each other', () => {
    const question = 'Who fits the new tap?';
    const apart = `The new tap is fitted.${PASSAGE_GAP}Hilary keeps the shed.`;
    const together = 'The new tap is fitted.\nHilary keeps the shed.';
    expect(evidence('Hilary', question, apart).beside).toBe(0);
    expect(evidence('Hilary', question, together).beside).toBeGreaterThan(0);
  });

  it('is of shares, for any texts', () => {
    const text = fc.string({ unit: 'binary', maxLength: 60 });
    fc.assert(
      fc.property(text, text, text, (answer, question, read) => {
        const { asked, beside } = evidenceOf(answer, question, read, new WordRarity(read));
        for (const share of [asked, beside]) {
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});

describe('telling words', () => {
  it('have no endings, and none that stand in any sentence', () => {
    expect([
      ...tellingStems('How many collected letters should she have been collecting?'),
    ]).toEqual(['collect', 'letter']);
  });

  it('weigh more the rarer they are', () => {
    const words = (...some: string[]) => new Set(some);
    const text = 'tap one.\n\ntap two.\n\ntap three.\n\nhall four.';
    const ofText = new WordRarity(text);
    const isHall = (word: string) => word === 'hall';
    expect(ofText.share(words('tap', 'hall'), isHall)).toBeGreaterThan(0.6);
    expect(ofText.share(words(), isHall)).toBe(1);
  });

  it('are counted over a part of a long text, spread over all of it', () => {
    const many = Array.from({ length: 9_000 }, (_, n) => `the tap number ${n} drips.`).join('\n\n');
    const ofMany = new WordRarity(`${many}\n\nhall`);
    const share = ofMany.share(new Set(['drip', 'hall']), (word) => word === 'hall');
    expect(share).toBeGreaterThan(0.95);
  });
});
