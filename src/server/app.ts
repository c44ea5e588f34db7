/** The HTTP face: routes, checks, errors. Knows nothing of how it was started. */

import { randomUUID } from 'node:crypto';
import multipart from '@fastify/multipart';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyRequest, type FastifyServerOptions } from 'fastify';
import { GlyphpressError } from '../errors.js';
import { guard } from './auth.js';
import { boundConnections } from './connections.js';
import type { ServerParts } from './context.js';
import { assertDeclaredSize } from './declared-size.js';
import { sendFailure } from './errors.js';
import type { Listeners } from './listeners.js';
import { Pressure } from './pressure.js';
import { loggedRequest } from './request-log.js';
import type { ResponseRunner } from './response-runner.js';
import { adminRoutes } from './routes/admin.js';
import { chatRoutes } from './routes/chat.js';
import { consoleRoutes } from './routes/console.js';
import { documentContentRoutes } from './routes/document-contents.js';
import { documentRoutes } from './routes/documents.js';
import { fileRoutes } from './routes/files.js';
import { modelRoutes } from './routes/models.js';
import { operationRoutes } from './routes/operations.js';
import { responseRoutes } from './routes/responses.js';
import { settingRoutes } from './routes/settings.js';
import { webhookRoutes } from './routes/webhooks.js';
import type { TrustProxy } from './trusted-proxies.js';
import type { App } from './typed-app.js';
import { endUnreadBodies } from './unread-body.js';

export interface AppOptions {
  requireKey: boolean;
  logger?: FastifyServerOptions['logger'] | undefined;
  listeners: Listeners;
  /** @defaultValue nobody: forwarded addresses are ignored */
  trustProxy?: TrustProxy | undefined;
}

const REQUEST_ID = /^[A-Za-z0-9_-]{1,64}$/;

export async function createApp(
  parts: ServerParts & { runner: ResponseRunner },
  { requireKey, listeners, logger = false, trustProxy }: AppOptions,
): Promise<App> {
  const { limits } = parts;
  const app: App = Fastify({
    logger:
      typeof logger === 'object' ? { ...logger, serializers: { req: loggedRequest } } : logger,
    ...(trustProxy && { trustProxy }),
    serverFactory: (answer) => listeners.create(answer),
    bodyLimit: limits.jsonBytes,
    forceCloseConnections: 'idle',
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : `req_${randomUUID()}`;
    },
    // An address that cannot be read comes to no route and to no hook.
    frameworkErrors: (error, request, reply) => {
      void reply.headers(commonHeaders(request));
      sendFailure(request, reply, error);
    },
    // A wrong type is a mistake to be told of, not to be guessed right.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();

  boundConnections(app.server, limits, trustProxy);
  app.setErrorHandler((error, request, reply) => sendFailure(request, reply, error));
  app.setNotFoundHandler((request, reply) => {
    const error = new GlyphpressError('GP_ROUTE', {
      message: `There is no ${request.method} ${request.url.split('?')[0]!.slice(0, 200)}`,
      hint: 'GET /openapi.json lists what there is.',
    });
    sendFailure(request, reply, error);
  });
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers(commonHeaders(request));
  });
  endUnreadBodies(app);
  const pressure = new Pressure(limits);
  parts.metrics.watch(app, pressure);
  guard(app, { ...parts, rate: limits.requestsPerMinute }, requireKey);
  app.addHook('onRequest', async (request) => assertDeclaredSize(request, limits));
  pressure.guard(app);

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'glyphpress',
        version: parts.version,
        description: 'Long documents as visual tokens: hand them in once, ask them many times.',
      },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
      ...(requireKey && { security: [{ key: [] }] }),
    },
  });
  await app.register(multipart, {
    // One byte more than is taken, so that what is too large is seen to be.
    limits: { fileSize: limits.documentBytes + 1, files: 1, fields: 20, fieldSize: 65_536 },
    throwFileSizeLimit: false,
  });
  // Whatever is not JSON or a form is a document, read as it comes.
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('*', (_, payload, done) => done(null, payload));

  documentRoutes(app, parts);
  documentContentRoutes(app, parts);
  fileRoutes(app, parts);
  modelRoutes(app, parts);
  chatRoutes(app, parts);
  responseRoutes(app, parts);
  settingRoutes(app, parts);
  webhookRoutes(app, parts);
  operationRoutes(app, { ...parts, pressure });
  adminRoutes(app, parts);
  consoleRoutes(app);
  await app.ready();
  return app;
}

function commonHeaders({ id }: Pick<FastifyRequest, 'id'>): Record<string, string> {
  return {
    'x-request-id': id,
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  };
}
