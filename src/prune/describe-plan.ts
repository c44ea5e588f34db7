/** A prune plan in words. */

import {
  type DropScope,
  type EncoderDrop,
  type PrunePlan,
  resolvePlan,
  type TextStructure,
} from './prune-plan.js';

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
    const trail = drop.trail ? `, ranked with the ${drop.trail} cells before` : '';
    drops.push(
      `${name} keeps ${amount} before layer ${drop.layer}${trail}${merged}${scopeText(drop)}`,
    );
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
