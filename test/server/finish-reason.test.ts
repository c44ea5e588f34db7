import { expect, it } from 'vitest';
import { openAiFinishReason } from '../../src/server/finish-reason.js';

it.each([
  ['stop', 'stop'],
  ['length', 'length'],
  ['loop', 'stop'],
  ['aborted', 'stop'],
] as const)('an answer that ended with %s ends with %s in the words of OpenAI', (ours, theirs) =>
  expect(openAiFinishReason(ours)).toBe(theirs),
);
