/** EPUB → text: the chapters in reading order. */

import path from 'node:path';
import { Parser } from 'htmlparser2';
import { GlyphpressError } from '../errors.js';
import { type Extraction, lossNote } from './extraction.js';
import { htmlToText } from './html.js';
import { decodeHtml } from './html-encoding.js';
import { rawCharacters } from './raw-characters.js';
import { ZipArchive } from './zip.js';

interface XmlElement {
  /** Without its prefix. */
  localName: string;
  attributes: Record<string, string>;
}

/** @param onProgress chapters that are read, of how many */
export async function epubToText(
  file: string,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Extraction> {
  const archive = await ZipArchive.open(file);
  try {
    const container = await elementsOf(archive, 'META-INF/container.xml');
    const root = container.find(({ localName }) => localName === 'rootfile');
    const packageFile = root?.attributes['full-path'];
    if (!packageFile) throw noBook('it names no package file');
    const encrypted = await encryptedEntries(archive);
    const names = chapterNames(await elementsOf(archive, packageFile), packageFile);
    const chapters: string[] = [];
    let raw = 0;
    for (const [index, name] of names.entries()) {
      if (!archive.names.includes(name)) throw noBook(`its chapter ${name} is missing`);
      if (encrypted.has(name)) throw protectedBook(name);
      const html = decodeHtml(await archive.read(name));
      chapters.push(htmlToText(html));
      raw += rawCharacters(html);
      onProgress(index + 1, names.length);
    }
    const text = chapters.filter((chapter) => chapter !== '').join('\n\n');
    return { text, notes: lossNote(text, raw) };
  } finally {
    archive.close();
  }
}

/** Names of the chapters' entries, in reading order. */
function chapterNames(elements: readonly XmlElement[], packageFile: string): string[] {
  const items = new Map(
    elements
      .filter(({ localName }) => localName === 'item')
      .map(({ attributes }) => [attributes.id, attributes.href] as const),
  );
  return elements
    .filter(({ localName }) => localName === 'itemref')
    .flatMap(({ attributes }) => items.get(attributes.idref) ?? [])
    .map((href) => {
      // Names of entries only: no path leads out of the archive.
      const folder = path.posix.dirname(packageFile);
      return path.posix.normalize(path.posix.join(folder, decoded(href.split('#')[0]!)));
    });
}

/** Entries that a book seller encrypted. (Fonts may be, in a book that is otherwise open.) */
async function encryptedEntries(archive: ZipArchive): Promise<Set<string>> {
  if (!archive.names.includes('META-INF/encryption.xml')) return new Set();
  const elements = await elementsOf(archive, 'META-INF/encryption.xml');
  return new Set(
    elements
      .filter(({ localName }) => localName === 'CipherReference')
      .map(({ attributes }) => decoded(attributes.URI ?? '')),
  );
}

/** All elements in order; no entities of a document type are expanded. */
async function elementsOf(archive: ZipArchive, name: string): Promise<XmlElement[]> {
  const elements: XmlElement[] = [];
  const parser = new Parser(
    {
      onopentag: (tag, attributes) =>
        elements.push({ localName: tag.replace(/^.*:/, ''), attributes }),
    },
    { xmlMode: true },
  );
  parser.write((await archive.read(name)).toString('utf8'));
  parser.end();
  return elements;
}

function decoded(href: string): string {
  try {
    return decodeURIComponent(href);
  } catch {
    return href;
  }
}

function noBook(problem: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FORMAT', {
    message: `The document is no EPUB that can be read: ${problem}`,
    hint: 'Save it again with the program that made it, or hand it in as text.',
  });
}

function protectedBook(chapter: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_ENCRYPTED', {
    message: `The EPUB is protected: its chapter ${chapter} is encrypted`,
    hint: 'Give a copy without copy protection.',
  });
}
