/**
 * What a second look is worth: every question is asked of the pages alone, of the pages with passages beside
 * them, and of passages alone, as text, that take as many tokens as pages and passages did together.
 */

import type { Backend } from '../pipeline/backend.js';
import { TextBackend } from '../pipeline/backends/text.js';
import { expandPlaces } from '../pipeline/expanding/expand-places.js';
import type { ExpandSettings } from '../pipeline/expanding/expander.js';
import { ExpandingBackend } from '../pipeline/expanding/expanding-backend.js';
import { ExpansionSource } from '../pipeline/expanding/expansion-source.js';
import { decodeDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { PrunePlan } from '../prune/index.js';
import type { RenderConfig } from '../render/index.js';
import type { VisionLanguageModel } from '../vlm/index.js';
import { type Asker, type OpenedDocument, openForQuestions } from './asker.js';
import { planNatural } from './natural/natural-plan.js';
import { type NaturalText, readNaturalSuite } from './natural/natural-suite.js';
import type { EvalPlan } from './plan.js';
import { type MeasurePage, planSuites, type SuiteSetting } from './suites.js';
import type { EvalDocument, EvalQuestion } from './task.js';

export const EXPANSION_CONDITIONS = ['pages', 'expanded', 'passages'] as const;
export type ExpansionCondition = (typeof EXPANSION_CONDITIONS)[number];

const TASKS = ['lookup', 'hex', 'uuid', 'numbers', 'absent'] as const;
/** Shorter documents of the natural suite are not asked: their pages are few. */
const MIN_NATURAL_TOKENS = 4_000;
const QUESTIONS_PER_DOCUMENT = 5;
const MARK = '#';

/** Each document three times in a row, so that its pages are read once. */
export async function planExpansion(
  setting: SuiteSetting,
  measure: MeasurePage,
  suite: readonly NaturalText[] = readNaturalSuite(),
): Promise<EvalPlan> {
  const { documents } = await planSuites('expansion', TASKS, setting, measure);
  const { config, seed, style } = setting;
  const long = suite.filter(({ textTokens }) => textTokens >= MIN_NATURAL_TOKENS);
  const asked = { config, seed, style, questions: QUESTIONS_PER_DOCUMENT };
  const natural = long.length > 0 ? await planNatural(asked, async () => [], long) : null;
  return {
    suite: 'expansion',
    renderings: { page: config },
    documents: [...documents, ...(natural?.documents ?? [])].flatMap((document) =>
      EXPANSION_CONDITIONS.map((condition) => under(document, condition)),
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
  readonly #expanding: ExpandingBackend;
  #held: Promise<Held> | undefined;

  constructor(
    private readonly model: VisionLanguageModel,
    private readonly backend: Backend,
    private readonly plan: PrunePlan,
    private readonly expand: ExpandSettings,
    planName: string,
  ) {
    this.#expanding = new ExpandingBackend(backend, expand);
    this.key = { ...this.#expanding.key, prunePlan: planName };
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
    const ask =
      condition === 'passages'
        ? await this.#passagesOf(text, held, signal)
        : (question: EvalQuestion) => held[condition].ask(question);
    return {
      ask,
      // The last of the three is done with the document.
      close: async () => {
        if (condition === EXPANSION_CONDITIONS.at(-1)) await this.#letGo();
      },
    };
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
        return { ...reply, report: { ...pages.report, contextTokens: Math.max(1, tokens) } };
      } finally {
        await opened.close();
      }
    };
  }
}

const delegate = ({ modelName, key, concurrency }: Backend) => ({ modelName, key, concurrency });
