/** Questions that several tasks share. */

import type { Draft } from '../draft.js';
import type { Fact } from '../facts.js';
import { askValue } from '../questions.js';

/** A sentence with a UUID, a token for each byte. */
export const VALUE_TOKENS = 112;

/**
 * Asks for what the text does not say, though something in it comes near: the same owner with another
 * attribute, or the same attribute of another owner, in turn.
 */
export function askAbsent(draft: Draft, near: Fact, turn: number): void {
  const subject = draft.subject(
    turn % 2 === 0 ? { owner: near.owner } : { attribute: near.attribute },
  );
  draft.ask({
    kind: 'absent',
    question: askValue(subject, draft.setting.style),
    expected: [],
    metric: 'notFound',
    maxNewTokens: VALUE_TOKENS,
  });
}
