/** Texts made comparable unit by unit: small letters, and one separator for all that is no letter or digit. */

export const SEPARATOR = 32;

/** Of a UTF-16 unit: a small letter, a digit, or {@link SEPARATOR}. */
export function foldCode(code: number): number {
  if (code < 128) return ASCII[code]!;
  if (!isWordCode(code)) return SEPARATOR;
  const small = String.fromCharCode(code).toLowerCase();
  return small.length === 1 ? small.charCodeAt(0) : code;
}

export function foldWord(word: string): string {
  let folded = '';
  for (let n = 0; n < word.length; n += 1)
    folded += String.fromCharCode(foldCode(word.charCodeAt(n)));
  return folded;
}

/** Letters and digits; beyond ASCII all but Latin-1 signs and the blocks of punctuation. */
export function isWordCode(code: number): boolean {
  if (code < 128) return ASCII[code] !== SEPARATOR;
  return !(
    code <= 0xbf ||
    code === 0xd7 ||
    code === 0xf7 ||
    isBetween(code, 0x2000, 0x206f) ||
    isBetween(code, 0x3000, 0x303f) ||
    code === 0xfeff
  );
}

const isBetween = (code: number, first: number, last: number) => code >= first && code <= last;

const ASCII = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  return /[a-z0-9]/i.test(character) ? character.toLowerCase().charCodeAt(0) : SEPARATOR;
});
