import { createHash } from 'node:crypto';
import { GlyphpressError } from '../errors.js';
import { APET_DEFAULTS, type BasisRule, type MergeRule, type SlotOrder } from './apet.js';
import type { BasisChoice } from './apet-basis.js';
import type { RankingScope } from './contract.js';
import { deriveSeed } from './random.js';
import type { Budget } from './retained-count.js';
import type { VariationMetric } from './v2drop.js';

/** What to drop where. An empty plan keeps everything. */
export interface PrunePlan {
  /** A name for people. It does not change {@link planId}. */
  id?: string;
  /** uint32 from which every random choice of the plan derives. @defaultValue 0 */
  seed?: number;
  /** A drop between the vision encoder and the first decoder layer. */
  encoder?: EncoderDrop;
  /** Drops between decoder layers, in ascending layer order. */
  decoder: DecoderDrop[];
}

interface DropScope {
  /** @defaultValue 'document' */
  scope?: RankingScope;
  /** Tokens that every page keeps at least. @defaultValue 0 */
  minPerPage?: number;
}

/**
 * `blank` drops what holds no ink and ranks nothing. The others first drop what `blank` and `repeats`
 * say, then keep a share of the rest.
 */
export type EncoderDrop = BlankDrop | RankedDrop;

export type BlankDrop = { method: 'blank'; keepRatio?: undefined } & Pick<ContentDrops, 'repeats'>;

export type RankedDrop = DropScope &
  ContentDrops &
  TextStructure & {
    /** Share kept, in (0, 1], of the tokens that the page content leaves. */ keepRatio: number;
  } & (({ method: 'apet' } & ApetDrop) | { method: 'random' | 'norm' | 'edges' });

/** Drops that the pixels of the pages decide, before anything is ranked. */
export interface ContentDrops {
  /** Tokens of cells without ink. @defaultValue 'keep' */
  blank?: 'keep' | 'drop';
  /** Tokens of cells that an earlier page showed already. @defaultValue 'keep' */
  repeats?: 'keep' | 'drop';
}

/** What a ranking owes to text. */
export interface TextStructure {
  /** Tokens that every text line keeps at least. @defaultValue 0 */
  minPerLine?: number;
  /** Kept tokens bring along this many to each side in their row of cells. @defaultValue 0 */
  neighbours?: number;
  /** How pages share the budget under scope `page`: by their tokens, or by their ink. @defaultValue 'rows' */
  pageShare?: 'rows' | 'ink';
}

/**
 * What method `apet` takes: behind the encoder, and inside the decoder, where it is the second stage
 * of its paper and works on the hidden states that enter the layer.
 */
interface ApetDrop {
  /** M, 1 to 1024. @defaultValue 10 */
  basisTokenCount?: number;
  /** @defaultValue 1e-5 */
  ridge?: number;
  /** @defaultValue 'always-keep' */
  basis?: BasisRule;
  /** @defaultValue 'none' */
  merge?: MergeRule;
  /** @defaultValue 'farthest-point' */
  basisChoice?: BasisChoice;
  /** Which slot takes which basis value, for `overwrite` and `blend`. @defaultValue 'raster' */
  slotOrder?: SlotOrder;
}

export type DecoderDrop = DropScope &
  Budget & {
    /** The first layer, 0-based, that runs on the kept tokens; at least 1. */
    layer: number;
    method: 'v2drop' | 'random' | 'apet';
    /** How V²Drop measures change. @defaultValue 'l2' */
    metric?: VariationMetric;
  } & ApetDrop;

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
 * @returns a fresh plan with the keys as given; {@link resolvePlan} adds the defaults
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

/** The plan with every default written out. */
export function resolvePlan(plan: PrunePlan): PrunePlan {
  const { encoder, seed = 0 } = plan;
  return {
    ...plan,
    seed,
    ...(encoder && {
      encoder: {
        ...(encoder.method !== 'blank' && SCOPE_DEFAULTS),
        ...(encoder.method === 'apet' && APET_DEFAULTS),
        ...definedOnly(encoder),
      },
    }),
    decoder: plan.decoder.map((drop) => ({
      ...SCOPE_DEFAULTS,
      ...(drop.method === 'apet' && APET_DEFAULTS),
      ...definedOnly(drop),
    })),
  };
}

