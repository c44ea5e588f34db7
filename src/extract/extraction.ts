/** What the reader of a format hands back: the text, and what it knows beside it. */

export interface ExtractionNote {
  kind: ExtractionNoteKind;
  /** One sentence for people. */
  message: string;
}

export type ExtractionNoteKind =
  /** Characters between the tags that are not in the text: hidden, or lost in damaged markup. */
  | 'text-not-shown'
  /** Pages that hold pictures and no text. */
  | 'pages-without-text'
  /** Characters whose meaning the document does not state. */
  | 'unmapped-characters'
  /** Parts of a document that are not read: headers, footers, charts. */
  | 'not-read';

export interface Extraction {
  text: string;
  notes: ExtractionNote[];
  /** Where each page of the source starts in the text, UTF-16 offsets; for formats that have pages. */
  pageStarts?: number[];
}

/** Below this share of the characters that a document holds, something was left out. */
const EXPECTED_SHARE = 0.8;
/** A few lines of menus are nothing to speak of. */
const WORTH_TELLING = 200;

/**
 * Compares what was extracted with a cruder count of the same document.
 *
 * @param raw characters without white space, counted without understanding the structure
 */
export function lossNote(text: string, raw: number): ExtractionNote[] {
  const extracted = visibleCharacters(text);
  const missing = raw - extracted;
  if (missing < WORTH_TELLING || extracted >= EXPECTED_SHARE * raw) return [];
  const share = Math.round((100 * missing) / raw);
  return [
    {
      kind: 'text-not-shown',
      message: `${missing} of ${raw} characters (${share} %) are not in the text: they are hidden, or the markup is damaged`,
    },
  ];
}

export function visibleCharacters(text: string): number {
  let count = 0;
  for (const word of text.matchAll(/\S+/g)) count += word[0].length;
  return count;
}
