/**
 * What a second look is worth: every question is asked of the pages alone, of the pages with passages beside
 * them, and of passages alone, as text, that take as many tokens as pages and passages did together. A model
 * that reads passages alone by itself is asked two ways: the last two are one.
 */

import type { Backend } from '../pipeline/backend.js';
import { TextBackend } from '../pipeline/backends/text.js';
import { countExpanded } from '../pipeline/expanding/count-expanded.js';
import { expandPlaces } from '../pipeline/expanding/expand-places.js';
import type { ExpandSettings } from '../pipeline/expanding/expander.js';
import { ExpandingBackend } from '../pipeline/expanding/expanding-backend.js';
import { ExpansionSource } from '../pipeline/expanding/expansion-source.js';
import { decodeDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { PrunePlan } from '../prune/index.js';
import type { RenderConfig } from '../render/index.js';
import type { ModelInfo, VisionLanguageModel } from '../vlm/index.js';
import { type Asker, type OpenedDocument, openForQuestions } from './asker.js';
import { planNatural } from './natural/natural-plan.js';
import { type NaturalText, readNaturalSuite } from './natural/natural-suite.js';
import type { EvalPlan } from './plan.js';
import { type MeasurePage, planSuites, type SuiteSetting } from './suites.js';
import type { EvalDocument, EvalQuestion } from './task.js';

export const EXPANSION_CONDITIONS = ['pages', 'expanded', 'passages'] as const;
export type ExpansionCondition = (typeof EXPANSION_CONDITIONS)[number];

/** The ways that differ for a model. */
export function expansionConditions({
  passages,
}: Pick<ModelInfo, 'passages'>): readonly ExpansionCondition[] {
  return passages === 'alone' ? ['pages', 'passages'] : EXPANSION_CONDITIONS;
}

const TASKS = ['lookup', 'hex', 'uuid', 'numbers', 'absent'] as const;
/** Shorter documents of the natural suite are not asked: their pages are few. */
const MIN_NATURAL_TOKENS = 4_000;
const QUESTIONS_PER_DOCUMENT = 5;
const MARK = '#';

const ONE_WAY =
  'this model reads passages without the pages by itself: pages with passages and passages alone are one way, and asked once';

/** Each document once for each way, in a row, so that its pages are read once. */
export async function planExpansion(
  setting: SuiteSetting & { conditions: readonly ExpansionCondition[] },
  measure: MeasurePage,
  suite: readonly NaturalText[] = readNaturalSuite(),
): Promise<EvalPlan> {
  const { documents } = await planSuites('expansion', TASKS, setting, measure);
  const { config, seed, style, conditions } = setting;
  const long = suite.filter(({ textTokens }) => textTokens >= MIN_NATURAL_TOKENS);
  const asked = { config, seed, style, questions: QUESTIONS_PER_DOCUMENT };
  const natural = long.length > 0 ? await planNatural(asked, async () => [], long) : null;
  return {
    suite: 'expansion',
    renderings: { page: config },
    ...(!conditions.includes('expanded') && { notes: [ONE_WAY] }),
    documents: [...documents, ...(natural?.documents ?? [])].flatMap((document) =>
      conditions.map((condition) => under(document, condition)),
    ),
  };
}

function under(document: EvalDocument, condition: ExpansionCondition): EvalDocument {
  const mark = `${MARK}${condition}`;
  return {
    ...document,
    id: document.id + mark,
    group: `${document.group}, ${condition}`,
    questions: document.questions.map((question) => ({ ...question, id: question.id + mark })),
  };
}

interface Held {
  id: string;
  pages: OpenedDocument & { report: CompressionReport };
  expanded: OpenedDocument;
}

/** Answers a plan of {@link planExpansion} with a model that runs here. */
export class ExpansionAsker implements Asker {
  readonly concurrency = 1;
  readonly key: Record<string, string>;
  readonly conditions: readonly ExpansionCondition[];
  #held: Promise<Held> | undefined;

  constructor(
    private readonly model: VisionLanguageModel,
    private readonly backend: Backend,
    private readonly plan: PrunePlan,
    private readonly expand: ExpandSettings,
    planName: string,
  ) {
    this.conditions = expansionConditions(model.info);
    this.key = { ...new ExpandingBackend(backend, expand).key, prunePlan: planName };
  }

  async open(
    text: string,
    config: RenderConfig,
    signal: AbortSignal | undefined,
    { id }: EvalDocument,
  ): Promise<OpenedDocument> {
    const at = id.lastIndexOf(MARK);
    const condition = id.slice(at + 1) as ExpansionCondition;
    const held = await this.#hold(id.slice(0, at), text, config, signal);
    return {
      ask: await this.#askOf(condition, text, held, signal),
      // The last of them is done with the document.
      close: async () => {
        if (condition === this.conditions.at(-1)) await this.#letGo();
      },
    };
  }

  async #askOf(
    condition: ExpansionCondition,
    text: string,
    held: Held,
    signal: AbortSignal | undefined,
  ): Promise<OpenedDocument['ask']> {
    if (condition === 'pages') return held.pages.ask;
    const isOwnWay = condition === 'expanded' || !this.conditions.includes('expanded');
    return isOwnWay ? held.expanded.ask : this.#passagesOf(text, held, signal);
  }

  async #hold(
    id: string,
    text: string,
    renderConfig: RenderConfig,
    signal: AbortSignal | undefined,
  ): Promise<Held> {
    const known = await this.#held;
    if (known?.id === id) return known;
    await this.#letGo();
    const document = decodeDocument(Buffer.from(text), 'the document');
    const settings = { renderConfig, plan: this.plan };
    const pages = await openForQuestions(this.backend, document, settings, signal);
    const expanded = await openForQuestions(
      new ExpandingBackend(
        { ...delegate(this.backend), open: async () => pages.document },
        this.expand,
      ),
      document,
      settings,
      signal,
    );
    const held = { id, pages, expanded };
    this.#held = Promise.resolve(held);
    return held;
  }

  async #letGo(): Promise<void> {
    const held = await this.#held;
    this.#held = undefined;
    await held?.pages.close();
  }

  /** BM25 alone, with as many tokens of text as the pages and the passages beside them take. */
  async #passagesOf(text: string, { pages }: Held, signal: AbortSignal | undefined) {
    const source = await ExpansionSource.of([{ text: async () => text, pages: async () => [] }]);
    const { countTokens, budget: beside } = this.expand;
    const budget = Math.round(pages.report.contextTokens) + beside;
    const backend = new TextBackend(this.model);
    return async (question: EvalQuestion) => {
      const places = source.lexical.find(question.question);
      const { text: read, tokens } = expandPlaces(source.text, places, {
        budget,
        countTokens,
        units: source.units,
      });
      const document = decodeDocument(Buffer.from(read === '' ? '…' : read), 'the passages');
      const opened = await openForQuestions(backend, document, {} as never, signal);
      try {
        const reply = await opened.ask(question);
        const report = countExpanded(pages.report, {
          tokens: Math.max(1, tokens),
          reading: 'alone',
        });
        return { ...reply, report };
      } finally {
        await opened.close();
      }
    };
  }
}

const delegate = ({ modelName, key, concurrency }: Backend) => ({ modelName, key, concurrency });
