/** The second look at whatever is open: finds places for a question, and asks with their text beside it. */

import { GlyphpressError } from '../../errors.js';
import type { Answer, AskOptions, OpenDocument } from '../backend.js';
import type { CompressionReport } from '../report.js';
import { expandPlaces } from './expand-places.js';
import { ExpansionSource } from './expansion-source.js';
import { SourceReader } from './source-reader.js';

/**
 * Who says where to look. `lexical`: the words of the question, BM25 over sentences and lines. `tool`: a
 * model behind a server, which reads lines by itself. `auto`: the tool where there is one, else the words.
 */
export const EXPANSION_METHODS = ['auto', 'lexical', 'tool'] as const;
export type ExpansionMethod = (typeof EXPANSION_METHODS)[number];

/** Text tokens of the passages of one question, where nobody says how many. */
export const DEFAULT_EXPANSION_BUDGET = 300;
export const MAX_EXPANSION_BUDGET = 1_000_000;

export interface ExpandSettings {
  method: ExpansionMethod;
  /** Text tokens of the passages of one question, at most. */
  budget: number;
  /** In the tokenizer of the model that reads them. */
  countTokens: (text: string) => number;
}

/** What is expanded: an open document, as far as it takes. */
export interface Expandable<Reply extends Answer = Answer>
  extends Pick<OpenDocument, 'sources' | 'report'> {
  ask(question: string, options?: AskOptions): Promise<Reply>;
  askWithReader?(question: string, reader: SourceReader, options?: AskOptions): Promise<Reply>;
}

/** One for each open document; its index is made with the first question. */
export class Expander<Reply extends Answer = Answer> {
  #source: Promise<ExpansionSource> | undefined;

  constructor(private readonly opened: Expandable<Reply>) {}

  /** @throws {GlyphpressError} GP_USAGE for a tool, where the model cannot call one */
  async ask(question: string, options: AskOptions, settings: ExpandSettings): Promise<Reply> {
    this.#source ??= ExpansionSource.of(this.opened.sources);
    const source = await this.#source;
    const { method } = settings;
    const byTool = method === 'tool' || (method === 'auto' && this.opened.askWithReader);
    return byTool
      ? this.#askByTool(source, question, options, settings)
      : this.#askWithPlaces(source, question, options, settings);
  }

  async #askWithPlaces(
    source: ExpansionSource,
    question: string,
    options: AskOptions,
    { budget, countTokens }: ExpandSettings,
  ): Promise<Reply> {
    const { passages, text, tokens } = expandPlaces(source.text, source.lexical.find(question), {
      budget,
      countTokens,
      units: source.units,
    });
    const answer = await this.opened.ask(question, { ...options, passages: text });
    const expanded = passages.flatMap((range) => source.placesOf(range));
    return { ...answer, expansion: { method: 'lexical', tokens, expanded } };
  }

  async #askByTool(
    source: ExpansionSource,
    question: string,
    options: AskOptions,
    { budget, countTokens }: ExpandSettings,
  ): Promise<Reply> {
    const { opened } = this;
    if (!opened.askWithReader) {
      throw new GlyphpressError('GP_USAGE', {
        message: 'Only a model behind a server can read lines by itself; this one runs here',
        hint: 'Use --expand lexical (expand: "lexical"), or --backend openai.',
      });
    }
    const reader = new SourceReader(source, budget, countTokens);
    const answer = await opened.askWithReader(question, reader, options);
    const { tokens, ranges } = reader;
    const expanded = ranges.flatMap((range) => source.placesOf(range));
    return { ...answer, expansion: { method: 'tool', tokens, expanded } };
  }
}

/** The report of one answer: the text that was read for it counts as context. */
export function countExpanded(
  report: CompressionReport,
  expandedTokens: number,
): CompressionReport {
  const contextTokens = report.contextTokens + expandedTokens;
  return {
    ...report,
    expandedTokens,
    contextTokens,
    finalTokens: report.finalTokens + expandedTokens,
    pruneRatio: report.visualTokens / contextTokens,
    stackedRatio: report.textTokens / contextTokens,
  };
}
