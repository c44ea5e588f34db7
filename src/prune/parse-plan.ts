/** JSON → prune plan, strictly. */

import { GlyphpressError } from '../errors.js';
import { assertDropOrder } from './drop-order.js';
import { planError, shown } from './plan-error.js';
import {
  type ApetDrop,
  type DecoderDrop,
  type DropScope,
  type EncoderDrop,
  hasTextStructure,
  type PrunePlan,
} from './prune-plan.js';

const BLANK_KEYS = ['method', 'repeats'];
const ENCODER_KEYS = [
  'method',
  'keepRatio',
  'scope',
  'minPerPage',
  'blank',
  'repeats',
  'minPerLine',
  'neighbours',
  'pageShare',
];
const APET_KEYS = ['basisTokenCount', 'ridge', 'basis', 'merge', 'basisChoice', 'slotOrder'];
const DECODER_KEYS = ['layer', 'method', 'keepRatio', 'keepCount', 'scope', 'minPerPage'];

/**
 * Read a prune plan, strictly: an unknown key is an error, not a wish.
 *
 * @param json a parsed JSON value, or JSON text
 * @param options.layers decoder layers of the model, to check layer < layers
 * @returns a fresh plan with the keys as given; resolvePlan adds the defaults
 * @throws {GlyphpressError} GP_PRUNE_PLAN with details.path (`decoder[1].keepRatio`), details.value
 *   and details.allowed
 */
export function parsePrunePlan(json: unknown, options: { layers?: number } = {}): PrunePlan {
  const plan = readObject(typeof json === 'string' ? parseText(json) : json, '');
  onlyKeys(plan, '', ['id', 'seed', 'encoder', 'decoder']);
  const decoder = plan.decoder === undefined ? [] : plan.decoder;
  if (!Array.isArray(decoder)) throw planError('decoder', decoder, 'array of drops');
  const read: PrunePlan = {
    ...optional(plan, 'id', '', readString),
    ...optional(plan, 'seed', '', integer(0, 2 ** 32 - 1)),
    ...optional(plan, 'encoder', '', readEncoder),
    decoder: decoder.map((drop, i) => readDecoder(drop, `decoder[${i}]`)),
  };
  assertDropOrder(read.decoder, options.layers);
  return read;
}

function readEncoder(value: unknown, path: string): EncoderDrop {
  const drop = readObject(value, path);
  const method = oneOf('apet', 'random', 'blank', 'norm', 'edges')(drop.method, `${path}.method`);
  const keepOrDrop = oneOf('keep', 'drop');
  const repeats = optional(drop, 'repeats', path, keepOrDrop);
  if (method === 'blank') {
    onlyKeys(drop, path, BLANK_KEYS);
    return { method, ...repeats };
  }
  const common = {
    keepRatio: readRatio(drop.keepRatio, `${path}.keepRatio`),
    ...readScope(drop, path),
    ...optional(drop, 'blank', path, keepOrDrop),
    ...repeats,
    ...optional(drop, 'minPerLine', path, integer(0, 1024)),
    ...optional(drop, 'neighbours', path, integer(0, 64)),
    ...optional(drop, 'pageShare', path, oneOf('rows', 'ink')),
  };
  if (common.pageShare === 'ink' && common.scope !== 'page') {
    throw planError(`${path}.pageShare`, common.pageShare, '"rows" unless scope is "page"');
  }
  if (method !== 'apet') {
    onlyKeys(drop, path, ENCODER_KEYS);
    return { method, ...common };
  }
  onlyKeys(drop, path, [...ENCODER_KEYS, ...APET_KEYS]);
  if (hasTextStructure(common) && drop.merge === 'average') {
    throw planError(
      `${path}.merge`,
      drop.merge,
      '"none" with minPerLine, neighbours or pageShare "ink"',
    );
  }
  if (hasTextStructure(common) && (drop.basis === 'overwrite' || drop.basis === 'blend')) {
    throw planError(
      `${path}.basis`,
      drop.basis,
      '"always-keep" or "rank" with minPerLine, neighbours or pageShare "ink"',
    );
  }
  return {
    method,
    ...common,
    ...readApet(drop, path),
  };
}

