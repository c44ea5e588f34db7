/**
 * The English prose that rendering benchmarks share, so that glyphpress and its peers draw the same
 * characters.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Licences that every Debian system carries, in this order; symbolic links to them are left out. */
const LICENCES_FOLDER = '/usr/share/common-licenses';
const LICENCES = [
  'GPL-3',
  'GFDL-1.3',
  'MPL-2.0',
  'LGPL-2.1',
  'Apache-2.0',
  'GPL-2',
  'GPL-1',
  'Artistic',
];

/**
 * English prose of exactly `chars` printable ASCII characters and newlines: paragraphs of whole
 * sentences, one a line, no blank lines. The same machine always gives the same text.
 *
 * The licences of the system where they are (real prose with its real word lengths), repeated as
 * often as needed; else generated sentences.
 */
export function proseText(chars: number): string {
  const source = licenceProse() ?? generatedProse(200_000);
  let text = source;
  while (text.length < chars) text += `\n${source}`;
  return text.slice(0, chars);
}

/** Whether {@link proseText} is made of licences or generated; benchmarks print it. */
export function proseOrigin(): 'licences' | 'generated' {
  return licenceProse() ? 'licences' : 'generated';
}

function licenceProse(): string | null {
  try {
    const files = LICENCES.map((name) => readFileSync(join(LICENCES_FOLDER, name), 'utf8'));
    return files.map(reflow).join('\n');
  } catch {
    return null;
  }
}

/** Join the lines of each paragraph; what a 7-bit font cannot draw is dropped. */
export function reflow(text: string): string {
  return text
    .replace(/[^\n\x20-\x7e]/g, ' ')
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph.length > 0)
    .join('\n');
}

const WORDS =
  'the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my now over such our man me even most made after also did many off before must well back through years where much your way down should because long each just state those people too mr how little good world make very year still see own work men day get here old life both between being under three never know same last another while us might great go come since against right came take used himself few house use during without again place american around however home small found thought went say part once general high upon school every'.split(
    ' ',
  );

/** Sentences of common words; the lengths of words, sentences and paragraphs follow English. */
export function generatedProse(chars: number): string {
  const random = mulberry32(20_251_104);
  const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
  const sentence = () => {
    const words = Array.from({ length: between(6, 28) }, () => {
      // Squaring prefers the front of the list, where the most common words are.
      const word = WORDS[Math.floor(random() ** 2 * WORDS.length)]!;
      return random() < 0.08 ? `${word},` : word;
    });
    const text = words.join(' ').replace(/,$/, '');
    return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
  };
  const paragraphs: string[] = [];
  for (let length = 0; length < chars; ) {
    const paragraph = Array.from({ length: between(2, 9) }, sentence).join(' ');
    paragraphs.push(paragraph);
    length += paragraph.length + 1;
  }
  return paragraphs.join('\n').slice(0, chars);
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
