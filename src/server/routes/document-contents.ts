/** /v1/documents/{id}: its pages, what is left of them, and its text. */

import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { GlyphpressError } from '../../errors.js';
import { documentCells, notThere, pageImage, pageIndex } from '../../service/document-pages.js';
import { openWork, storedText } from '../../service/work.js';
import type { ServerParts } from '../context.js';
import { documentParams, nullable, oneOf, ownErrors, queryNumber } from '../schemas.js';
import type { App } from '../typed-app.js';

const lineBox = Type.Object({
  x: Type.Number(),
  y: Type.Number(),
  width: Type.Number(),
  height: Type.Number(),
  start: Type.Integer(),
  end: Type.Integer(),
});

const spanPage = Type.Object({
  page: Type.Integer({ description: 'Counted from 1.' }),
  width_px: Type.Integer(),
  height_px: Type.Integer(),
  start: Type.Integer({ description: 'UTF-16 offset into the text.' }),
  end: Type.Integer(),
  lines: Type.Array(lineBox),
});

const cellsPage = Type.Object({
  page: Type.Integer({ description: 'Counted from 1.' }),
  rows: Type.Integer(),
  cols: Type.Integer(),
  survived: Type.Array(Type.Integer(), {
    description:
      'For each cell, row by row, how many stages of pruning it came through: all of them if it is kept.',
  }),
});

const pruneStage = Type.Object({
  at: oneOf('encoder', 'decoder'),
  layer: nullable(Type.Integer({ description: 'The decoder layer before which it drops.' })),
});

export function documentContentRoutes(app: App, parts: ServerParts): void {
  const tags = ['documents'];
  const workOf = async ({
    caller: { tenant },
    params: { id },
  }: {
    caller: FastifyRequest['caller'];
    params: { id: string };
  }) => openWork(await parts.documents.get({ tenant, id }), parts);

  app.get(
    '/v1/documents/:id/pages/:page(^[0-9]{1,6}$).png',
    {
      config: { access: ['query', 'submit'] },
      schema: {
        tags,
        summary: 'A page as it was drawn',
        params: Type.Object({ id: documentParams.properties.id, page: queryNumber }),
        produces: ['image/png'],
      },
    },
    async (request, reply) => {
      const work = await workOf(request);
      const number = Number(request.params.page);
      const png = number < 1 ? null : await pageImage(work, number - 1);
      if (!png) {
        const { pages } = work.record;
        if (number >= 1 && (pages === null || number <= pages)) throw notThere(work, 'such page');
        throw noSuchPage(pages);
      }
      return reply.type('image/png').header('cache-control', 'private, max-age=3600').send(png);
    },
  );

  app.get(
    '/v1/documents/:id/spans',
    {
      config: { access: ['query', 'submit'] },
      schema: {
        tags,
        summary: 'Which characters of the text each line of the pages holds',
        params: documentParams,
        querystring: Type.Object(
          { page: Type.Optional(queryNumber) },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({ characters: Type.Integer(), pages: Type.Array(spanPage) }),
          ...ownErrors,
        },
      },
    },
    async (request) => {
      const { characters, pages } = await pageIndex(await workOf(request));
      const wanted = wantedPage(request.query.page, pages.length);
      return {
        characters,
        pages: pages
          .map(({ widthPx, heightPx, start, end, lines }, index) => ({
            page: index + 1,
            width_px: widthPx,
            height_px: heightPx,
            start,
            end,
            lines,
          }))
          .filter(({ page }) => wanted === undefined || page === wanted),
      };
    },
  );

  app.get(
    '/v1/documents/:id/cells',
    {
      config: { access: ['query', 'submit'] },
      schema: {
        tags,
        summary: 'Which cells of the pages were kept, by stage of pruning',
        params: documentParams,
        querystring: Type.Object(
          { page: Type.Optional(queryNumber) },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({
            stages: Type.Array(pruneStage, {
              description: 'In the order in which they drop; none where everything is kept.',
            }),
            pages: Type.Array(cellsPage),
          }),
          ...ownErrors,
        },
      },
    },
    async (request) => {
      const { stages, pages } = await documentCells(await workOf(request));
      const wanted = wantedPage(request.query.page, pages.length);
      return {
        stages,
        pages: pages
          .map((cells, index) => ({ page: index + 1, ...cells }))
          .filter(({ page }) => wanted === undefined || page === wanted),
      };
    },
  );

  app.get(
    '/v1/documents/:id/text',
    {
      config: { access: ['query', 'submit'] },
      schema: {
        tags,
        summary: 'The text, or a range of it',
        params: documentParams,
        querystring: Type.Object(
          {
            range: Type.Optional(
              Type.String({
                pattern: '^[0-9]{1,9}-[0-9]{1,9}$',
                description: 'start-end in UTF-16 offsets, the end not included.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        produces: ['text/plain'],
      },
    },
    async (request, reply) => {
      const work = await workOf(request);
      const text = await storedText(work);
      if (text === null) throw notThere(work, 'text');
      const [from = 0, to = text.length] = request.query.range?.split('-').map(Number) ?? [];
      if (from > to) {
        throw new GlyphpressError('GP_REQUEST', {
          message: `Expected a range whose end is not before its start, got ${from}-${to}`,
          hint: 'For example range=0-100 for the first hundred characters.',
          details: { param: 'range' },
        });
      }
      const [start, end] = [Math.min(from, text.length), Math.min(to, text.length)];
      void reply.header('x-text-range', `${start}-${end}/${text.length}`);
      return reply.type('text/plain; charset=utf-8').send(text.slice(start, end));
    },
  );
}

/** @throws {GlyphpressError} GP_ROUTE for a page that the document has not */
function wantedPage(page: string | undefined, pages: number): number | undefined {
  if (page === undefined) return undefined;
  const wanted = Number(page);
  if (wanted < 1 || wanted > pages) throw noSuchPage(pages);
  return wanted;
}

function noSuchPage(pages: number | null): GlyphpressError {
  return new GlyphpressError('GP_ROUTE', {
    message: `The document has ${pages ?? 0} pages`,
    hint: 'Pages are counted from 1.',
    details: { param: 'page', pages },
  });
}
