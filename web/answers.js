/** Answers: as they grow, as they ended, and as they are kept. */

import { request } from './api.js';
import { lookUp, nameOf } from './documents.js';
import { $, ago, clip, count, element, percent, seconds, times } from './dom.js';
import { failure } from './notices.js';
import { openPlace } from './viewer.js';

const CITATIONS = 5;
const QUOTE = 160;

/** @param entry as history.js keeps it; one that has no `usage` yet is still growing */
export function answerOf(entry, { onAgain, onRemove }) {
  const article = element(
    'article',
    { 'aria-labelledby': `asked-${entry.id}`, 'data-entry': entry.id },
    element('h4', { className: 'asked', id: `asked-${entry.id}` }, entry.question),
    element(
      'p',
      { className: 'quiet about' },
      entry.documents.map(({ id, name }) => name ?? nameOf(id)).join(', '),
      ' · ',
      element('time', { dateTime: new Date(entry.at).toISOString() }, ago(entry.at)),
    ),
    element('p', { className: 'answer' }, entry.answer),
    element('div', { className: 'evidence' }),
    element('p', { className: 'cost quiet' }),
    element(
      'p',
      { className: 'acts' },
      act('Ask again', onAgain),
      // Only there where the connection is safe.
      navigator.clipboard && act('Copy', () => copy(entry)),
      act('Remove', onRemove),
    ),
  );
  showOutcome(article, entry);
  return article;
}

const act = (text, click) =>
  element('button', { type: 'button', className: 'plain', textContent: text, on: { click } });

async function copy({ answer }) {
  try {
    await navigator.clipboard.writeText(answer);
    $('#said').textContent = 'Copied.';
  } catch (error) {
    failure(error);
  }
}

/** What is known once it ended. */
export function showOutcome(article, { answer, stopped, failed, evidence, usage }) {
  const growing = !usage && !stopped && !failed;
  const text = article.querySelector('.answer');
  text.textContent = answer;
  text.classList.toggle('growing', growing);
  text.classList.toggle('failed', failed === true);
  article.setAttribute('aria-busy', String(growing));
  article.querySelector('.acts').hidden = growing;
  article
    .querySelector('.evidence')
    .replaceChildren(
      ...(evidence ? evidenceOf(evidence) : []),
      ...(stopped ? [badge('stopped')] : []),
    );
  if (usage) article.querySelector('.cost').textContent = costOf(usage);
}

const badge = (text, kind = '') => element('span', { className: `badge ${kind}` }, text);

function evidenceOf(evidence) {
  const { found, citations, expanded } = evidence;
  const cited = citations.slice(0, CITATIONS);
  return [
    verdict(evidence),
    found &&
      cited.length > 0 &&
      placeList(
        'Cited',
        cited.map((place) => citation(place, evidence)),
      ),
    expanded.length > 0 && passages(evidence),
  ].filter(Boolean);
}

/** How sure an answer is; of one that says that there is none, nothing is. */
function verdict({ found, confidence, calibrated, doubtful, support }) {
  if (!found) return element('p', {}, badge('Not in the document', 'absent'));
  const share = confidence === null ? null : percent(confidence);
  const exact = {
    read: 'its exact values stand in what was read',
    elsewhere: 'its exact values stand elsewhere in the document',
    none: 'its exact values stand nowhere in the document',
  }[support];
  if (share === null && !exact) return null;
  return element(
    'p',
    { className: 'verdict' },
    share && badge(calibrated ? `sure to ${share}` : `confidence ${share}, not calibrated`),
    doubtful && badge('hardly supported by the text', 'absent'),
    exact && badge(exact, support === 'none' ? 'absent' : ''),
  );
}

const overlaps = (a, b) => a.document_id === b.document_id && a.start < b.end && b.start < a.end;

function citation(place, evidence) {
  const read = evidence.expanded.some((passage) => overlaps(passage, place));
  return placeButton(place, clip(place.text, QUOTE), evidence, [
    'cited',
    evidence.expanded.length > 0 && (read ? 'read' : evidence.pagesRead ? 'glanced' : 'not read'),
  ]);
}

function placeButton(place, text, evidence, kinds) {
  const where = place.page === null ? 'on no page' : `page ${place.page}`;
  const quote = element('q', {}, text);
  const button = element(
    'button',
    {
      type: 'button',
      className: `place ${kinds[0]}`,
      disabled: place.page === null,
      on: { click: () => void go(place, evidence) },
    },
    quote,
    element(
      'span',
      { className: 'where' },
      ...kinds.filter(Boolean).map((kind) => element('span', { className: `tag ${kind}` }, kind)),
      ` ${nameOf(place.document_id)}, ${where}`,
    ),
  );
  return button;
}

async function go(place, evidence) {
  try {
    await showPlace(place, evidence);
    document.dispatchEvent(new CustomEvent('part', { detail: 'viewer' }));
  } catch (error) {
    failure(error);
  }
}

export async function showPlace(place, evidence) {
  await openPlace(await lookUp(place.document_id), place, evidence);
}

const placeList = (name, buttons) =>
  element(
    'ul',
    { className: 'places', 'aria-label': name },
    ...buttons.map((button) => element('li', {}, button)),
  );

/** Their text is asked for when somebody wants to see it. */
function passages(evidence) {
  const { expanded } = evidence;
  const list = placeList('Read as text', []);
  const details = element(
    'details',
    {},
    element(
      'summary',
      {},
      `Read as text: ${count(expanded.length)} ${expanded.length === 1 ? 'passage' : 'passages'}`,
    ),
    list,
  );
  details.addEventListener(
    'toggle',
    async () => {
      const texts = await Promise.allSettled(expanded.map(textOf));
      list.replaceChildren(
        ...expanded.map((place, at) => {
          const { value = '(no longer there)' } = texts[at];
          return element('li', {}, placeButton(place, clip(value, QUOTE), evidence, ['read']));
        }),
      );
    },
    { once: true },
  );
  return details;
}

async function textOf({ document_id: id, start, end }) {
  return (await request(`/v1/documents/${id}/text?range=${start}-${end}`)).text();
}

function costOf({ prompt_tokens: tokens, glyphpress: cost }) {
  const { text_prompt_tokens: asText, expanded_tokens: expanded } = cost;
  return [
    `${count(tokens)} tokens read${expanded > 0 ? `, ${count(expanded)} of them passages` : ''}`,
    `${count(asText)} as plain text: ${times(asText / tokens)}`,
    `first token after ${seconds(cost.wait_ms + cost.load_ms + cost.first_token_ms)}`,
  ]
    .filter(Boolean)
    .join(' · ');
}
