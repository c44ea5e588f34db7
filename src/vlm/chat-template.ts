/**
 * The checkpoint's chat template, cut where the document ends and the question begins, so that the
 * document can be prefilled once and asked many times.
 */
import { Template } from '@huggingface/jinja';
import { GlyphpressError } from '../errors.js';
import type { Tokenizer } from './tokenizer.js';

/** Stands for the question while the template is rendered. No template treats these letters specially. */
const SENTINEL = 'GlyphpressQuestionGoesHere';

export class ChatTemplate {
  readonly #template: Template;

  constructor(
    source: string,
    private readonly tokenizer: Tokenizer,
    private readonly imageTokenId: number,
    private readonly specialTokens: Readonly<Record<string, string>>,
    private readonly dir: string,
  ) {
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw this.#broken(`cannot be parsed: ${(cause as Error).message}`, cause);
    }
  }

  /** Ids of the prompt up to the question; each image stands as one image token. */
  documentPrefix(imageCount: number): number[] {
    const ids = this.tokenizer.encode(this.#render(imageCount).prefix);
    const found = ids.filter((id) => id === this.imageTokenId).length;
    if (found !== imageCount) {
      throw this.#broken(`puts ${found} image tokens before the question for ${imageCount} images`);
    }
    return ids;
  }

  /** Ids of the question and of all that follows until the answer. */
  questionSuffix(question: string): number[] {
    // The part after the last image does not depend on how many there are.
    const { between, after } = this.#render(1);
    if (this.tokenizer.containsAddedToken(question)) {
      return [
        ...this.tokenizer.encode(between),
        ...this.tokenizer.encodeLiteral(question),
        ...this.tokenizer.encode(after),
      ];
    }
    return this.tokenizer.encode(between + question + after);
  }

  /** The whole prompt as the template writes it, for people to read. */
  renderText(imageCount: number, question: string): string {
    const { prefix, between, after } = this.#render(imageCount);
    return prefix + between + question + after;
  }

  #render(imageCount: number): { prefix: string; between: string; after: string } {
    const images = Array.from({ length: imageCount }, () => ({ type: 'image' }));
    const content = [...images, { type: 'text', text: SENTINEL }];
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
    // Cut after an added token: ordinary text on both sides of a cut could merge into one token.
    const cut = this.tokenizer.lastAddedTokenEnd(text, at);
    return {
      prefix: text.slice(0, cut),
      between: text.slice(cut, at),
      after: text.slice(at + SENTINEL.length),
    };
  }

  #broken(problem: string, cause?: unknown): GlyphpressError {
    return new GlyphpressError('GP_CHECKPOINT', {
      message: `The chat template of ${this.dir} ${problem}.`,
      hint: 'Use a checkpoint whose template takes images before the text of a user message.',
      details: { file: this.dir },
      cause,
    });
  }
}
