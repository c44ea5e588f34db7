/** An evaluator without pages: figures follow from the settings by arithmetic, at once and repeatably. */

import { createHash } from 'node:crypto';
import type { EvalDocument } from '../../src/eval/task.js';
import type { Evaluator } from '../../src/search/evaluator.js';
import { type Settings, settingsId } from '../../src/search/settings.js';
import type { SearchTasks } from '../../src/search/tasks.js';
import type { DocumentScore, RenderCheck } from '../../src/search/trial.js';

const TEXT_TOKENS = 1_000;
const CHARACTERS = 4_000;

/** 0 to 1, the same for the same words. */
function noise(...words: unknown[]): number {
  return createHash('sha256').update(words.join(' ')).digest().readUInt32LE(0) / 2 ** 32;
}

/** What settings come to: exactly known, so that a search can be judged without luck. */
export interface Landscape {
  /** Share of characters that the probe reads rightly. */
  legibility(settings: Settings): number;
  /** Chance that a question is answered rightly. */
  accuracy(settings: Settings): number;
  tokens(settings: Settings): Pick<RenderCheck, 'textTokens' | 'visualTokens' | 'contextTokens'>;
}

const within01 = (value: number) => Math.max(0, Math.min(1, value));
const pxOf = ({ config }: Settings, pt: number) => (pt * Number(config.dpi)) / 72;

/** Small type is dense and misread, serifs a little more; every drop is cheap. Half of it is readable. */
export const SMOOTH: Landscape = {
  legibility(settings) {
    const serif = String(settings.config['font-family']).includes('Serif') ? 0.1 : 0;
    return within01((pxOf(settings, Number(settings.config['font-size'])) - 5) / 5 - serif);
  },
  accuracy(settings) {
    return SMOOTH.legibility(settings) * (0.4 + 0.6 * decoderKeep(settings));
  },
  tokens(settings) {
    const { config, plan, sidecar } = settings;
    const visualTokens = Math.max(
      20,
      Math.round(5 * pxOf(settings, Number(config['font-size'])) ** 2),
    );
    const kept = visualTokens * (plan.encoder?.keepRatio ?? 1) * decoderKeep(settings);
    return { textTokens: TEXT_TOKENS, visualTokens, contextTokens: kept + sidecar };
  },
};

const decoderKeep = ({ plan }: Settings) =>
  plan.decoder.reduce((share, drop) => share * (drop.keepRatio ?? 1), 1);

/** Of DejaVu Sans Mono, in em. */
const ADVANCE = 0.602;
const CELL_PX = 28;
const LAYERS = 4;

/** How far so many pixels are from a whole part of a cell, as a share of that part. */
function misfit(px: number, parts: readonly number[]): number {
  return Math.min(...parts.map((part) => Math.abs((px * part) / CELL_PX - 1)));
}

/**
 * Reads one typeface whose characters and lines fit into a cell, which takes type size, resolution,
 * leading and grid lock together; nearly all draws are unreadable. Drops cost the less the later, and
 * count for the layers behind them; what an encoder drop costs depends on its method, and falls off
 * a cliff.
 */
