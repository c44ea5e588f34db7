/** For those who run the service: is it alive, is it ready, what are its limits and figures. */

import Type from 'typebox';
import { findChromium } from '../../environment/chromium.js';
import type { Quota, Usage } from '../../queue/usage.js';
import { hasRoomForNew } from '../../service/disk-room.js';
import type { ServerParts } from '../context.js';
import type { Pressure } from '../pressure.js';
import { nullable, ownErrors } from '../schemas.js';
import type { App } from '../typed-app.js';

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
            quota: Type.Object({
              documents: used('Documents'),
              stored_bytes: used('Bytes in the store, with all that was made of your documents'),
              in_flight_bytes: used('Bytes of documents that are not finished'),
            }),
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
        quota: quotaView(await parts.records.usage(caller.tenant), limits),
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

function used(of: string) {
  const limit = nullable(Type.Integer({ description: 'null for no limit' }));
  return Type.Object({ used: Type.Integer(), limit }, { description: of });
}

function quotaView({ documents, storedBytes, inFlightBytes }: Usage, limits: Quota) {
  return {
    documents: { used: documents, limit: limits.documentsPerTenant ?? null },
    stored_bytes: { used: storedBytes, limit: limits.storedBytesPerTenant ?? null },
    in_flight_bytes: { used: inFlightBytes, limit: limits.inFlightBytesPerTenant ?? null },
  };
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

async function look({
  redis,
  store,
  pressure,
}: ServerParts & { pressure: Pressure }): Promise<Readiness> {
  const checks: Record<string, string> = {
    redis: await soon(
      redis.ping().then(
        () => 'ok',
        () => NO_ANSWER,
      ),
    ),
    // As documents are refused, so is it not ready.
    disk: hasRoomForNew(store.root, store.reserveBytes) ? 'ok' : 'nearly full',
    load: pressure.overload ?? 'ok',
  };
  if (store.kind === 'objects') {
    checks.store = await soon(
      store.reach().then(
        () => 'ok',
        () => NO_ANSWER,
      ),
    );
  }
  const ready = Object.values(checks).every((check) => check === 'ok');
  // Questions are answered without a browser; only new documents need one.
  checks.browser = findChromium() ? 'ok' : 'none found: no new documents';
  return { ready, checks };
}