function readApet(drop: Json, path: string): ApetDrop {
  return {
    ...optional(drop, 'basisTokenCount', path, integer(1, 1024)),
    ...optional(drop, 'ridge', path, readRidge),
    ...optional(drop, 'basis', path, oneOf('always-keep', 'rank', 'overwrite', 'blend')),
    ...optional(drop, 'merge', path, oneOf('none', 'average')),
    ...optional(drop, 'basisChoice', path, oneOf('farthest-point', 'density-peak', 'random')),
    ...optional(drop, 'slotOrder', path, oneOf('raster', 'error-rank')),
  };
}

function readDecoder(value: unknown, path: string): DecoderDrop {
  const drop = readObject(value, path);
  const method = oneOf('v2drop', 'random', 'apet')(drop.method, `${path}.method`);
  const own = method === 'v2drop' ? ['metric', 'trail'] : method === 'apet' ? APET_KEYS : [];
  onlyKeys(drop, path, [...DECODER_KEYS, ...own]);
  const common = {
    layer: integer(1, Number.MAX_SAFE_INTEGER)(drop.layer, `${path}.layer`),
    method,
    ...readScope(drop, path),
    ...optional(drop, 'metric', path, oneOf('l2', 'l1', 'cosine')),
    ...optional(drop, 'trail', path, integer(0, 64)),
    ...readApet(drop, path),
  };
  if (drop.keepCount === undefined) {
    return { ...common, keepRatio: readRatio(drop.keepRatio, `${path}.keepRatio`) };
  }
  if (drop.keepRatio !== undefined) {
    throw planError(`${path}.keepCount`, drop.keepCount, 'keepRatio or keepCount, not both');
  }
  const keepCount = integer(1, Number.MAX_SAFE_INTEGER)(drop.keepCount, `${path}.keepCount`);
  return { ...common, keepCount };
}

function readScope(drop: Json, path: string): DropScope {
  return {
    ...optional(drop, 'scope', path, oneOf('document', 'page')),
    ...optional(drop, 'minPerPage', path, integer(0, Number.MAX_SAFE_INTEGER)),
  };
}

type Json = Record<string, unknown>;
type Reader<T> = (value: unknown, path: string) => T;

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GlyphpressError('GP_PRUNE_PLAN', {
      message: `Expected a prune plan as JSON, got ${(cause as Error).message}`,
      hint: 'Write, for example, {"decoder":[{"layer":2,"keepRatio":0.5,"method":"v2drop"}]}.',
      details: { path: '', value: shown(text), allowed: 'JSON object' },
      cause,
    });
  }
}

function readObject(value: unknown, path: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw planError(path, value, 'object');
  }
  return value as Json;
}

function onlyKeys(value: Json, path: string, allowed: readonly string[]): void {
  for (const key of Object.keys(value)) {
    if (allowed.includes(key)) continue;
    throw planError(join(path, key), value[key], `one of the keys ${allowed.join(', ')}`);
  }
}

/** The key with its value read, or nothing where the plan leaves it out. */
function optional<K extends string, T>(
  value: Json,
  key: K,
  path: string,
  read: Reader<T>,
): { [P in K]?: T } {
  if (value[key] === undefined) return {};
  return { [key]: read(value[key], join(path, key)) } as { [P in K]?: T };
}

const readString: Reader<string> = (value, path) => {
  if (typeof value !== 'string') throw planError(path, value, 'string');
  return value;
};

const readRatio: Reader<number> = (value, path) => {
  if (typeof value !== 'number' || !(value > 0 && value <= 1)) {
    throw planError(path, value, '0 < keepRatio ≤ 1');
  }
  return value;
};

const readRidge: Reader<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw planError(path, value, 'finite number ≥ 0');
  }
  return value;
};

const integer =
  (low: number, high: number): Reader<number> =>
  (value, path) => {
    if (!Number.isSafeInteger(value) || (value as number) < low || (value as number) > high) {
      const range = high === Number.MAX_SAFE_INTEGER ? `≥ ${low}` : `from ${low} to ${high}`;
      throw planError(path, value, `integer ${range}`);
    }
    return value as number;
  };

const oneOf =
  <T extends string>(...words: T[]): Reader<T> =>
  (value, path) => {
    if (!words.includes(value as T))
      throw planError(path, value, words.map((w) => `"${w}"`).join(' or '));
    return value as T;
  };

const join = (path: string, key: string) => (path ? `${path}.${key}` : key);
