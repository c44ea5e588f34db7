/** Places where a text may be cut, and how little a cut there tears apart. */

/** How a line begins, the strongest first. */
export enum BorderStrength {
  /** In the middle of a line. */
  Character = 0,
  Line = 1,
  /** Behind a blank line. */
  Paragraph = 2,
  Heading = 3,
  /** Behind a form feed. */
  Page = 4,
  File = 5,
}

export interface Border {
  /** UTF-16 offset at which the next part starts. */
  at: number;
  strength: BorderStrength;
}

const MARKDOWN_HEADING = /^#{1,6}\s/;
const NUMBERED_HEADING =
  /^(?:chapter|part|book|section|appendix|article|annex|kapitel|chapitre|teil)\s+[\divxlc]+\b|^\d+(?:\.\d+)*\.?\s+\p{Lu}[^.]{2,60}$/iu;
const SHOUTED_HEADING = /^[^\p{Ll}]*\p{Lu}{3}[^\p{Ll}]*$/u;
const UNDERLINE = /^(?:={3,}|-{3,}|~{3,})\s*$/;
const LONGEST_HEADING = 80;

/**
 * The strongest border in a range, of several the nearest to where it should be; where no line starts
 * there, a cut between two characters.
 *
 * @param fileStarts offsets at which files begin, with their headings
 */
export function bestBorder(
  text: string,
  from: number,
  to: number,
  wanted: number = to,
  fileStarts: ReadonlySet<number> = new Set(),
): Border {
  let best: Border = { at: wholeCharacter(text, wanted), strength: BorderStrength.Character };
  const distance = (at: number) => Math.abs(at - wanted);
  let lineStart = nextLineStart(text, from - 1);
  while (lineStart !== null && lineStart <= to) {
    const strength = strengthAt(text, lineStart, fileStarts);
    const isNearer = distance(lineStart) <= distance(best.at);
    if (strength > best.strength || (strength === best.strength && isNearer))
      best = { at: lineStart, strength };
    lineStart = nextLineStart(text, lineStart);
  }
  return best;
}

function strengthAt(text: string, at: number, fileStarts: ReadonlySet<number>): BorderStrength {
  if (fileStarts.has(at)) return BorderStrength.File;
  if (text[at - 1] === '\f' || text[at - 2] === '\f') return BorderStrength.Page;
  if (!/\n[ \t]*\r?\n$/.test(text.slice(Math.max(0, at - 200), at))) {
    return BorderStrength.Line;
  }
  return isHeading(text, at) ? BorderStrength.Heading : BorderStrength.Paragraph;
}

/** A line that names what follows: numbered, marked, shouted or underlined. */
function isHeading(text: string, at: number): boolean {
  const [line = '', next = ''] = text.slice(at, at + 2 * LONGEST_HEADING).split(/\r?\n/);
  const title = line.trim();
  if (title === '' || title.length > LONGEST_HEADING) return false;
  return (
    MARKDOWN_HEADING.test(title) ||
    NUMBERED_HEADING.test(title) ||
    SHOUTED_HEADING.test(title) ||
    UNDERLINE.test(next)
  );
}

/** @returns where the next line starts behind `at`, or null for none */
function nextLineStart(text: string, at: number): number | null {
  const terminator = /\r\n|[\n\r\f]/g;
  terminator.lastIndex = Math.max(0, at);
  const match = terminator.exec(text);
  if (!match) return null;
  const start = match.index + match[0].length;
  return start < text.length ? start : null;
}

/** Behind a space close by, else between two characters. */
function wholeCharacter(text: string, at: number): number {
  const space = text.lastIndexOf(' ', at - 1);
  if (space > at - 100 && space > 0) return space + 1;
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at;
}
