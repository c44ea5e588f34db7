import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChatTemplate } from '../../src/vlm/chat-template.js';
import { openCheckpoint } from '../../src/vlm/checkpoint.js';
import { READER, TINY } from './golden.js';
import { templateOf, tokenizerOf } from './prompts.js';

// TINY keeps its template in a file of its own, the reader in tokenizer_config.json.
const checkpoint = openCheckpoint(TINY);
const reader = openCheckpoint(READER);
const tokenizer = tokenizerOf(checkpoint);
checkpoint.close();
reader.close();

const anyText = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
/** Lone surrogates, which no text file can hold, become U+FFFD. */
const wellFormedText = (text: string) => Buffer.from(text).toString();
const id = (token: string) => tokenizer.tokenId(token)!;

describe('Tokenizer', () => {
  it('gives a byte-level reader one token a byte, and the text back', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const wellFormed = wellFormedText(text);
        const ids = tokenizer.encodeLiteral(wellFormed);
        expect(ids).toEqual([...new TextEncoder().encode(wellFormed)]);
        expect(tokenizer.decode(ids)).toBe(wellFormed);
      }),
      { numRuns: 200 },
    );
  });

  it('streams the same text as it decodes at once, in whole characters', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const wellFormed = wellFormedText(text);
        const stream = tokenizer.stream();
        const pieces = tokenizer.encodeLiteral(wellFormed).map((token) => stream.push(token));
        for (const piece of pieces) expect(wellFormedText(piece)).toBe(piece);
        const hasReplacement = wellFormed.includes('\uFFFD');
        if (!hasReplacement) for (const piece of pieces) expect(piece).not.toContain('\uFFFD');
        expect(pieces.join('') + stream.end()).toBe(wellFormed);
      }),
      { numRuns: 200 },
    );
  });

  it('never fails on bytes that are not UTF-8, and streams them as decoded at once', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300 })), (ids) => {
        const stream = tokenizer.stream();
        const streamed = ids.map((token) => stream.push(token)).join('') + stream.end();
        const bytes = Uint8Array.from(ids.filter((token) => token < 256));
        expect(streamed).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
      }),
    );
  });

  it('reads added tokens in prompts, and spells them out in what people say', () => {
    expect(tokenizer.encode('<|user|>a')).toEqual([id('<|user|>'), 97]);
    expect(tokenizer.encodeLiteral('<|user|>a')).toEqual([
      ...new TextEncoder().encode('<|user|>a'),
    ]);
    expect(tokenizer.decode([id('<|user|>'), 97])).toBe('a');
  });
});

describe('ChatTemplate', () => {
  it.each([
    ['a file of its own', checkpoint],
    ['tokenizer_config.json', reader],
  ])('comes from %s and cuts after the last image', (_, from) => {
    const template = templateOf(from);
    const image = [id('<|begin_of_image|>'), id('<|image|>'), id('<|end_of_image|>')];
    const start = [id('[gMASK]'), id('<sop>'), id('<|user|>'), 10];
    expect(template.documentPrefix(2)).toEqual([...start, ...image, ...image]);
    expect(template.questionSuffix('Hi?', true)).toEqual([72, 105, 63, id('<|assistant|>'), 10]);
  });

  it('keeps a question that looks like markup from being markup', () => {
    const ids = templateOf(checkpoint).questionSuffix('a<|image|><|assistant|>b', true);
    expect(ids.filter((token) => token === id('<|image|>'))).toHaveLength(0);
    expect(ids.filter((token) => token === id('<|assistant|>'))).toHaveLength(1);
    expect(tokenizer.decode(ids)).toBe('a<|image|><|assistant|>b\n');
  });

  it('cuts a whole prompt into two whose ids together are its ids', () => {
    const template = templateOf(checkpoint);
    fc.assert(
      fc.property(anyText, fc.integer({ min: 0, max: 3 }), (text, images) => {
        const question = wellFormedText(text);
        fc.pre(!tokenizer.containsAddedToken(question));
        const whole = tokenizer.encode(template.renderText(images, question));
        expect([
          ...template.documentPrefix(images),
          ...template.questionSuffix(question, images > 0),
        ]).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });

  it('cuts a document that is text where the question would stand, whatever follows images', () => {
    const source =
      '<|user|>{% for part in messages[0].content %}{% if part.type == "image" %}<|image|>{{ "\n" }}{% else %}{{ part.text }}{% endif %}{% endfor %}<|assistant|>';
    const template = new ChatTemplate(source, tokenizer, id('<|image|>'), {}, 'dir');
    expect(template.documentPrefix(0)).toEqual([id('<|user|>')]);
    expect(template.questionSuffix('Hi', false)).toEqual([72, 105, id('<|assistant|>')]);
    expect(template.questionSuffix('Hi', true)).toEqual([10, 72, 105, id('<|assistant|>')]);
  });

  it('puts a question before the images too', () => {
    const template = templateOf(reader);
    const image = [id('<|begin_of_image|>'), id('<|image|>'), id('<|end_of_image|>')];
    const start = [id('[gMASK]'), id('<sop>'), id('<|user|>'), 10];
    expect(template.documentPrefix(2, 'Hi?')).toEqual([...start, 72, 105, 63, ...image, ...image]);
    expect(template.documentPrefix(1, '<|image|>$&')).toEqual([
      ...start,
      ...new TextEncoder().encode('<|image|>$&'),
      ...image,
    ]);
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 3 }), (text, images) => {
        const question = wellFormedText(text);
        fc.pre(!tokenizer.containsAddedToken(question));
        const whole = tokenizer.encode(template.renderText(images, question, true));
        expect([
          ...template.documentPrefix(images, question),
          ...template.questionSuffix(question, true),
        ]).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });

  const IMAGES = '{% for part in messages[0].content %}{% if part.type == "image" %}<|image|>';
  const TEXTS = '{% for part in messages[0].content %}{% if part.type == "text" %}{{ part.text }}';
  const END = '{% endif %}{% endfor %}';
  it.each([
    ['images first', `${IMAGES}${END}${TEXTS}${END}`],
    ['the last text only', `${IMAGES}${END}{{ messages[0].content[-1].text }}`],
  ])('refuses a question before the images where a template takes %s', (_, source) => {
    const template = new ChatTemplate(source, tokenizer, id('<|image|>'), {}, 'dir');
    expect(template.documentPrefix(2)).toEqual([id('<|image|>'), id('<|image|>')]);
    const use = () => template.documentPrefix(2, 'Hi?');
    expect(use).toThrow(/does not let text stand before the images/);
    expect(use).toThrow(expect.objectContaining({ code: 'GP_CHECKPOINT' }));
  });

  it.each([
    ['no jinja', '{% for %}', /cannot be parsed/],
    ['no question', 'hello', /leaves the question out/],
    ['no images', '{{ messages[0].content[-1].text }}', /0 image tokens .* for 1 images/],
    ['an error', '{{ raise_exception("nope") }}', /cannot be rendered/],
  ])('refuses a template with %s', (_, source, message) => {
    const use = () =>
      new ChatTemplate(source, tokenizer, id('<|image|>'), {}, 'dir').documentPrefix(1);
    expect(use).toThrow(message);
    expect(use).toThrow(expect.objectContaining({ code: 'GP_CHECKPOINT' }));
  });
});
