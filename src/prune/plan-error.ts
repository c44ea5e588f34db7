/** What is wrong with a prune plan, where, and what may stand there. */

import { GlyphpressError } from '../errors.js';

export function planError(path: string, value: unknown, allowed: string): GlyphpressError {
  const name = path || 'the prune plan';
  return new GlyphpressError('GP_PRUNE_PLAN', {
    message: `Expected ${name}: ${allowed}; got ${shown(value)}`,
    hint: `Change or remove ${name}.`,
    details: { path, value: shown(value), allowed },
  });
}

/** A value as words: safe for anything that a caller may pass, and short. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' || typeof value === 'function')
    return `an ${typeof value}`.replace('an f', 'a f');
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
