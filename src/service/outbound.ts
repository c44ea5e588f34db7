/**
 * Requests to addresses that clients name. Nothing inside the operator's network can be reached by
 * them: names are resolved once, every address is judged, and the connection goes to the judged one.
 */

import { lookup } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { GlyphpressError } from '../errors.js';

export interface OutboundPolicy {
  /** `host` or `host:port` as the operator names them: may be private, and may be http. */
  allow: readonly string[];
}

export interface OutboundReply {
  status: number;
}

const TIMEOUT_MS = 10_000;
/** Nothing of an answer is used but its status. */
const MAX_REPLY_BYTES = 64 * 1024;

/** What is no address of a host on the internet (IANA special-purpose registries). */
const SPECIAL_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
/** Tunnels and documentation; whatever lies outside 2000::/3 is refused without a list. */
const SPECIAL_V6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const special = new BlockList();
for (const [net, bits] of SPECIAL_V4) special.addSubnet(net, bits, 'ipv4');
for (const [net, bits] of SPECIAL_V6) special.addSubnet(net, bits, 'ipv6');
const globalV6 = new BlockList();
globalV6.addSubnet('2000::', 3, 'ipv6');

/** Fails closed: what cannot be read is not public. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !special.check(address, 'ipv4');
    case 6:
      return globalV6.check(address, 'ipv6') && !special.check(address, 'ipv6');
    default:
      return false;
  }
}

/**
 * @returns the address as it will be used
 * @throws {GlyphpressError} GP_WEBHOOK_ADDRESS for what is refused whatever its name resolves to
 */
export function checkAddress(text: string, policy: OutboundPolicy): URL {
  if (!URL.canParse(text)) throw refused('This is no address');
  const url = new URL(text);
  const allowed = isAllowed(url, policy);
  if (url.username !== '' || url.password !== '') throw refused('The address carries a password');
  if (url.protocol !== 'https:' && !(allowed && url.protocol === 'http:'))
    throw refused(`Expected an address that begins with https:, got ${url.protocol}`);
  const host = hostOf(url);
  if (isIP(host) && !allowed && !isPublicAddress(host)) throw refused('The address is not public');
  return url;
}

/**
 * Sends a body. Redirects are not followed.
 *
 * @throws {GlyphpressError} GP_WEBHOOK_ADDRESS, GP_WEBHOOK_DELIVERY when nobody answers in time
 */
export async function post(
  address: string,
  body: string,
  headers: Record<string, string>,
  policy: OutboundPolicy,
  signal: AbortSignal,
): Promise<OutboundReply> {
  const url = checkAddress(address, policy);
  const client = url.protocol === 'https:' ? https : http;
  const within = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) =>
      reject(
        cause instanceof GlyphpressError
          ? cause
          : new GlyphpressError('GP_WEBHOOK_DELIVERY', {
              message: within.aborted
                ? `Nobody answered within ${TIMEOUT_MS} ms`
                : `The connection failed: ${(cause as NodeJS.ErrnoException).code ?? cause.name}`,
              hint: 'It is tried again by itself.',
              cause,
            }),
      );
    const request = client.request(
      url,
      {
        method: 'POST',
        agent: false,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        signal: within,
        ...(!isAllowed(url, policy) && { lookup: publicLookup }),
      },
      (reply) => {
        let bytes = 0;
        const finish = () => resolve({ status: reply.statusCode! });
        reply.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes <= MAX_REPLY_BYTES) return;
          reply.destroy();
          finish();
        });
        reply.on('end', finish);
        reply.on('error', fail);
      },
    );
    request.on('error', fail);
    request.end(body);
  });
}

/** Judges what a name leads to, and lets the connection go there and nowhere else. */
const publicLookup: LookupFunction = (hostname, options, done) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return done(error, []);
    // One private address among public ones is what an attack looks like.
    if (addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address)))
      return done(refused('The name leads to an address that is not public'), []);
    if (options.all) return done(null, addresses);
    return done(null, addresses[0]!.address, addresses[0]!.family);
  });
};

function isAllowed(url: URL, { allow }: OutboundPolicy): boolean {
  return allow.includes(url.hostname) || allow.includes(url.host);
}

const hostOf = ({ hostname }: URL) => hostname.replace(/^\[(.*)\]$/, '$1');

function refused(message: string): GlyphpressError {
  return new GlyphpressError('GP_WEBHOOK_ADDRESS', {
    message,
    hint: 'Give a public https address. Whoever runs the service may allow others: serve --webhook-allow.',
    details: { param: 'url' },
  });
}
