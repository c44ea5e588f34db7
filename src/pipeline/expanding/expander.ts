/** The second look at whatever is open: finds places for a question, and asks with their text beside it. */

import { GlyphpressError } from '../../errors.js';
import type { PassageReading } from '../../vlm/index.js';
import type { Answer, AskOptions, OpenDocument } from '../backend.js';
import { supportOf, withSupport } from './answer-support.js';
import { type AttendedPage, attendedPlaces } from './attended-places.js';
import { type Expansion, expandPlaces, type ScoredPlace } from './expand-places.js';
import { ExpansionSource } from './expansion-source.js';
import { blend, MeaningPlaces, type VectorsOfWords } from './meaning-places.js';
import { SourceReader } from './source-reader.js';
import type { TextRange } from './text-units.js';

/**
 * Who says where to look. `attention`: the model itself, by what the question attends to. `lexical`: the words of the question, BM25 over sentences and lines. `semantic`: these, and what words mean to the model. `tool`: a
 * model behind a server, which reads lines by itself. `auto`: the tool where there is one, else the words.
 */
export const EXPANSION_METHODS = ['auto', 'attention', 'lexical', 'semantic', 'tool'] as const;
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
export interface Expandable<Reply extends Answer = Answer> extends Pick<OpenDocument, 'sources'> {
  /** How its model reads passages. @defaultValue behind-pages */
  readonly passageReading?: PassageReading | undefined;
  ask(question: string, options?: AskOptions): Promise<Reply>;
  attend?(question: string): Promise<AttendedPage[] | null>;
  wordVectors?: VectorsOfWords;
  askWithReader?(question: string, reader: SourceReader, options?: AskOptions): Promise<Reply>;
}

interface ReadReply<Reply> {
  answer: Reply;
  read: readonly TextRange[];
  tokens: number;
  by: string;
}

/** The passages of a question; `by` says how they were found. */
interface FoundPassages extends Expansion {
  by: string;
}

/** Nothing but white space has more characters for each token. */
const MAX_CHARACTERS_PER_TOKEN = 64;

/** One for each open document; its index is made with the first question. */
export class Expander<Reply extends Answer = Answer> {
  #source: Promise<ExpansionSource> | undefined;
  #meaning: Promise<MeaningPlaces> | undefined;

  constructor(private readonly opened: Expandable<Reply>) {}

  /** @throws {GlyphpressError} GP_USAGE for a tool, where the model cannot call one */
  async ask(question: string, options: AskOptions, settings: ExpandSettings): Promise<Reply> {
    const source = await this.#open();
    const { method } = settings;
    const byTool = method === 'tool' || (method === 'auto' && this.opened.askWithReader);
    const reply = byTool
      ? await this.#askByTool(source, question, options, settings)
      : await this.#askWith(await this.#passagesFor(source, question, settings), question, options);
    return this.#told(source, question, reply);
  }

  /** As {@link ask}, by passages alone. @returns null where the question has none, before it is asked */
  async askPassages(
    question: string,
    options: AskOptions,
    settings: ExpandSettings,
  ): Promise<Reply | null> {
    const source = await this.#open();
    const found = await this.#passagesFor(source, question, settings);
    if (found.passages.length === 0) return null;
    return this.#told(source, question, await this.#askWith(found, question, options));
  }

