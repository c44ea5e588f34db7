/**
 * Proxies whose word is taken: only from them are X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host
 * believed. Of a chain of addresses the first from the right that is not one of them is the client, so
 * whatever a client writes to the left of it counts for nothing.
 */

import { BlockList, isIP } from 'node:net';
import { GlyphpressError } from '../errors.js';

/**
 * @param address of a peer, or an entry of X-Forwarded-For
 * @param hop 0 for the peer itself, then 1 for the last entry, …
 */
export type TrustProxy = (address: string, hop: number) => boolean;

const MOST_HOPS = 16;

/**
 * @param text addresses and networks (`10.0.0.0/8,::1`), or a number of proxies. A number trusts whoever
 *   connects, so it is for a port that nothing but the proxy can reach.
 * @throws {GlyphpressError} GP_USAGE
 */
export function parseTrustedProxies(text: string): TrustProxy {
  const entries = text.split(',').map((entry) => entry.trim());
  const [first = ''] = entries;
  if (entries.length === 1 && /^\d+$/.test(first)) return trustHops(Number(first), text);
  const trusted = new BlockList();
  for (const entry of entries) addTo(trusted, entry, text);
  return (address) => {
    const version = isIP(address);
    return version !== 0 && trusted.check(address, version === 6 ? 'ipv6' : 'ipv4');
  };
}

function trustHops(hops: number, text: string): TrustProxy {
  if (hops < 1 || hops > MOST_HOPS) throw unusable(text, text.trim());
  return (_, hop) => hop < hops;
}

function addTo(trusted: BlockList, entry: string, text: string): void {
  const [, address = '', prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  if (version === 0 || Number(prefix ?? bits) > bits) throw unusable(text, entry);
  trusted.addSubnet(address, Number(prefix ?? bits), version === 6 ? 'ipv6' : 'ipv4');
}

function unusable(text: string, entry: string): GlyphpressError {
  return new GlyphpressError('GP_USAGE', {
    message: `--trust-proxy takes addresses, networks, or a number of proxies from 1 to ${MOST_HOPS}; got ${JSON.stringify(entry.slice(0, 80))}`,
    hint: 'For example --trust-proxy 10.0.0.0/8,127.0.0.1 or --trust-proxy 1.',
    details: { value: text.slice(0, 200), entry: entry.slice(0, 80) },
  });
}
