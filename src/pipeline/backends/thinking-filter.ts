const OPEN = '<think>';
const CLOSE = '</think>';

/**
 * Leaves out what a model thinks before it answers: a `<think>…</think>` block at the very beginning, as
 * DeepSeek-R1, Qwen3 and GLM-4.1V-Thinking write it where the server does not take it out. Later blocks
 * are text like any other.
 */
export class ThinkingFilter {
  #state: 'beginning' | 'thinking' | 'thought' | 'answer' = 'beginning';
  #held = '';

  /** True inside the block. */
  get isThinking(): boolean {
    return this.#state === 'thinking';
  }

  /** @returns what of the text so far belongs to the answer and was not returned before */
  push(text: string): string {
    this.#held += text;
    if (this.#state === 'beginning') this.#readBeginning();
    if (this.#state === 'thinking') this.#readThought();
    // White space between the thought and the answer belongs to neither.
    if (this.#state === 'thought') {
      this.#held = this.#held.trimStart();
      if (this.#held !== '') this.#state = 'answer';
    }
    return this.#state === 'answer' ? this.#take() : '';
  }

  /** @returns what was held back because a block might have begun; a thought without an end is dropped */
  end(): string {
    return this.#state === 'beginning' ? this.#take() : '';
  }

  #readBeginning(): void {
    const start = this.#held.trimStart();
    if (start.startsWith(OPEN)) {
      this.#state = 'thinking';
      this.#held = start.slice(OPEN.length);
    } else if (!OPEN.startsWith(start)) this.#state = 'answer';
  }

  #readThought(): void {
    const end = this.#held.indexOf(CLOSE);
    if (end >= 0) {
      this.#state = 'thought';
      this.#held = this.#held.slice(end + CLOSE.length);
    } else this.#held = this.#held.slice(-(CLOSE.length - 1));
  }

  #take(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }
}
