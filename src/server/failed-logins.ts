/**
 * Keys that are not valid, counted by the address that they come from: after some in a minute that address
 * may not try further ones. A key that was valid lately goes on working, so that one client with an old key
 * does not lock out the others behind the same proxy. Each process counts for itself.
 */

import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { GlyphpressError } from '../errors.js';

export interface FailedLoginLimits {
  /** Failures of one address in a window. */
  failures: number;
  windowMs: number;
  /** How long a key is remembered as valid. */
  knownMs: number;
}

const DEFAULTS: FailedLoginLimits = { failures: 20, windowMs: 60_000, knownMs: 10 * 60_000 };

/** Addresses and keys that are remembered; the oldest go first. */
const MAX_REMEMBERED = 10_000;

export class FailedLogins {
  readonly #limits: FailedLoginLimits;
  readonly #now: () => number;
  readonly #byAddress = new Map<string, { failures: number; until: number }>();
  readonly #known = new Map<string, number>();

  /** @param now for tests */
  constructor(limits: Partial<FailedLoginLimits> = {}, now: () => number = Date.now) {
    this.#limits = { ...DEFAULTS, ...limits };
    this.#now = now;
  }

  /** @throws {GlyphpressError} GP_RATE_LIMITED */
  assertMayTry(address: string, key: string): void {
    const now = this.#now();
    const entry = this.#byAddress.get(networkOf(address));
    if (!entry || entry.until <= now || entry.failures < this.#limits.failures) return;
    if ((this.#known.get(digest(key)) ?? 0) > now) return;
    const retryAfterS = Math.max(1, Math.ceil((entry.until - now) / 1000));
    throw new GlyphpressError('GP_RATE_LIMITED', {
      message: `${entry.failures} invalid keys were sent from this address`,
      hint: `Try again in ${retryAfterS} s, with a valid key.`,
      details: { limit: this.#limits.failures, remaining: 0, resetS: retryAfterS, retryAfterS },
    });
  }

  failed(address: string): void {
    const now = this.#now();
    const network = networkOf(address);
    const entry = this.#byAddress.get(network);
    const isCurrent = entry !== undefined && entry.until > now;
    remember(this.#byAddress, network, {
      failures: (isCurrent ? entry.failures : 0) + 1,
      until: isCurrent ? entry.until : now + this.#limits.windowMs,
    });
  }

  succeeded(key: string): void {
    remember(this.#known, digest(key), this.#now() + this.#limits.knownMs);
  }
}

function remember<T>(map: Map<string, T>, name: string, value: T): void {
  map.delete(name);
  map.set(name, value);
  if (map.size > MAX_REMEMBERED) map.delete(map.keys().next().value!);
}

/** Whoever has one address of IPv6 has the 2⁶⁴ beside it too. */
function networkOf(given: string): string {
  const address = withoutPort(given);
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.toLowerCase().split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(Math.max(0, missing)).fill('0'), ...groups(tail)];
  // An address of IPv4 in the form of IPv6 is one address.
  const mapped = all.find((group) => group.includes('.'));
  if (mapped !== undefined) return mapped;
  return all.slice(0, 4).join(':');
}

/** Some proxies write the port of the client behind its address. */
function withoutPort(address: string): string {
  return (
    /^(\d+(?:\.\d+){3}):\d+$/.exec(address)?.[1] ??
    /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ??
    address
  );
}

const digest = (key: string) => createHash('sha256').update(key).digest('base64');
