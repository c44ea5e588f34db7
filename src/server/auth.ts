/** Who asks, and whether they may: a key says the tenant, never a header or a body. */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GlyphpressError } from '../errors.js';
import { type ApiKeys, SCOPES, type Scope } from './api-keys.js';
import { FailedLogins } from './failed-logins.js';
import { type RateLimiter, showRate } from './rate-limit.js';

/** What a route asks for: `public` nothing, `any` a valid key, else one of these scopes. */
export type Access = 'public' | 'any' | readonly Scope[];

export interface Caller {
  tenant: string;
  scopes: readonly Scope[];
  keyId: string | null;
  /** Requests a minute; null for as many as it likes. */
  rate: number | null;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
    /** True where a request counts for no rate limit. */
    free?: boolean;
    /** True for pages: a key may come as the password that a browser asks for. */
    browser?: boolean;
  }
  interface FastifyRequest {
    caller: Caller;
  }
}

/** Tenant that owns the documents of a service without API keys. */
const LOCAL_TENANT = 'local';

const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'via'] as const;

const LOCAL_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

export interface GuardParts {
  keys: ApiKeys;
  rates: RateLimiter;
  /** Default limit of requests a minute per key; null for no limit. */
  rate: number | null;
}

/**
 * @param requireKey false only if the service listens on loopback. Then pages of other sites in
 *   a browser here are kept out by their Host and Origin.
 */
export function guard(
  app: FastifyInstance,
  { keys, rates, rate }: GuardParts,
  requireKey: boolean,
): void {
  app.decorateRequest('caller', null as unknown as Caller);
  const failures = new FailedLogins();
  app.addHook('onRequest', async (request, reply) => {
    const { access, free } = request.routeOptions.config;
    if (!requireKey) assertLocal(request);
    // No route: a 404 must not depend on who asks.
    if (access === 'public' || request.is404) return;
    const caller = await identify(request, keys, failures, requireKey);
    request.caller = { ...caller, rate: caller.keyId === null ? null : (caller.rate ?? rate) };
    const { keyId, rate: limit } = request.caller;
    if (keyId !== null && limit !== null && !free) showRate(reply, await rates.count(keyId, limit));
    if (access === 'any') return;
    const { scopes } = request.caller;
    // A route that declares no access is for administrators only.
    const wanted = access ?? [];
    if (scopes.includes('admin') || wanted.some((scope) => scopes.includes(scope))) return;
    throw new GlyphpressError('GP_FORBIDDEN', {
      message: `This key may ${scopes.join(', ') || 'nothing'}; ${wanted.join(' or ') || 'admin'} is needed`,
      hint: 'Use a key with one of those scopes.',
      details: { scopes, needed: wanted },
    });
  });
}

async function identify(
  request: FastifyRequest,
  keys: ApiKeys,
  failures: FailedLogins,
  requireKey: boolean,
): Promise<Caller> {
  const given = keyIn(request);
  // OpenAI's clients always send some key; without the need for one only ours mean anything.
  if (!requireKey && !given?.startsWith('gp_')) {
    return { tenant: LOCAL_TENANT, scopes: SCOPES, keyId: null, rate: null };
  }
  if (given !== undefined) failures.assertMayTry(request.ip, given);
  const key = given === undefined ? null : await keys.verify(given);
  if (key) {
    failures.succeeded(given!);
    const { tenant, scopes, id: keyId, requestsPerMinute: rate } = key;
    return { tenant, scopes, keyId, rate };
  }
  if (given !== undefined) failures.failed(request.ip);
  throw new GlyphpressError('GP_UNAUTHORISED', {
    message: given === undefined ? 'The request has no API key' : 'The API key is not valid',
    hint: 'Send Authorization: Bearer gp_… with a key of this service.',
  });
}

/** A browser sends what it was told once to any page of ours: so only where nothing can be changed. */
function keyIn({ headers, routeOptions }: FastifyRequest): string | undefined {
  const [, scheme = '', given] = /^(Bearer|Basic) +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  if (given === undefined || scheme.toLowerCase() === 'bearer') return given;
  if (!routeOptions.config.browser) return undefined;
  return Buffer.from(given, 'base64').toString('utf8').split(':')[1];
}

function assertLocal({ headers }: FastifyRequest): void {
  const { host = '', origin } = headers;
  // Whatever name a proxy asks under, it brings people from elsewhere.
  if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) {
    throw new GlyphpressError('GP_FORBIDDEN', {
      message: 'A service that asks for no key answers no proxy',
      hint: 'Ask it directly; whoever runs it can let it ask for keys and name the proxy as trusted.',
    });
  }
  const foreignOrigin = origin !== undefined && !isLocalOrigin(origin);
  if (LOCAL_HOST.test(host) && !foreignOrigin) return;
  throw new GlyphpressError('GP_FORBIDDEN', {
    message: foreignOrigin
      ? 'Pages of other sites may not use a service that asks for no key'
      : 'A service that asks for no key answers under localhost only',
    hint: 'Use http://127.0.0.1; a service that asks for keys answers under any name.',
  });
}

function isLocalOrigin(origin: string): boolean {
  return URL.canParse(origin) && LOCAL_HOST.test(new URL(origin).host);
}
