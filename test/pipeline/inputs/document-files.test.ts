import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fileHeading,
  joinFiles,
  placeInFiles,
} from '../../../src/pipeline/inputs/document-files.js';

const plain = (name: string, text: string) => ({ name, text, mediaType: 'text/plain' });

describe('files as one document', () => {
  it('have a heading each', () => {
    const { text, files } = joinFiles([plain('a.txt', 'one\n'), plain('b/c.md', 'two')]);
    expect(text).toBe('===== a.txt =====\n\none\n\n===== b/c.md =====\n\ntwo\n');
    expect(files.map(({ start, end }) => text.slice(start, end))).toEqual(['one', 'two']);
  });

  it('alone stay as they are', () => {
    expect(joinFiles([plain('a.txt', '\n one\n\n')]).text).toBe('\n one\n\n');
  });

  it('are found again from any place of their text', () => {
    const file = fc.record({
      name: fc.stringMatching(/^[a-z]{1,5}$/),
      text: fc.stringMatching(/^[a-z \n]{1,30}[a-z]$/),
      mediaType: fc.constant('text/plain'),
    });
    fc.assert(
      fc.property(fc.array(file, { minLength: 1, maxLength: 6 }), fc.nat(), (texts, at) => {
        const { text, files } = joinFiles(texts);
        const start = at % text.length;
        const place = placeInFiles({ start, end: start + 1 }, files);
        const index = files.findIndex((file) => start >= file.start && start < file.end);
        const { name, text: own } = texts[index] ?? { name: null, text: '' };
        expect(place?.name ?? null).toBe(name);
        if (place) expect(own.slice(place.start, place.end)).toBe(text[start]);
      }),
    );
  });

  it('with pages of their own tell the page', () => {
    const { files } = joinFiles([
      plain('a.txt', 'x'),
      { ...plain('b.pdf', 'one\n\ntwo\n\nthree'), pageStarts: [0, 5, 5, 10] },
    ]);
    const at = (offset: number) => {
      const start = files[1]!.start + offset;
      return placeInFiles({ start, end: start + 2 }, files)!.page;
    };
    // The second page has no text: what starts where it does stands on the third.
    expect([at(0), at(2), at(5), at(10), at(14)]).toEqual([1, 1, 3, 4, 4]);
    expect(placeInFiles({ start: 0, end: 3 }, files)).toBeNull();
    expect(fileHeading('b.pdf')).toBe('===== b.pdf =====\n\n');
  });
});
