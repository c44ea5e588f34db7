/**
 * The queues, for those who run the service: bull-board, for looking only. Jobs are changed by the
 * documents they belong to; changing them here would leave document records that never finish.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type {
  AppControllerRoute,
  AppViewRoute,
  BullBoardQueues,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app';
import { GlyphpressError } from '../../errors.js';
import type { ServerParts } from '../context.js';
import { StaticFolder } from '../static-folder.js';
import type { App } from '../typed-app.js';

const BASE = '/admin/queues';

/** Its page has a style of its own, and asks for a font elsewhere that it does without. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "font-src 'self'; connect-src 'self'; base-uri 'self'; frame-ancestors 'none'";

/** What bull-board says of itself, gathered for our own routes: its adapter needs a newer Node. */
class Board implements IServerAdapter {
  queues!: BullBoardQueues;
  viewFolder = '';
  staticFolder = '';
  entry!: AppViewRoute;
  api: AppControllerRoute[] = [];
  ui: UIConfig = {};

  setQueues(queues: BullBoardQueues): this {
    this.queues = queues;
    return this;
  }
  setViewsPath(folder: string): this {
    this.viewFolder = folder;
    return this;
  }
  setStaticPath(_: string, folder: string): this {
    this.staticFolder = folder;
    return this;
  }
  setEntryRoute(route: AppViewRoute): this {
    this.entry = route;
    return this;
  }
  /** Errors have the same form as on every route. */
  setErrorHandler(): this {
    return this;
  }
  setApiRoutes(routes: AppControllerRoute[]): this {
    this.api = routes;
    return this;
  }
  setUIConfig(config: UIConfig): this {
    this.ui = config;
    return this;
  }
}

export function adminRoutes(app: App, { queue, webhooks, redis }: ServerParts): void {
  const board = new Board();
  createBullBoard({
    queues: [...queue.all, webhooks.queue].map(
      (one) => new BullMQAdapter(one, { readOnlyMode: true, allowRetries: false }),
    ),
    serverAdapter: board,
    options: {
      uiConfig: { boardTitle: 'glyphpress', hideRedisDetails: false },
    },
  });
  const config = { access: ['admin'] as const, free: true, browser: true };
  const files = new StaticFolder(board.staticFolder);
  const template = readFileSync(path.join(board.viewFolder, 'index.ejs'), 'utf8');
  const hide = { schema: { hide: true } } as const;

  for (const route of [board.entry.route].flat()) {
    app.get(BASE + route.replace(/\/$/, ''), { config, ...hide }, async (_, reply) => {
      const { params } = board.entry.handler({ basePath: BASE, uiConfig: board.ui });
      return reply
        .header('content-security-policy', PAGE_POLICY)
        .type('text/html; charset=utf-8')
        .send(fill(template, params as Record<string, string>));
    });
  }

  app.get(`${BASE}/static/*`, { config, ...hide }, async (request, reply) => {
    const file = await files.read((request.params as { '*': string })['*']);
    if (!file) throw noFile();
    // Its names hold a hash of what they name.
    return reply.header('cache-control', 'private, max-age=86400').type(file.type).send(file.bytes);
  });

  for (const { method, route, handler } of board.api) {
    if (![method].flat().includes('get')) continue;
    for (const one of [route].flat()) {
      app.get(BASE + one, { config, ...hide }, async (request, reply) => {
        await redis.ping(); // bull-board waits for a Redis that is away without an end
        const { status, body } = await handler({
          queues: board.queues,
          uiConfig: board.ui,
          params: request.params as Record<string, string>,
          query: request.query as Record<string, string>,
          body: {},
          headers: {},
        });
        return reply.code(status ?? 200).send(body);
      });
    }
  }
}

/** `<%= name %>` is text, `<%- name %>` is JSON that bull-board has escaped. */
function fill(template: string, values: Record<string, string>): string {
  return template.replace(/<%([=-])\s*(\w+)\s*%>/g, (_, kind: string, name: string) => {
    const value = values[name] ?? '';
    return kind === '-' ? value : value.replace(/[&<>"']/g, (at) => `&#${at.charCodeAt(0)};`);
  });
}

function noFile(): GlyphpressError {
  return new GlyphpressError('GP_ROUTE', {
    message: 'There is no such file',
    hint: `Open ${BASE}.`,
  });
}
