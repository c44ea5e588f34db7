/** EPUB → text: the chapters in reading order. */

import path from 'node:path';
import { DOMParser } from 'linkedom';
import { GlyphpressError } from '../errors.js';
import { htmlToText } from './html.js';
import { ZipArchive } from './zip.js';

interface XmlElement {
  localName: string;
  getAttribute(name: string): string | null;
}

export async function epubToText(file: string): Promise<string> {
  const archive = await ZipArchive.open(file);
  try {
    const container = await elementsOf(archive, 'META-INF/container.xml');
    const root = container.find(({ localName }) => localName === 'rootfile');
    const packageFile = root?.getAttribute('full-path');
    if (!packageFile) throw noBook('it names no package file');
    const elements = await elementsOf(archive, packageFile);
    const items = new Map(
      elements
        .filter(({ localName }) => localName === 'item')
        .map((item) => [item.getAttribute('id'), item.getAttribute('href')] as const),
    );
    const chapters: string[] = [];
    for (const reference of elements.filter(({ localName }) => localName === 'itemref')) {
      const href = items.get(reference.getAttribute('idref'));
      if (!href) continue;
      // Names of entries only: no path leads out of the archive.
      const folder = path.posix.dirname(packageFile);
      const name = path.posix.normalize(path.posix.join(folder, decoded(href.split('#')[0]!)));
      if (!archive.names.includes(name)) throw noBook(`its chapter ${name} is missing`);
      chapters.push(htmlToText((await archive.read(name)).toString('utf8')));
    }
    return chapters.filter((chapter) => chapter !== '').join('\n\n');
  } finally {
    archive.close();
  }
}

/** All elements in order. linkedom's parser loads nothing and expands no entities of a document type. */
async function elementsOf(archive: ZipArchive, name: string): Promise<XmlElement[]> {
  const xml = (await archive.read(name)).toString('utf8');
  const document = new DOMParser().parseFromString(xml, 'text/xml');
  return [...document.querySelectorAll('*')].map((element) => {
    const { localName } = element as unknown as XmlElement;
    return {
      // With or without a prefix.
      localName: localName.replace(/^.*:/, ''),
      getAttribute: (attribute) => (element as unknown as XmlElement).getAttribute(attribute),
    };
  });
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
