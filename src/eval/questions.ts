/** How questions are put. */

import { type Subject, subjectText } from './facts.js';

/**
 * `bare`: the question alone, as the reader that ships with glyphpress was trained.
 * `full`: with the form of the answer and the way out said, for models that follow instructions.
 */
export const PROMPT_STYLES = ['bare', 'full'] as const;
export type PromptStyle = (typeof PROMPT_STYLES)[number];

const WAY_OUT = 'If the text does not say, answer "not found".';

export function askValue(subject: Subject, style: PromptStyle): string {
  const question = `What is the ${subjectText(subject)}?`;
  return style === 'bare' ? question : `${question} Answer with the value only. ${WAY_OUT}`;
}

export function askSeveral(subjects: readonly Subject[], style: PromptStyle): string {
  const list = subjects.map((subject) => `the ${subjectText(subject)}`);
  const question = `What are ${list.slice(0, -1).join(', ')} and ${list.at(-1)}?`;
  return style === 'bare'
    ? question
    : `${question} Answer with the values only, separated by commas. ${WAY_OUT}`;
}

export function askAllValues({ attribute, owner }: Subject, style: PromptStyle): string {
  const question = `What are all the ${attribute}s of ${owner}?`;
  return style === 'bare'
    ? question
    : `${question} Answer with the values only, separated by commas. ${WAY_OUT}`;
}

export function askContinuation(quotation: string): string {
  return `Continue: "${quotation}"`;
}

export function askTranscription(): string {
  return 'Transcribe all the text of the page, word for word. Answer with the text only.';
}
