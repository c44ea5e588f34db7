/** /v1/webhooks: URLs that receive events about documents and answers. */

import Type from 'typebox';
import { WEBHOOK_EVENTS, type Webhook, type WebhookEvent } from '../../service/webhooks.js';
import type { ServerParts } from '../context.js';
import { seconds } from '../document-view.js';
import { nullable, oneOf, ownErrors } from '../schemas.js';
import type { App } from '../typed-app.js';

const eventName = oneOf(...WEBHOOK_EVENTS);

const webhookObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('webhook'),
    url: Type.String(),
    events: Type.Array(eventName),
    status: oneOf('enabled', 'disabled'),
    created_at: Type.Integer(),
    disabled_at: nullable(Type.Integer({ description: 'Its service answered 410.' })),
    secret: Type.Optional(Type.String({ description: 'Shown once: whsec_ and base64.' })),
  },
  { title: 'Webhook' },
);

const attemptObject = Type.Object({
  event: Type.String(),
  type: Type.String(),
  attempt: Type.Integer({ description: 'From 1.' }),
  at: Type.Integer({ description: 'Unix seconds.' }),
  ms: Type.Integer(),
  status: nullable(Type.Integer({ description: 'HTTP status; null without a response.' })),
  error: nullable(Type.String()),
});

const params = Type.Object({ id: Type.String({ maxLength: 100 }) });

export function webhookRoutes(app: App, { webhooks }: ServerParts): void {
  const tags = ['webhooks'];
  const config = { access: ['submit'] as const };

  app.post(
    '/v1/webhooks',
    {
      config,
      schema: {
        tags,
        summary: 'Register a webhook for document and answer events',
        description:
          'A public https address. Messages are signed as specified by Standard Webhooks; the secret is ' +
          'shown once. Redirects are not followed; 410 ends it.',
        body: Type.Object(
          {
            url: Type.String({ maxLength: 2_000 }),
            events: Type.Optional(
              Type.Array(eventName, { minItems: 1, maxItems: WEBHOOK_EVENTS.length }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 201: webhookObject, ...ownErrors },
      },
    },
    async ({ body, caller }, reply) => {
      const events = (body.events as WebhookEvent[] | undefined) ?? WEBHOOK_EVENTS;
      const made = await webhooks.create(caller.tenant, { url: body.url, events });
      return reply.code(201).send({ ...webhookView(made), secret: made.secret });
    },
  );

  app.get(
    '/v1/webhooks',
    {
      config,
      schema: {
        tags,
        summary: 'The webhooks, the oldest first',
        response: {
          200: Type.Object({ object: Type.Literal('list'), data: Type.Array(webhookObject) }),
          ...ownErrors,
        },
      },
    },
    async ({ caller }) => ({
      object: 'list' as const,
      data: (await webhooks.list(caller.tenant)).map(webhookView),
    }),
  );

  app.get(
    '/v1/webhooks/:id',
    {
      config,
      schema: {
        tags,
        summary: 'A webhook',
        params,
        response: { 200: webhookObject, ...ownErrors },
      },
    },
    async ({ caller, params }) => webhookView(await webhooks.get(caller.tenant, params.id)),
  );

  app.delete(
    '/v1/webhooks/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Tell an address nothing more',
        params,
        response: { 204: Type.Null(), ...ownErrors },
      },
    },
    async ({ caller, params }, reply) => {
      await webhooks.remove(caller.tenant, params.id);
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/webhooks/:id/rotate',
    {
      config,
      schema: {
        tags,
        summary: 'A new secret; the one before signs too for a day',
        params,
        response: { 200: webhookObject, ...ownErrors },
      },
    },
    async ({ caller, params }) => {
      const rotated = await webhooks.rotate(caller.tenant, params.id);
      return { ...webhookView(rotated), secret: rotated.secret };
    },
  );

  app.post(
    '/v1/webhooks/:id/test',
    {
      config,
      schema: {
        tags,
        summary: 'Send the event webhook.test',
        params,
        response: { 202: Type.Object({ event: Type.String() }), ...ownErrors },
      },
    },
    async ({ caller, params }, reply) =>
      reply.code(202).send({ event: await webhooks.test(caller.tenant, params.id) }),
  );

  app.get(
    '/v1/webhooks/:id/attempts',
    {
      config,
      schema: {
        tags,
        summary: 'The last tries to deliver, the newest first',
        params,
        response: {
          200: Type.Object({ object: Type.Literal('list'), data: Type.Array(attemptObject) }),
          ...ownErrors,
        },
      },
    },
    async ({ caller, params }) => ({
      object: 'list' as const,
      data: (await webhooks.attempts(caller.tenant, params.id)).map((attempt) => ({
        ...attempt,
        at: seconds(attempt.at),
      })),
    }),
  );
}

function webhookView({ id, url, events, createdAt, disabledAt }: Webhook) {
  return {
    id,
    object: 'webhook' as const,
    url,
    events,
    status: disabledAt === null ? ('enabled' as const) : ('disabled' as const),
    created_at: seconds(createdAt),
    disabled_at: disabledAt === null ? null : seconds(disabledAt),
  };
}
