import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  PageFolderWriter,
  type PageRecord,
  parsePageIndex,
} from '../../../src/pipeline/artifacts/page-folder.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import type { RenderedPage, RenderSummary } from '../../../src/render/index.js';
import { PROCESS_TAG } from '../../../src/store/process-tag.js';
import { namesIn, temporaryFolder } from '../../support/folders.js';

const document = decodeDocument(Buffer.from('text'), 'a.txt');
const page = (index: number): RenderedPage => ({
  index,
  png: Buffer.from('png'),
  widthPx: 28,
  heightPx: 28,
  lines: [{ x: 0, y: 0, width: 1, height: 1, start: 0, end: 4 }],
});
const summary = {} as RenderSummary;

async function write(folder: string, pages: number) {
  const writer = await PageFolderWriter.open(folder, document);
  for (let index = 0; index < pages; index++) await writer.add(page(index));
  await writer.finish(summary);
}

describe('a folder of pages', () => {
  it('keeps the earlier pages until the first new one is there', async () => {
    const folder = temporaryFolder();
    await write(folder, 3);
    const writer = await PageFolderWriter.open(folder, document);
    await writer.abort();
    expect(namesIn(folder).sort()).toEqual([
      'page-0001.png',
      'page-0002.png',
      'page-0003.png',
      'pages.json',
    ]);
    await write(folder, 1);
    expect(namesIn(folder).sort()).toEqual(['page-0001.png', 'pages.json']);
  });

  it('is written by one process at a time', async () => {
    const folder = temporaryFolder();
    const first = await PageFolderWriter.open(folder, document);
    await expect(PageFolderWriter.open(folder, document)).rejects.toMatchObject({
      code: 'GP_OUTPUT_EXISTS',
    });
    await first.add(page(0));
    await first.finish(summary);
    expect(existsSync(path.join(folder, 'page-0001.png'))).toBe(true);
  });

  it('goes on after a process that was killed', async () => {
    const folder = temporaryFolder();
    const place = PROCESS_TAG.split('-')[0];
    writeFileSync(path.join(folder, `.pages.json.${place}-4206649.partial`), '{');
    writeFileSync(path.join(folder, 'page-0007.png'), 'of the killed one');
    await write(folder, 1);
    expect(namesIn(folder).sort()).toEqual(['page-0001.png', 'pages.json']);
  });

  it('holds the advance of each character once, and gives every page those that it needs', async () => {
    const folder = temporaryFolder();
    const writer = await PageFolderWriter.open(folder, document);
    await writer.add({ ...page(0), advances: ['ia', [8, 1, 20, 1]] });
    await writer.add({ ...page(1), advances: ['im', [8, 1, 40, 1]] });
    await writer.add({ ...page(2), advances: ['i', [8, 1]] });
    await writer.finish(summary);
    const json = readFileSync(path.join(folder, 'pages.json'));
    const onDisk = JSON.parse(json.toString()).pages.map(
      ({ advances }: PageRecord) => advances?.[0],
    );
    expect(onDisk).toEqual(['ia', 'm', undefined]);
    const { version, pages } = parsePageIndex(json);
    expect(version).toBe(2);
    expect(pages.map(({ advances }) => advances?.[0])).toEqual(['ia', 'iam', 'iam']);
  });

  it('of an earlier version is read, and written anew', async () => {
    const folder = temporaryFolder();
    const { index: _, png: __, ...drawn } = page(0);
    const first = { file: 'page-0001.png', ...drawn, start: 0, end: 4 };
    const old = { version: 1, documentId: document.id, characters: 4, pages: [first] };
    writeFileSync(path.join(folder, 'pages.json'), JSON.stringify(old));
    writeFileSync(path.join(folder, 'page-0001.png'), 'png');
    expect(parsePageIndex(readFileSync(path.join(folder, 'pages.json'))).pages).toEqual([first]);
    await write(folder, 2);
    expect(namesIn(folder).sort()).toEqual(['page-0001.png', 'page-0002.png', 'pages.json']);
  });

  it('is none that holds a compressed document', async () => {
    const folder = path.join(temporaryFolder(), 'contract.gp');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'manifest.json'), '{}');
    await expect(PageFolderWriter.open(folder, document)).rejects.toMatchObject({
      code: 'GP_OUTPUT_EXISTS',
    });
  });
});
