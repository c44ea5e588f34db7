/**
 * Answers as words that can be compared however they are written: "On the 2nd of October, 1931 it was
 * £1,904." and "1931-10-02: 1904" share the words 2 october 1931 and 1904.
 *
 * Case, quotation marks, currency signs, punctuation around words and hyphens between letters go; number words
 * and ordinals become digits, dates day month year, numbers lose the commas of thousands and the
 * zeros behind the point. Versions, times, codes and paths stay what they are.
 */

const MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
] as const;
/** Whole, or their first letters. "may" alone is a verb: it is a month only beside a day. */
const MONTH = `(?:sept|${MONTHS.map((month) => `${month.slice(0, 3)}(?:${month.slice(3)})?`).join('|')})`;
const SMALL =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
const ORDINALS =
  'first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth'.split(' ');

/** Units that are written with and without a space: "840kg". */
const GLUED_UNIT =
  /(?<=\d)(kg|mm|cm|km|hp|gib|mib|tib|kib|gb|mb|kb|kn|°c|%|m|l|g|h)(?![\p{L}\p{N}])/gu;

export function plainWords(text: string): string[] {
  return normalised(text)
    .split(/\s+/)
    .map((word) => numberOf(word.replace(/^[^\p{L}\p{N}~/+@-]+|[^\p{L}\p{N}]+$/gu, '')))
    .filter((word) => word !== '');
}

function normalised(text: string): string {
  const plain = text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/(?<=\p{L})['’](?=\p{L})/gu, '')
    .replace(/["“”„‘’`*«»()[\]{}<>|]/g, ' ')
    .replace(/[–—]/g, ' ')
    .replace(/[£€$¥]/g, ' ')
    .replace(/(?<=\p{L})[-/](?=\p{L})/gu, ' ')
    .replace(/(?<=\d),(?=\d{3}(?!\d))/g, '')
    .replace(/,(?!\d)|(?<!\d),/g, ' ')
    .replace(GLUED_UNIT, ' $1')
    .replace(/\b(\d+)(?:st|nd|rd|th)\b/g, '$1');
  return withDates(withNumberWords(plain));
}

function withNumberWords(text: string): string {
  const small = SMALL.slice(1, 10).join('|');
  return text
    .replace(new RegExp(`\\b(${TENS.join('|')})(?: (${small}))?\\b`, 'g'), (_, tens, unit) =>
      String((TENS.indexOf(tens) + 2) * 10 + (unit ? SMALL.indexOf(unit) : 0)),
    )
    .replace(new RegExp(`\\b(${SMALL.join('|')})\\b`, 'g'), (word) => String(SMALL.indexOf(word)))
    .replace(new RegExp(`\\b(${ORDINALS.join('|')})(?= (?:of )?${MONTH}\\b)`, 'g'), (word) =>
      String(ORDINALS.indexOf(word) + 1),
    );
}

function withDates(text: string): string {
  const monthName = (word: string) => MONTHS.find((month) => month.startsWith(word.slice(0, 3)))!;
  return text
    .replace(/\b(\d{4})-(\d{2})-(\d{2})\b/g, (whole, year, month, day) =>
      MONTHS[Number(month) - 1] ? `${Number(day)} ${MONTHS[Number(month) - 1]} ${year}` : whole,
    )
    .replace(
      new RegExp(`\\b(\\d{1,2})\\.? (?:of )?(${MONTH})\\b\\.?,?`, 'g'),
      (_, day, month) => `${Number(day)} ${monthName(month)}`,
    )
    .replace(
      // Not what was turned a line above: "2 may 5".
      new RegExp(`(?<!\\d )\\b(${MONTH})\\b\\.? (?:the )?(\\d{1,2})\\b(?![:.]\\d),?`, 'g'),
      (_, month, day) => `${Number(day)} ${monthName(month)}`,
    );
}

function numberOf(word: string): string {
  if (/^0\d:\d\d/.test(word)) return word.slice(1);
  return /^\d+(\.\d+)?$/.test(word) && word.length < 16 ? String(Number(word)) : word;
}

/**
 * Whether the phrase is among the words, all of it and in its order.
 *
 * @param phrase a word of it that ends in `*` stands for all words that begin so
 */
export function hasPhrase(words: readonly string[], phrase: string): boolean {
  const wanted = phrase.includes('*')
    ? phrase.split(/\s+/).flatMap((part) => plainWords(part).map((word) => word + stemMark(part)))
    : plainWords(phrase);
  if (wanted.length === 0) return false;
  const isAt = (word: string, found: string | undefined) =>
    word.endsWith('*') ? (found?.startsWith(word.slice(0, -1)) ?? false) : found === word;
  return words.some((_, at) => wanted.every((word, i) => isAt(word, words[at + i])));
}

const stemMark = (part: string) => (part.endsWith('*') ? '*' : '');
