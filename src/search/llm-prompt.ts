/** The prompt of the proposing language model: the aim, the axes, and what was measured. */

import type { TextMessage } from '../pipeline/backends/chat-request.js';
import { countTextTokens } from '../pipeline/text-tokens.js';
import { type Domain, valuesOf } from './domain.js';
import type { ProposalRequest } from './proposer.js';
import { ranking } from './selection.js';
import type { Space } from './space.js';
import { accuracyOf, ratioOf, type TrialRecord } from './trial.js';

/** Of one round, in tokens of o200k_base: trials are left out, the least telling first, until it fits. */
export const PROMPT_TOKENS = 6_000;
/** What a reply may take. */
export const REPLY_TOKENS = 4_000;

/** The form of a reply. */
export const REPLY_SCHEMA = {
  type: 'object',
  required: ['analysis', 'critique', 'candidates'],
  additionalProperties: false,
  properties: {
    analysis: { type: 'string', description: 'what the results show' },
    critique: { type: 'string', description: 'what the proposals so far got wrong' },
    candidates: {
      type: 'array',
      items: {
        type: 'object',
        required: ['from', 'changes', 'why'],
        additionalProperties: false,
        properties: {
          from: { type: 'array', items: { type: 'integer' }, description: 'trials it is made of' },
          changes: {
            type: 'object',
            additionalProperties: { type: ['string', 'number', 'boolean'] },
            description: 'axis → value, over the first trial of "from"',
          },
          why: { type: 'string' },
        },
      },
    },
  },
};

const RULES = `You tune how text is drawn as page images for a vision-language model, and which visual tokens are dropped.
Each trial is one configuration, measured on the same questions. Two figures count, both larger is better:
accuracy (share of questions answered rightly) and ratio (text tokens divided by the tokens that are left).
We look for the front: no other trial may be better in both. cer is the share of characters that a
transcription of the page gets wrong (1 is unreadable); it is measured before any question is asked, and says
nothing about dropped tokens. A trial without accuracy was given up: unreadable, too sparse, or beaten.

First analyse which axes explain the results; then criticise your earlier proposals; then propose new
configurations: mutations of one trial, or crossovers that take values of a second one. Use only the axes and
values listed. Values of the same meaning as a trial that exists are wasted.
Answer with one JSON object and nothing else:
{"analysis": "…", "critique": "…", "candidates": [{"from": [12, 7], "changes": {"AXIS": VALUE}, "why": "…"}]}`;

/** @param earlier analysis and critique of the round before, if it had any */
export function proposalPrompt(
  request: ProposalRequest,
  questionsInAll: number,
  earlier: string | null,
): TextMessage[] {
  const { space, records, ids, minRatio, generation } = request;
  const order = ranking(records, questionsInAll).map((i) => records[i]!);
  const head = [
    `Round ${generation}. Propose ${ids.length} candidates.`,
    ...(minRatio > 1 ? [`Every trial must reach ratio ${minRatio}.`] : []),
    '',
    'Axes:',
    ...Object.entries(space.axes)
      .filter(([, { domain }]) => valuesOf(domain).length > 1)
      .map(([name, { domain, about }]) => `${name}: ${domainText(domain)} (${about})`),
    ...(earlier ? ['', 'Your notes of the last round:', earlier] : []),
    '',
    'Trials, the best first: id | accuracy of n questions | ratio | cer | values that are not the default',
  ].join('\n');
  const rows: string[] = [];
  let tokens = countTextTokens(RULES) + countTextTokens(head);
  for (const record of order) {
    const row = trialRow(record, space);
    tokens += countTextTokens(row) + 1;
    if (tokens > PROMPT_TOKENS) break;
    rows.push(row);
  }
  return [
    { role: 'system', content: RULES },
    { role: 'user', content: `${head}\n${rows.join('\n')}` },
  ];
}

/** An axis with more values than this is described as a range. */
const LISTED = 12;

function domainText(domain: Domain): string {
  const values = valuesOf(domain);
  if (!domain.ordered || values.length <= LISTED)
    return values.map((value) => JSON.stringify(value)).join(', ');
  return `${values[0]} to ${values.at(-1)}`;
}

function trialRow(record: TrialRecord, space: Space): string {
  const { trial, renderCheck, documents, failure, infeasible } = record;
  const asked = documents.reduce((sum, { scores }) => sum + scores.length, 0);
  const accuracy = accuracyOf(documents);
  const state = failure ? failure.code : infeasible ? 'too sparse' : '-';
  const values = Object.entries(trial.point)
    .filter(([axis, value]) => space.axes[axis] && value !== space.axes[axis]!.defaultValue)
    .map(([axis, value]) => `${axis}=${JSON.stringify(value)}`);
  return [
    `#${trial.id}${trial.name ? ` (${trial.name})` : ''}`,
    accuracy === null ? state : `${accuracy.toFixed(2)} of ${asked}`,
    renderCheck ? ratioOf(record).toFixed(2) : '-',
    renderCheck?.characterErrorRate?.toFixed(3) ?? '-',
    values.join(' '),
  ].join(' | ');
}
