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
    const { before } = this.#render(imageCount);
    const { between } = this.#afterImages();
    if (!before.endsWith(between))
      throw this.#broken('writes other text before the question when there are no images');
    const ids = this.tokenizer.encode(before.slice(0, before.length - between.length));
    const found = ids.filter((id) => id === this.imageTokenId).length;
    if (found !== imageCount) {
      throw this.#broken(`puts ${found} image tokens before the question for ${imageCount} images`);
    }
    return ids;
  }

  /** Ids of the question and of all that follows until the answer, however many images there are. */
  questionSuffix(question: string): number[] {
    const { between, after } = this.#afterImages();
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
    const { before, after } = this.#render(imageCount);
    return before + question + after;
  }

  /** What stands between the last image and the question, and what follows the question. */
  #afterImages(): { between: string; after: string } {
    const { before, after } = this.#render(1);
    // Cut after an added token: ordinary text on both sides of a cut could merge into one token.
    return {
      between: before.slice(this.tokenizer.lastAddedTokenEnd(before, before.length)),
      after,
    };
  }

  #render(imageCount: number): { before: string; after: string } {
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
    return { before: text.slice(0, at), after: text.slice(at + SENTINEL.length) };
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
