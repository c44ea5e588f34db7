/** For those who run the service: is it alive, is it ready, what are its limits and figures. */

import { statfs } from 'node:fs/promises';
import Type from 'typebox';
import { findChromium } from '../../environment/chromium.js';
import type { ServerParts } from '../context.js';
import type { Pressure } from '../pressure.js';
import { nullable, ownErrors } from '../schemas.js';
import type { App } from '../typed-app.js';

const MIN_FREE_BYTES = 256 * 1024 ** 2;

/** Probes come every few seconds; what they cost must not. */
const READY_FOR_MS = 2_000;
/** Each check; together they answer within two seconds. */
const CHECK_WITHIN_MS = 800;
const NO_ANSWER = 'does not answer';

interface Readiness {
  ready: boolean;
  checks: Record<string, string>;
}

export function operationRoutes(app: App, parts: ServerParts & { pressure: Pressure }): void {
  const tags = ['operations'];
  const { metrics } = parts;
  const status = Type.Object({ status: Type.String() });
  const readiness = Type.Object({
    status: Type.String(),
    checks: Type.Record(Type.String(), Type.String()),
  });

  for (const path of ['/livez', '/health']) {
    app.get(
      path,
      {
        config: { access: 'public' },
        logLevel: 'warn',
        schema: { tags, summary: 'Whether the process lives', response: { 200: status } },
      },
      async () => ({ status: 'ok' }),
    );
  }

  let known: { at: number; readiness: Promise<Readiness> } | null = null;
  app.get(
    '/readyz',
    {
      config: { access: 'public' },
      logLevel: 'warn',
      schema: {
        tags,
        summary: 'Whether it can do its work',
        response: { 200: readiness, 503: readiness },
      },
    },
    async (_, reply) => {
      if (!known || Date.now() - known.at > READY_FOR_MS)
        known = { at: Date.now(), readiness: look(parts) };
      const { ready, checks } = await known.readiness;
      return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'not ready', checks });
    },
  );

  app.get(
    '/version',
    {
      config: { access: 'public' },
      schema: { tags, response: { 200: Type.Object({ version: Type.String() }) } },
    },
    async () => ({ version: parts.version }),
  );

  app.get(
    '/v1/limits',
    {
      config: { access: 'any', free: true },
      schema: {
        tags,
        summary: 'What the service takes',
        response: {
          200: Type.Object({
            requests: nullable(
              Type.Object(
                {
                  per_minute: Type.Integer(),
                  remaining: Type.Integer(),
                  reset_seconds: Type.Integer(),
                },
                {
                  description:
                    'Rate limit of this key; null for no limit. This request does not count.',
                },
              ),
            ),
            document_bytes: Type.Integer(),
            json_bytes: Type.Integer(),
            unfinished_documents: Type.Integer(),
            open_requests: Type.Integer(),
            answer_tokens: Type.Integer(),
            question_characters: Type.Integer(),
            question_documents: Type.Integer(),
            background_responses: Type.Integer(),
            response_keep_seconds: Type.Number(),
            wait_seconds: Type.Number(),
            keep_seconds: nullable(Type.Number()),
          }),
          ...ownErrors,
        },
      },
    },
    async ({ caller }) => {
      const { limits, rates } = parts;
      const { keyId, rate } = caller;
      const left = keyId === null || rate === null ? null : await rates.look(keyId, rate);
      return {
        requests: left && {
          per_minute: left.limit,
          remaining: left.remaining,
          reset_seconds: left.resetS,
        },
        document_bytes: limits.documentBytes,
        json_bytes: limits.jsonBytes,
        unfinished_documents: limits.perTenant,
        open_requests: limits.openRequestsPerTenant,
        answer_tokens: limits.answerTokens,
        question_characters: limits.questionCharacters,
        question_documents: limits.questionDocuments,
        background_responses: limits.backgroundPerTenant,
        response_keep_seconds: limits.responseKeepMs / 1000,
        wait_seconds: limits.waitMs / 1000,
        keep_seconds: limits.keepMs === null ? null : limits.keepMs / 1000,
      };
    },
  );

  app.get(
    '/metrics',
    {
      config: { access: ['admin'], free: true },
      logLevel: 'warn',
      schema: { tags, summary: 'Figures for Prometheus', produces: ['text/plain'] },
    },
    async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );

  app.get(
    '/openapi.json',
    { config: { access: 'public' }, schema: { hide: true } },
    async () => app.swagger() as object,
  );
}

/** What hangs is not ready; a probe that hangs with it tells nothing. */
async function soon(check: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, CHECK_WITHIN_MS, NO_ANSWER);
  });
  try {
    return await Promise.race([check, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function look({ redis, store }: ServerParts): Promise<Readiness> {
  const checks: Record<string, string> = {
    redis: await soon(
      redis.ping().then(
        () => 'ok',
        () => NO_ANSWER,
      ),
    ),
    disk: await soon(
      statfs(store.root).then(
        ({ bavail, bsize }) => (bavail * bsize < MIN_FREE_BYTES ? 'nearly full' : 'ok'),
        () => 'ok', // nothing was stored yet
      ),
    ),
  };
  const ready = Object.values(checks).every((check) => check === 'ok');
  // Questions are answered without a browser; only new documents need one.
  checks.browser = findChromium() ? 'ok' : 'none found: no new documents';
  return { ready, checks };
}