/**
 * A key that is present but undefined must not hide a default. Defaults of keys that came later are
 * left out, so that the ids of plans from before still hold.
 */
function definedOnly<T extends object>(value: T): T {
  const said = Object.entries(value).filter(
    ([key, member]) => member !== undefined && member !== LATER_DEFAULTS[key],
  );
  return Object.fromEntries(said) as T;
}

const LATER_DEFAULTS: Readonly<Record<string, unknown>> = {
  basisChoice: 'farthest-point',
  slotOrder: 'raster',
  metric: 'l2',
};

const SCOPE_DEFAULTS = { scope: 'document', minPerPage: 0 } as const;

/**
 * A stable id: the first 16 hex digits of SHA-256 over the resolved plan as JSON with sorted keys,
 * without its name. Plans that drop alike by their words have the same id on every machine.
 */
export function planId(plan: PrunePlan): string {
  const { id: _, ...rest } = resolvePlan(plan);
  return createHash('sha256').update(canonicalJson(rest)).digest('hex').slice(0, 16);
}

/**
 * The seed for one drop of a plan, so that its draws do not depend on the other drops.
 *
 * @param layer the layer of a decoder drop; 0 for the encoder drop
 */
export function dropSeed(plan: PrunePlan, layer: number): number {
  return deriveSeed(plan.seed ?? 0, layer);
}

/** The plan in one line for people. */
export function describePlan(plan: PrunePlan): string {
  const { encoder, decoder } = resolvePlan(plan);
  const drops: string[] = [];
  if (encoder) drops.push(...contentText(encoder));
  if (encoder && encoder.method !== 'blank') {
    const name =
      encoder.method === 'apet'
        ? `ApET with ${encoder.basisTokenCount} basis tokens`
        : ENCODER_NAMES[encoder.method];
    const merged =
      encoder.method === 'apet' && encoder.merge === 'average' ? ', dropped ones merged' : '';
    drops.push(
      `${name} keeps ${percent(encoder.keepRatio)} after the encoder${merged}${structureText(encoder)}${scopeText(encoder)}`,
    );
  }
  for (const drop of decoder) {
    const name = DECODER_NAMES[drop.method] + (drop.metric ? ` (${drop.metric})` : '');
    const amount =
      drop.keepCount === undefined
        ? percent(drop.keepRatio)
        : `${drop.keepCount} token${drop.keepCount === 1 ? '' : 's'}`;
    const merged = drop.merge === 'average' ? ', dropped ones merged' : '';
    drops.push(`${name} keeps ${amount} before layer ${drop.layer}${merged}${scopeText(drop)}`);
  }
  return drops.length === 0 ? 'keeps every token' : drops.join('; ');
}

const ENCODER_NAMES = { norm: 'token norm', edges: 'edge density', random: 'random' } as const;

const DECODER_NAMES = { v2drop: 'V²Drop', apet: 'ApET', random: 'random' } as const;

function contentText(encoder: EncoderDrop): string[] {
  const blank = encoder.method === 'blank' || encoder.blank === 'drop';
  return [
    ...(blank ? ['blank cells go after the encoder'] : []),
    ...(encoder.repeats === 'drop' ? ['repetitions of earlier pages go after the encoder'] : []),
  ];
}

function structureText({ minPerLine, neighbours, pageShare }: TextStructure): string {
  const parts = [
    ...(minPerLine ? [`at least ${minPerLine} a text line`] : []),
    ...(neighbours ? [`with ${neighbours} to each side`] : []),
    ...(pageShare === 'ink' ? ['pages share by ink'] : []),
  ];
  return parts.length ? ` (${parts.join(', ')})` : '';
}

function scopeText({ scope, minPerPage }: DropScope): string {
  const parts = [
    ...(scope === 'page' ? ['by page'] : []),
    ...(minPerPage ? [`at least ${minPerPage} a page`] : []),
  ];
  return parts.length ? ` (${parts.join(', ')})` : '';
}

