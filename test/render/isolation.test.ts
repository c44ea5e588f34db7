/** Text of a stranger meets a browser: it must stay text, and the browser must stay alone. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { PageSlot } from '../../src/render/chromium.js';
import { resolveFonts } from '../../src/render/fonts.js';
import { layoutFlows } from '../../src/render/layout-page.js';
import { preparePage } from '../../src/render/page-html.js';

const fonts = resolveFonts({ fontPath: null, fontFamily: 'DejaVu Sans' });
const slot = new PageSlot(chromiumOptions(), (page) =>
  preparePage(page, {
    faces: [fonts.primary],
    families: fonts.families,
    fontSizePx: 9,
    lineWidthPx: 200,
    firstLineIndentPx: 0,
    lineOverlapPx: 0,
    lineBreaking: 'word',
  }),
);
let server: Server;
let origin: string;
const requests: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.url ?? '');
    response.end('hit');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await slot.close();
  await new Promise((resolve) => server.close(resolve));
});

const flow = (text: string) => ({ pieces: [text], rtl: false, start: 'edge' as const });

describe('the page in the browser', () => {
  it('holds any text as text: same characters, no further elements', async () => {
    const elements = () =>
      slot.run(({ page }) => page.evaluate(() => document.querySelectorAll('*').length));
    await layoutFlows(slot, [flow('x')]);
    const expected = await elements();
    const markup = fc.constantFrom(
      '<script>pwned=1</script>',
      '<img src=x onerror=pwned=1>',
      '</style>',
      '&lt;',
      '<!--',
      ']]>',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(markup, fc.string()), { minLength: 1 }), async (parts) => {
        const text = parts.join('').replace(/[\ud800-\udfff\0]/g, '');
        await layoutFlows(slot, [flow(text)]);
        const shown = await slot.run(({ page }) =>
          page.evaluate(() => ({
            text: document.getElementById('flows')!.textContent,
            pwned: 'pwned' in globalThis,
          })),
        );
        expect(shown).toEqual({ text, pwned: false });
        expect(await elements()).toBe(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('runs no script of its own, and reaches no server', async () => {
    const tried = await slot.run(({ page }) =>
      page.evaluate(async (url) => {
        const holder = document.createElement('div');
        holder.innerHTML = `<img src="${url}/img"><iframe src="${url}/frame"></iframe><link rel=stylesheet href="${url}/css"><svg onload="globalThis.pwned=1"></svg>`;
        document.body.append(holder);
        const script = document.createElement('script');
        script.textContent = 'globalThis.pwned = 1';
        document.body.append(script);
        const fetched = await fetch(`${url}/fetch`).then(
          () => 'reached',
          () => 'refused',
        );
        return { fetched, pwned: 'pwned' in globalThis };
      }, origin),
    );
    expect(tried).toEqual({ fetched: 'refused', pwned: false });
    await new Promise((resolve) => setTimeout(resolve, 300)); // time for a request to arrive
    expect(requests).toEqual([]);
  });

  it('cannot read local files', async () => {
    const outcome = await slot.run(({ page }) =>
      page.evaluate(() =>
        fetch('file:///etc/passwd').then(
          () => 'read',
          () => 'refused',
        ),
      ),
    );
    expect(outcome).toBe('refused');
  });
});
