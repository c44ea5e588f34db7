/** Transcription: the text of the page, character by character. */

import { Draft, type DraftSetting } from '../draft.js';
import { collapseSpaces } from '../metrics/character-error.js';
import { askContinuation, askTranscription } from '../questions.js';
import type { EvalDocument } from '../task.js';

/** Characters quoted from the text; what follows is asked for. */
const QUOTED = 16;
const CONTINUED = 40;
/** Draws of a quotation that stands in the text once only. */
const ATTEMPTS = 100;

/**
 * `full` style: the whole text in one answer. `bare` style: passages, as the reader was trained: a few
 * characters are quoted at each depth and the answer repeats them and goes on, so that every passage is
 * a fresh start and one loop does not spoil a page.
 */
export function makeTranscription(
  setting: DraftSetting,
  passagesPerDepth: number,
  kind = 'transcribe',
): EvalDocument {
  const draft = new Draft(setting);
  if (setting.style === 'full') {
    const { text } = draft;
    draft.ask({
      kind,
      question: askTranscription(),
      expected: [text],
      metric: 'characterErrorRate',
      maxNewTokens: text.length + 16,
    });
    return draft.finish();
  }
  const text = collapseSpaces(draft.text);
  for (const depth of setting.depths) {
    for (let i = 0; i < passagesPerDepth; i++) askPassage(draft, text, depth, kind);
  }
  return draft.finish();
}

/** @param text of the draft, spaces collapsed */
export function askPassage(draft: Draft, text: string, depth: number, kind: string): void {
  const passage = QUOTED + CONTINUED;
  const last = text.length - passage;
  const spread = Math.max(1, Math.floor(last / draft.setting.depths.length));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const around = depth * last + draft.random.below(spread) - spread / 2;
    const start = Math.max(0, Math.min(last, Math.round(around)));
    const quotation = text.slice(start, start + QUOTED);
    // A quotation mark or a space at its edge would leave open where it ends.
    if (/^ | $|"/.test(quotation) || text.indexOf(quotation, text.indexOf(quotation) + 1) >= 0)
      continue;
    draft.ask({
      kind,
      question: askContinuation(quotation),
      expected: [text.slice(start + QUOTED, start + passage), quotation],
      metric: 'continuation',
      depth,
      maxNewTokens: passage,
    });
    return;
  }
}
