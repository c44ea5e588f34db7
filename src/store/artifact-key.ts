/** What something was made from and with, by name: its key. Equal keys, equal artifacts. */

import { sha256Hex } from '../sha256.js';

/** The same key, the same name. */
export function keyName(key: Record<string, string>): string {
  const canonical = JSON.stringify(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1)));
  return sha256Hex(canonical).slice(0, 32);
}

/** The settings in which what is stored differs from what is wanted, by name. */
export function differingParts(
  stored: Record<string, string>,
  wanted: Record<string, string>,
): string[] {
  const parts = new Set([...Object.keys(wanted), ...Object.keys(stored)]);
  return [...parts].filter((part) => stored[part] !== wanted[part]);
}