const percent = (ratio: number) => `${Number((ratio * 100).toPrecision(4))} %`;

/**
 * The same drops, drawn at random: the control for any claim about a plan. What the page content
 * decides stays, so that the counts are equal.
 */
export function randomTwin(plan: PrunePlan): PrunePlan {
  const { encoder } = plan;
  return {
    ...(plan.id !== undefined && { id: `${plan.id} (random)` }),
    ...(plan.seed !== undefined && { seed: plan.seed }),
    ...(encoder && {
      encoder:
        encoder.method === 'blank'
          ? encoder
          : {
              method: 'random',
              keepRatio: encoder.keepRatio,
              ...scopeOf(encoder),
              ...(encoder.blank && { blank: encoder.blank }),
              ...(encoder.repeats && { repeats: encoder.repeats }),
            },
    }),
    decoder: plan.decoder.map(randomDrop),
  };
}

function randomDrop(drop: DecoderDrop): DecoderDrop {
  const { layer, keepRatio, keepCount } = drop;
  const budget = keepCount === undefined ? { keepRatio } : { keepCount };
  return { layer, method: 'random', ...budget, ...scopeOf(drop) };
}

function scopeOf({ scope, minPerPage }: DropScope): DropScope {
  return { ...(scope && { scope }), ...(minPerPage !== undefined && { minPerPage }) };
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

/** Whether more than scores decides which tokens stay. */
export function hasTextStructure({ minPerLine, neighbours, pageShare }: TextStructure): boolean {
  return Boolean(minPerLine) || Boolean(neighbours) || pageShare === 'ink';
}

function readDecoder(value: unknown, path: string): DecoderDrop {
  const drop = readObject(value, path);
  const method = oneOf('v2drop', 'random', 'apet')(drop.method, `${path}.method`);
  const own = method === 'v2drop' ? ['metric'] : method === 'apet' ? APET_KEYS : [];
  onlyKeys(drop, path, [...DECODER_KEYS, ...own]);
  const common = {
    layer: integer(1, Number.MAX_SAFE_INTEGER)(drop.layer, `${path}.layer`),
    method,
    ...readScope(drop, path),
    ...optional(drop, 'metric', path, oneOf('l2', 'l1', 'cosine')),
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

/** @throws {GlyphpressError} GP_PRUNE_PLAN for a layer out of order or a drop with nothing to drop */
export function assertDropOrder(decoder: readonly DecoderDrop[], layers?: number): void {
  let atMost = Number.POSITIVE_INFINITY;
  decoder.forEach((drop, i) => {
    const after = i === 0 ? 0 : decoder[i - 1]!.layer;
    const path = `decoder[${i}].layer`;
    if (!Number.isSafeInteger(drop.layer) || drop.layer <= after) {
      throw planError(path, drop.layer, `integer ≥ ${after + 1}, so that layers ascend`);
    }
    if (layers !== undefined && drop.layer >= layers) {
      throw planError(path, drop.layer, `1 ≤ layer < ${layers}, the decoder layers of the model`);
    }
    if (atMost === 1) {
      throw planError(
        `decoder[${i}]`,
        drop,
        'no drop after keepCount 1, which leaves nothing to drop',
      );
    }
    if (drop.keepCount !== undefined) {
      if (drop.keepCount >= atMost) {
        throw planError(
          `decoder[${i}].keepCount`,
          drop.keepCount,
          `integer < ${atMost}, the tokens left`,
        );
      }
      atMost = drop.keepCount;
    }
  });
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

function planError(path: string, value: unknown, allowed: string): GlyphpressError {
  const name = path || 'the prune plan';
  return new GlyphpressError('GP_PRUNE_PLAN', {
    message: `Expected ${name}: ${allowed}; got ${shown(value)}`,
    hint: `Change or remove ${name}.`,
    details: { path, value: shown(value), allowed },
  });
}

/** A value as words: safe for anything that a caller may pass, and short. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' || typeof value === 'function')
    return `an ${typeof value}`.replace('an f', 'a f');
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
}
