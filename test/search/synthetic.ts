/** An evaluator without pages: figures follow from the settings by arithmetic, at once and repeatably. */

import { createHash } from 'node:crypto';
import type { EvalDocument } from '../../src/eval/task.js';
import type { Evaluator } from '../../src/search/evaluator.js';
import { type Settings, settingsId } from '../../src/search/settings.js';
import type { SearchTasks } from '../../src/search/tasks.js';
import type { DocumentScore, Glance } from '../../src/search/trial.js';

const TEXT_TOKENS = 1_000;

/** 0 to 1, the same for the same words. */
function noise(...words: unknown[]): number {
  return createHash('sha256').update(words.join(' ')).digest().readUInt32LE(0) / 2 ** 32;
}

/** Small type is dense and misread; serifs are misread a little more. */
export function legibilityOf({ config }: Settings): number {
  const size = Number(config['font-size']) * (Number(config.dpi) / 72);
  const serif = String(config['font-family']).includes('Serif') ? 0.1 : 0;
  return Math.max(0, Math.min(1, (size - 5) / 5 - serif));
}

export class SyntheticEvaluator implements Evaluator {
  readonly layers = 4;
  readonly hasProbe = true;
  readonly key = { backend: 'synthetic' };
  readonly spent = { renderMs: 0, inferenceMs: 0 };
  calls = 0;
  alive = false;

  constructor(
    readonly concurrency = 1,
    readonly fail: (settings: Settings, call: 'glance' | 'score') => void = () => {},
  ) {}

  async glance(settings: Settings): Promise<Glance> {
    await this.#tick();
    this.fail(settings, 'glance');
    const tokens = tokensOf(settings);
    return { pages: 1, ...tokens, characterErrorRate: 1 - legibilityOf(settings) };
  }

  async score(settings: Settings, { id, questions }: EvalDocument): Promise<DocumentScore> {
    await this.#tick();
    this.fail(settings, 'score');
    const keep = settings.plan.decoder.reduce((share, drop) => share * (drop.keepRatio ?? 1), 1);
    const chance = legibilityOf(settings) * (0.4 + 0.6 * keep);
    const name = settingsId(settings);
    const scores = questions.map((question) => (noise(name, question.id) < chance ? 1 : 0));
    return { document: id, scores, ...tokensOf(settings) };
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

function tokensOf({ config, plan, sidecar }: Settings) {
  const size = Number(config['font-size']) * (Number(config.dpi) / 72);
  const visualTokens = Math.max(20, Math.round(5 * size ** 2));
  const keep = plan.decoder.reduce((share, drop) => share * (drop.keepRatio ?? 1), 1);
  const contextTokens = visualTokens * (plan.encoder?.keepRatio ?? 1) * keep + sidecar;
  return { textTokens: TEXT_TOKENS, visualTokens, contextTokens };
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
