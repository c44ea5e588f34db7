/**
 * The checkpoint's chat template, cut where the document ends and the question begins, so that the
 * document can be prefilled once and asked many times.
 */
import { Template } from '@huggingface/jinja';
import { GlyphpressError } from '../errors.js';
import { noVision } from './families/family.js';
import type { Tokenizer } from './tokenizer.js';

/** Stands for the question while the template is rendered. No template treats these letters specially. */
const SENTINEL = 'GlyphpressQuestionGoesHere';
/** Stands for the question before the images. */
const FIRST_SENTINEL = 'GlyphpressQuestionStandsHereToo';

export class ChatTemplate {
  readonly #template: Template;

  constructor(
    source: string,
    private readonly tokenizer: Tokenizer,
    /** null for a model that reads text only: its templates take a message as one string. */
    private readonly imageTokenId: number | null,
    private readonly specialTokens: Readonly<Record<string, string>>,
    private readonly dir: string,
  ) {
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw this.#broken(`cannot be parsed: ${(cause as Error).message}`, cause);
    }
  }

  /**
   * Ids of the prompt up to the question; each image stands as one image token.
   *
   * @param questionFirst the question, where it stands before the images too
   * @throws {GlyphpressError} GP_CHECKPOINT where the template cannot have it so
   */
  documentPrefix(imageCount: number, questionFirst?: string): number[] {
    if (this.imageTokenId === null && imageCount > 0) throw noVision(this.dir);
    const { before } = this.#render(imageCount, questionFirst !== undefined);
    const { between } = this.#beforeQuestion(imageCount > 0);
    if (!before.endsWith(between))
      throw this.#broken('writes other text before the question when there are no images');
    const document = before.slice(0, before.length - between.length);
    const ids =
      questionFirst === undefined
        ? this.tokenizer.encode(document)
        : this.#encodeFirst(document, questionFirst);
    const found = this.#imageTokens(ids);
    if (found !== imageCount) {
      throw this.#broken(`puts ${found} image tokens before the question for ${imageCount} images`);
    }
    return ids;
  }

  /**
   * Ids of the question and of all that follows until the answer.
   *
   * @param hasImages whether any stand before it, however many; else the document is text, or nothing
   */
  questionSuffix(question: string, hasImages: boolean): number[] {
    const { between, after } = this.#beforeQuestion(hasImages);
    return this.#encodeAround(between, question, after);
  }

  /** The whole prompt as the template writes it, for people to read. */
  renderText(imageCount: number, question: string, questionFirst = false): string {
    const { before, after } = this.#render(imageCount, questionFirst);
    return before.replace(FIRST_SENTINEL, () => question) + question + after;
  }

  /** @param document holds the sentinel in the question's place */
  #encodeFirst(document: string, question: string): number[] {
    const at = document.indexOf(FIRST_SENTINEL);
    const before = document.slice(0, Math.max(0, at));
    if (at < 0 || this.#imageTokens(this.tokenizer.encode(before)) > 0) {
      throw this.#broken(
        'does not let text stand before the images',
        undefined,
        'Ask this model with the question behind the pages alone.',
      );
    }
    return this.#encodeAround(before, question, document.slice(at + FIRST_SENTINEL.length));
  }

  /** The template's text means itself; the question is somebody's words. */
  #encodeAround(before: string, question: string, after: string): number[] {
    if (this.tokenizer.containsAddedToken(question)) {
      return [
        ...this.tokenizer.encode(before),
        ...this.tokenizer.encodeLiteral(question),
        ...this.tokenizer.encode(after),
      ];
    }
    return this.tokenizer.encode(before + question + after);
  }

  #imageTokens(ids: readonly number[]): number {
    return ids.filter((id) => id === this.imageTokenId).length;
  }

  /** What stands between the last image and the question, and what follows the question. */
  #beforeQuestion(hasImages: boolean): { between: string; after: string } {
    const { before, after } = this.#render(hasImages ? 1 : 0);
    // A document that is text stands where the question would, right before it.
    if (!hasImages) return { between: '', after };
    // Cut after an added token: ordinary text on both sides of a cut could merge into one token.
    return {
      between: before.slice(this.tokenizer.lastAddedTokenEnd(before, before.length)),
      after,
    };
  }

  #render(imageCount: number, questionFirst = false): { before: string; after: string } {
    const content =
      this.imageTokenId === null
        ? `${questionFirst ? `${FIRST_SENTINEL}\n` : ''}${SENTINEL}`
        : messageParts(imageCount, questionFirst);
    let text: string;
    try {
      text = this.#template.render({
        messages: [{ role: 'user', content }],
        add_generation_prompt: true,
        ...this.specialTokens,
      });
    } catch (cause) {
      throw this.#broken(`cannot be rendered: ${(cause as Error).message}`, cause);
    }
    const at = text.indexOf(SENTINEL);
    if (at < 0) throw this.#broken('leaves the question out');
    return { before: text.slice(0, at), after: text.slice(at + SENTINEL.length) };
  }

  #broken(
    problem: string,
    cause?: unknown,
    hint = 'Use a checkpoint whose template takes images before the text of a user message.',
  ): GlyphpressError {
    return new GlyphpressError('GP_CHECKPOINT', {
      message: `The chat template of ${this.dir} ${problem}.`,
      hint,
      details: { file: this.dir },
      cause,
    });
  }
}

function messageParts(imageCount: number, questionFirst: boolean) {
  return [
    ...(questionFirst ? [{ type: 'text', text: FIRST_SENTINEL }] : []),
    ...Array.from({ length: imageCount }, () => ({ type: 'image' })),
    { type: 'text', text: SENTINEL },
  ];
}

/** `bos_token` and the like, which templates may print. */
export function specialTokens(config: Record<string, unknown>): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    if (!key.endsWith('_token')) continue;
    const content =
      typeof value === 'object' && value !== null
        ? (value as { content?: unknown }).content
        : value;
    if (typeof content === 'string') tokens[key] = content;
  }
  return tokens;
}
