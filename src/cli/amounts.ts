/** Amounts with a unit, as people write them and as they are shown: bytes and spans of time. */

import { InvalidArgumentError } from 'commander';

const BYTES: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

const MS: Record<string, number> = {
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** @returns bytes; null for what is no size. A number alone counts bytes. */
export const parseBytes = (text: string): number | null => parse(text, BYTES, 'b');

/** @returns milliseconds; null for what is no span. A number alone counts days. */
export const parseSpan = (text: string): number | null => parse(text, MS, 'd');

export function bytesOption(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== null) return bytes;
  throw new InvalidArgumentError('Expected a size, for example 500MB, 5GB or 2GiB.');
}

export function spanOption(text: string): number {
  const ms = parseSpan(text);
  if (ms !== null) return ms;
  throw new InvalidArgumentError('Expected a span of time, for example 12h, 30d or 8w.');
}

export function bytesText(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** The largest unit that fits, one figure behind the point at most. */
export function spanText(ms: number): string {
  const [name, unit] = Object.entries(MS)
    .filter(([name]) => name !== 'w')
    .reduce((best, next) => (ms >= next[1] ? next : best));
  return `${Number((ms / unit).toFixed(ms < 10 * unit ? 1 : 0))} ${name}`;
}

function parse(text: string, units: Record<string, number>, bare: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = match && units[(match[2] || bare).toLowerCase()];
  const amount = factor ? Number(match[1]) * factor : Number.NaN;
  return Number.isSafeInteger(Math.round(amount)) ? Math.round(amount) : null;
}