export const NARROW: Landscape = {
  legibility(settings) {
    const { config } = settings;
    const family = String(config['font-family']);
    const typeface = family === 'DejaVu Sans Mono' ? 1 : family === 'DejaVu Sans' ? 0.7 : 0.2;
    const { across, pitch } = gridOf(settings);
    const fit = 1 - 3 * misfit(across, [4, 5, 6]) - 3 * misfit(pitch, [2, 3]);
    const crowded = across < 5 ? 0.85 : 1;
    const dark = config['page-bg-color'] === '#1E1E1E' ? 0.3 : 1;
    return within01(fit) * typeface * crowded * dark * (Number(config.columns ?? 1) > 1 ? 0.9 : 1);
  },
  accuracy(settings) {
    const { config, plan, sidecar } = settings;
    const found = Number(config['line-overlap']) > 0 ? 1 : 0.8;
    const keep = plan.encoder?.keepRatio ?? 1;
    const cliff = plan.encoder?.method === 'apet' ? 0.55 : 0.75;
    const encoder = keep >= cliff ? 1 : within01(1 - 4 * (cliff - keep));
    const decoder = plan.decoder.reduce(
      (share, { layer, keepRatio = 1 }) => share * (1 - (1 - keepRatio) * (1 - layer / LAYERS)),
      1,
    );
    const read = NARROW.legibility(settings) ** 2 * found * encoder * decoder;
    return read + (sidecar > 0 ? 0.1 * (1 - read) : 0);
  },
  tokens(settings) {
    const { config, plan, sidecar } = settings;
    const { across, pitch } = gridOf(settings);
    const perCell = (CELL_PX / across) * (CELL_PX / pitch);
    const spare =
      (1 + (Number(config['margin-x']) + Number(config['margin-y'])) / 150) *
      (1 + Number(config['line-overlap']) / 500) *
      (config.reflow ? 0.75 : 1);
    const visualTokens = Math.max(20, Math.round(((CHARACTERS * 1.3) / perCell) * spare));
    const blank = plan.encoder?.method === 'blank' || plan.encoder?.blank === 'drop' ? 0.85 : 1;
    const embedded = visualTokens * Math.min(blank, plan.encoder?.keepRatio ?? 1);
    let left = 1;
    let layers = 0;
    for (let layer = 0; layer < LAYERS; layer++) {
      for (const drop of plan.decoder) if (drop.layer === layer) left *= drop.keepRatio ?? 1;
      layers += left / LAYERS;
    }
    return { textTokens: TEXT_TOKENS, visualTokens, contextTokens: embedded * layers + sidecar };
  },
};

/** Pixels of a character and of a line. */
function gridOf(settings: Settings): { across: number; pitch: number } {
  const { config } = settings;
  const scale = Number(config['horizontal-scale'] ?? 1);
  const across = pxOf(settings, Number(config['font-size'])) * ADVANCE * scale;
  const pitch = pxOf(settings, Number(config['line-height']));
  const lines = Math.max(1, Math.round(CELL_PX / pitch));
  return { across, pitch: config['grid-lock'] ? CELL_PX / lines : pitch };
}

export class SyntheticEvaluator implements Evaluator {
  readonly layers = LAYERS;
  readonly hasProbe = true;
  readonly key = { backend: 'synthetic' };
  readonly spent = { renderMs: 0, inferenceMs: 0 };
  calls = 0;
  alive = false;

  constructor(
    readonly concurrency = 1,
    readonly fail: (settings: Settings, call: 'glance' | 'score') => void = () => {},
    readonly landscape: Landscape = SMOOTH,
  ) {}

  async checkRendering(settings: Settings): Promise<RenderCheck> {
    await this.#tick();
    this.fail(settings, 'glance');
    const { legibility, tokens } = this.landscape;
    return { pages: 1, ...tokens(settings), characterErrorRate: 1 - legibility(settings) };
  }

  async score(settings: Settings, { id, questions }: EvalDocument): Promise<DocumentScore> {
    await this.#tick();
    this.fail(settings, 'score');
    const chance = this.landscape.accuracy(settings);
    const name = settingsId(settings);
    const scores = questions.map((question) => (noise(name, question.id) < chance ? 1 : 0));
    return { document: id, scores, ...this.landscape.tokens(settings) };
  }

  async isAlive(): Promise<boolean> {
    return this.alive;
  }

  async firstPage(): Promise<never> {
    throw new Error('there are no pages');
  }

  /** Side by side, later calls may end first. */
  async #tick(): Promise<void> {
    this.calls++;
    if (this.concurrency === 1) return;
    await new Promise((resolve) => setTimeout(resolve, (this.calls * 7) % 5));
  }
}

export function syntheticTasks(texts = 2, questions = 6): SearchTasks {
  const part = (name: string, count: number): EvalDocument[] =>
    Array.from({ length: count }, (_, i) => ({
      id: `${name}/${i}`,
      text: `${name} ${i}`,
      group: 'lookup',
      rendering: 'page',
      pages: 1,
      questions: Array.from({ length: questions }, (_, n) => ({
        id: `${name}/${i}/${n}`,
        kind: 'lookup',
        question: '?',
        expected: ['x'],
        metric: 'value' as const,
        maxNewTokens: 8,
      })),
    }));
  return {
    name: 'synthetic',
    train: part('train', texts),
    validation: part('validation', texts),
    heldOut: part('heldOut', 2 * texts),
  };
}