  async #open(): Promise<ExpansionSource> {
    this.#source ??= ExpansionSource.ofText(this.opened.sources);
    // A failure is not kept: what could not be read may be back for the next question.
    this.#source.catch(() => {
      this.#source = undefined;
    });
    return this.#source;
  }

  /** The answer with what was read for it. */
  async #told(
    source: ExpansionSource,
    question: string,
    { answer, read, tokens, by }: ReadReply<Reply>,
  ): Promise<Reply> {
    const text = read.map(({ start, end }) => source.text.slice(start, end)).join('\n');
    const support = supportOf(answer.answer, question, text, source.text);
    await source.readPages(false);
    const expanded = read.flatMap((range) => source.placesOf(range));
    const reading = read.length === 0 ? null : (answer.passagesRead ?? 'behind-pages');
    const expansion = { method: by, tokens, expanded, support, reading };
    return { ...withSupport(answer, support), expansion };
  }

  async #askWith(
    { by, passages, text, tokens }: FoundPassages,
    question: string,
    options: AskOptions,
  ): Promise<ReadReply<Reply>> {
    const answer = await this.opened.ask(question, { ...options, passages: text });
    return { answer, read: passages, tokens, by };
  }

  /** A text that fits is read whole by a model that reads nothing beside it: nothing has to be found. */
  async #passagesFor(
    source: ExpansionSource,
    question: string,
    { method, budget, countTokens }: ExpandSettings,
  ): Promise<FoundPassages> {
    if (method !== 'attention' && this.opened.passageReading === 'alone') {
      const whole = wholeText(source.text, budget, countTokens);
      if (whole) return { by: 'whole', ...whole };
    }
    const { by, places } = await this.#placesOf(source, question, method);
    const options = { budget, countTokens, units: source.units };
    return { by, ...expandPlaces(source.text, places, options) };
  }

  async #placesOf(
    source: ExpansionSource,
    question: string,
    method: ExpansionMethod,
  ): Promise<{ by: string; places: ScoredPlace[] }> {
    if (method === 'attention')
      return { by: method, places: await this.#attendedPlaces(source, question) };
    const byWords = source.lexical.find(question);
    if (method !== 'semantic') return { by: 'lexical', places: byWords };
    const meaning = await this.#meaningOf(source);
    return { by: method, places: blend(byWords, await meaning.find(question)) };
  }

  #meaningOf({ text, units }: ExpansionSource): Promise<MeaningPlaces> {
    const { opened } = this;
    if (!opened.wordVectors) {
      throw new GlyphpressError('GP_USAGE', {
        message: 'What words mean to a model behind a server is not told',
        hint: 'Use --expand lexical (expand: "lexical"), or a model that runs here.',
      });
    }
    this.#meaning ??= MeaningPlaces.of(text, units, (words) => opened.wordVectors!(words));
    // A failure is not kept: the model may be back for the next question.
    this.#meaning.catch(() => {
      this.#meaning = undefined;
    });
    return this.#meaning;
  }

  async #attendedPlaces(source: ExpansionSource, question: string): Promise<ScoredPlace[]> {
    const pages = await this.opened.attend?.(question);
    await source.readPages(true);
    if (pages) return attendedPlaces(source, pages);
    throw new GlyphpressError('GP_USAGE', {
      message: this.opened.attend
        ? 'It is not known which heads of this model look where an answer stands'
        : 'What a model behind a server attends to is not told',
      hint: 'Run "glyphpress model attention DIR" once for a model that runs here (and compress what an earlier version compressed anew), or use --expand lexical.',
    });
  }

  async #askByTool(
    source: ExpansionSource,
    question: string,
    options: AskOptions,
    { budget, countTokens }: ExpandSettings,
  ): Promise<ReadReply<Reply>> {
    const { opened } = this;
    if (!opened.askWithReader) {
      throw new GlyphpressError('GP_USAGE', {
        message: 'Only a model behind a server can read lines by itself; this one runs here',
        hint: 'Use --expand lexical (expand: "lexical"), or --backend openai.',
      });
    }
    await source.readPages(true);
    const reader = new SourceReader(source, budget, countTokens);
    const answer = await opened.askWithReader(question, reader, options);
    return { answer, read: reader.ranges, tokens: reader.tokens, by: 'tool' };
  }
}

/** @returns null for a text that takes more tokens */
function wholeText(
  source: string,
  budget: number,
  countTokens: (text: string) => number,
): Expansion | null {
  const text = source.trim();
  if (text === '' || text.length > budget * MAX_CHARACTERS_PER_TOKEN) return null;
  const tokens = countTokens(text);
  if (tokens > budget) return null;
  const start = source.indexOf(text);
  return { passages: [{ start, end: start + text.length, text }], text, tokens };
}
