/** Several files as one document: a heading with the name before each, and the way back from a place. */

/** Where one file stands in the text of a document. */
export interface DocumentFile {
  /** As citations name it. */
  name: string;
  /** Source range in the text of the document, without its heading; UTF-16 offsets. */
  start: number;
  end: number;
  mediaType: string;
  /** Where each page of the file starts, from `start` on; for formats that have pages. */
  pageStarts?: readonly number[];
}

/** A place in a file: what `start` and `end` of a citation are for the whole document. */
export interface FilePlace {
  name: string;
  start: number;
  end: number;
  /** Page of the file itself, from 1; only for formats that have pages. */
  page?: number;
}

/** What stands before the text of a file. */
export const fileHeading = (name: string) => `===== ${name} =====\n\n`;

export interface NamedText {
  name: string;
  text: string;
  mediaType: string;
  pageStarts?: readonly number[] | null;
}

/** One text alone has no heading: it stays as it is. */
export function joinFiles(texts: readonly NamedText[]): { text: string; files: DocumentFile[] } {
  const isAlone = texts.length === 1;
  const pieces: string[] = [];
  const files: DocumentFile[] = [];
  let at = 0;
  const put = (piece: string) => {
    pieces.push(piece);
    at += piece.length;
  };
  for (const { name, text, mediaType, pageStarts } of texts) {
    if (!isAlone) put(`${at === 0 ? '' : '\n\n'}${fileHeading(name)}`);
    const shown = isAlone ? text : text.replace(/\n+$/, '');
    const start = at;
    put(shown);
    files.push({ name, start, end: at, mediaType, ...(pageStarts && { pageStarts }) });
  }
  if (!isAlone) put('\n');
  return { text: pieces.join(''), files };
}

/** @returns the file that a place begins in, or null for a place in a heading */
export function placeInFiles(
  { start, end }: { start: number; end: number },
  files: readonly DocumentFile[],
): FilePlace | null {
  const file = files.find((file) => start >= file.start && start < file.end);
  if (!file) return null;
  const from = start - file.start;
  const place = { name: file.name, start: from, end: Math.min(end, file.end) - file.start };
  if (!file.pageStarts) return place;
  const page = file.pageStarts.filter((pageStart) => pageStart <= from).length;
  return { ...place, page: Math.max(1, page) };
}
