/** Why an answer ended, in the words of the OpenAI protocol. */

import type { FinishReason } from '../vlm/index.js';

/** It has no word for a loop: the model ended, if not by itself. */
export function openAiFinishReason(reason: FinishReason): 'stop' | 'length' {
  return reason === 'length' ? 'length' : 'stop';
}
