/** What to drop where: the words of a prune plan, its defaults and its id. */

import { sha256Hex } from '../sha256.js';
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

export interface DropScope {
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
export interface ApetDrop {
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
    /**
     * V²Drop: cells before a token, in reading order, whose change counts for it too: what follows a
     * phrase of the question is kept with it. @defaultValue 0
     */
    trail?: number;
  } & ApetDrop;

/** Whether more than scores decides which tokens stay. */
export function hasTextStructure({ minPerLine, neighbours, pageShare }: TextStructure): boolean {
  return Boolean(minPerLine) || Boolean(neighbours) || pageShare === 'ink';
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
  trail: 0,
};

const SCOPE_DEFAULTS = { scope: 'document', minPerPage: 0 } as const;

/**
 * A stable id: the first 16 hex digits of SHA-256 over the resolved plan as JSON with sorted keys,
 * without its name. Plans that drop alike by their words have the same id on every machine.
 */
export function planId(plan: PrunePlan): string {
  const { id: _, ...rest } = resolvePlan(plan);
  return sha256Hex(canonicalJson(rest)).slice(0, 16);
}

/**
 * The seed for one drop of a plan, so that its draws do not depend on the other drops.
 *
 * @param layer the layer of a decoder drop; 0 for the encoder drop
 */
export function dropSeed(plan: PrunePlan, layer: number): number {
  return deriveSeed(plan.seed ?? 0, layer);
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
}
