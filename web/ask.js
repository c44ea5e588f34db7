/** A question over the chosen documents, its answer as it grows, and the questions before it. */

import { answerOf, showOutcome, showPlace } from './answers.js';
import { eventsOf, postJson } from './api.js';
import { askedDocuments, openedDocument } from './documents.js';
import { $, plural } from './dom.js';
import { history, isAbout } from './history.js';
import { confirmed, failure, notice } from './notices.js';

const ANSWER_TOKENS = 256;
const CITATIONS_KEPT = 5;

let asking = null;
let hooks = { onAsked: () => {}, onAsking: () => {} };

export const isAsking = () => asking !== null;
export const stopAsking = () => asking?.abort();

export function openAnswers(given) {
  hooks = given;
  showHistory();
}

/** Those about the opened document, or all. */
export function showHistory() {
  const opened = openedDocument();
  $('#only').hidden = opened === null;
  $('#only-name').textContent = opened ? `only about ${opened.filename ?? opened.id}` : '';
  const all = history.all();
  const only = opened !== null && $('#only-opened').checked;
  const shown = only ? all.filter(isAbout(opened.id)) : all;
  const growing = $('#answers > [aria-busy="true"]');
  $('#answers').replaceChildren(...(growing ? [growing] : []), ...shown.map(drawn));
  $('#history-bar').hidden = all.length === 0 && !growing;
  $('#clear-history').hidden = shown.length === 0;
  $('#no-history').hidden = shown.length > 0 || growing !== null || all.length === 0;
  $('#no-history').textContent = 'Nothing was asked about this document yet.';
}

const drawn = (entry) =>
  answerOf(entry, {
    onAgain: () => {
      $('#question').value = entry.question;
      $('#question').focus();
    },
    onRemove: () => {
      history.remove(entry.id);
      showHistory();
      $('#question').focus();
    },
  });

export async function ask(question) {
  const documents = askedDocuments();
  const models = new Set(documents.map(({ model }) => model));
  if (models.size > 1)
    return notice(
      `These documents were compressed for different models (${[...models].join(', ')}): ask those of one model together.`,
      'failed',
    );
  asking = new AbortController();
  const keep = history.keeper();
  $('#question').value = '';
  hooks.onAsking();
  const entry = {
    id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`,
    at: Date.now(),
    question,
    model: documents[0].model,
    documents: documents.map(({ id, filename }) => ({ id, name: filename ?? id })),
    answer: '',
    evidence: null,
    usage: null,
  };
  const opened = openedDocument();
  if (opened && !isAbout(opened.id)(entry)) $('#only-opened').checked = false;
  showHistory();
  const article = drawn(entry);
  $('#answers').prepend(article);
  showHistory();
  try {
    await stream(entry, article, asking.signal);
    keep(entry);
  } catch (error) {
    if (error.name === 'AbortError') {
      entry.stopped = true;
      if (entry.answer !== '') keep(entry);
    } else {
      entry.failed = true;
      entry.answer = `${entry.answer}\n${error.message}`.trim();
    }
  } finally {
    asking = null;
    showOutcome(article, entry);
    $('#said').textContent = `Answer: ${entry.answer}`;
    hooks.onAsked(entry);
    hooks.onAsking();
  }
  const { evidence } = entry;
  const [first] = evidence?.found
    ? [...evidence.citations, ...evidence.expanded.filter(({ page }) => page !== null)]
    : [];
  // Beside the answer where there is room for both; nobody is taken away from what they read.
  if (first) await showPlace(first, evidence).catch(failure);
}

async function stream(entry, article, signal) {
  const response = await postJson(
    '/v1/chat/completions',
    {
      model: entry.model,
      max_tokens: ANSWER_TOKENS,
      messages: [{ role: 'user', content: entry.question }],
      stream: true,
      stream_options: { include_usage: true },
      glyphpress: { document_ids: entry.documents.map(({ id }) => id), citations: true },
    },
    signal,
  );
  for await (const { data } of eventsOf(response)) {
    if (data === '[DONE]') break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    entry.answer += chunk.choices[0]?.delta.content ?? '';
    if (chunk.glyphpress) entry.evidence = kept(chunk.glyphpress);
    if (chunk.usage) entry.usage = chunk.usage;
    article.querySelector('.answer').textContent = entry.answer;
  }
  if (!entry.usage) throw new Error('The answer broke off.');
}

/** As much of it as the console shows, so that many answers can be kept. */
function kept({ found, confidence, calibrated, doubtful = false, support, ...places }) {
  const { citations = [], expanded = [], passages } = places;
  return {
    found,
    confidence: found ? confidence : null,
    calibrated,
    doubtful,
    support: support ?? null,
    pagesRead: passages !== 'alone',
    citations: citations
      .slice(0, CITATIONS_KEPT)
      .map((one) => ({ ...one, text: one.text.slice(0, 400) })),
    expanded: expanded.map(({ rect: _, ...place }) => place),
  };
}

$('#only-opened').addEventListener('change', showHistory);
$('#clear-history').addEventListener('click', async () => {
  const opened = openedDocument();
  const only = opened !== null && $('#only-opened').checked;
  const shown = only ? history.about(opened.id) : history.all();
  const sure = await confirmed({
    title: only
      ? `Clear the questions about “${opened.filename ?? opened.id}”?`
      : 'Clear all questions?',
    text: `${plural(shown.length, 'question')} and the answers to them go from this browser. Documents stay.`,
    yes: 'Clear',
  });
  if (!sure) return;
  for (const { id } of shown) history.remove(id);
  showHistory();
});
