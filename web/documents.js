/** The documents: handed in, found, watched until they are compressed, chosen, cancelled, deleted. */

import { eventsOf, getJson, request } from './api.js';
import { newRow, showRow } from './document-row.js';
import { $, count, plural } from './dom.js';
import { history } from './history.js';
import { confirmed, failure, notice } from './notices.js';

const PAGE = 50;
const SEARCH_PAUSE_MS = 250;
const LOST_PAUSE_MS = 2_000;
/** A browser holds six connections to a service at most: streams must leave some for the rest. */
const MAX_STREAMS = 3;

/** By id: each document as it was last seen. */
const known = new Map();
/** Those of the list, in its order. */
let rows = new Map();
let hooks = { onOpen: () => {}, onChange: () => {}, onGone: () => {} };
let opened = null;
/** Raised with each list that is asked for, so that a late one does not replace its successor. */
let turn = 0;

export const isOver = ({ status }) => ['completed', 'failed', 'cancelled'].includes(status);
/** What is still compressed is waited for. */
export const canBeAsked = ({ status }) => !['failed', 'cancelled'].includes(status);

const chosen = new Set();

/** What is ticked; where nothing is, what is opened. */
export function askedDocuments() {
  const ids = chosen.size > 0 ? [...chosen] : [opened];
  return ids.map((id) => known.get(id)).filter((doc) => doc && canBeAsked(doc));
}

export const isTicked = (id) => chosen.has(id);
export const nameOf = (id) => known.get(id)?.filename ?? id;
export const openedDocument = () => known.get(opened) ?? null;

export function tick(id, on) {
  if (on) chosen.add(id);
  else chosen.delete(id);
  const row = rows.get(id);
  if (row) row.querySelector('.tick').checked = on;
  hooks.onChange();
}

/** The document as the service has it now. */
export async function lookUp(id) {
  const doc = await getJson(`/v1/documents/${id}`);
  take(doc);
  return doc;
}

export async function openList(given) {
  hooks = given;
  watching.abort();
  watching = new AbortController();
  waiting = [];
  watched.clear();
  chosen.clear();
  known.clear();
  opened = null;
  rows = new Map();
  $('#list').replaceChildren();
  await find();
}

async function find() {
  const mine = ++turn;
  const page = await fetchPage();
  if (mine !== turn) return;
  rows = new Map();
  $('#list').replaceChildren();
  await append(page);
}

function fetchPage(after) {
  const query = new URLSearchParams({ limit: PAGE });
  const name = $('#search').value.trim();
  if (name !== '') query.set('name', name);
  if (after) query.set('after', after);
  return getJson(`/v1/documents?${query}`);
}

async function append({ data, has_more: hasMore }) {
  for (const doc of data) {
    rows.set(doc.id, rowOf(doc));
    $('#list').append(rows.get(doc.id));
    take(doc);
  }
  for (const doc of data.toReversed()) if (!isOver(doc)) watch(doc.id);
  $('#more').hidden = !hasMore;
  await showCount();
}

async function more() {
  const mine = turn;
  const button = $('#more');
  button.disabled = true;
  try {
    const last = [...rows.keys()].at(-1);
    const before = rows.size;
    const page = await fetchPage(last);
    if (mine !== turn) return;
    await append(page);
    // The button may be gone: the first of the new ones is where one goes on.
    [...rows.values()][before]?.querySelector('.open').focus();
  } catch (error) {
    // Its last document was deleted elsewhere: from the start again.
    if (error.status === 404) await find();
    else failure(error);
  } finally {
    button.disabled = false;
  }
}

async function showCount() {
  const searching = $('#search').value.trim() !== '';
  const all = searching
    ? null
    : (await getJson('/v1/limits').catch(() => null))?.quota.documents.used;
  const shown = plural(rows.size, 'document');
  $('#count').textContent =
    rows.size === 0 && !searching
      ? ''
      : all > rows.size
        ? `${count(rows.size)} of ${count(all)} documents`
        : `${shown}${$('#more').hidden ? '' : ' and more'}`;
  $('#empty').hidden = rows.size > 0;
  $('#empty').textContent = searching ? 'No document has such a name.' : 'Nothing here yet.';
}

export async function upload(file, { model, render, plan }) {
  const form = new FormData();
  form.set('model', model);
  if (render !== '') form.set('render', render);
  if (plan !== '') form.set('plan', plan);
  form.set('file', file);
  const response = await request('/v1/documents', { method: 'POST', body: form });
  const doc = await response.json();
  // What was searched for need not hold what came just now.
  if ($('#search').value !== '') {
    $('#search').value = '';
    await find();
  }
  if (!rows.has(doc.id)) {
    rows = new Map([[doc.id, rowOf(doc)], ...rows]);
    $('#list').prepend(rows.get(doc.id));
  }
  take(doc);
  if (canBeAsked(doc)) tick(doc.id, true);
  await showCount();
  watch(doc.id);
}

/** Notes and shows how a document is now. */
function take(doc) {
  known.set(doc.id, doc);
  if (!canBeAsked(doc)) chosen.delete(doc.id);
  const row = rows.get(doc.id);
  if (row) showRow(row, doc, { ticked: chosen.has(doc.id), canBeAsked: canBeAsked(doc) });
  if (row) row.querySelector('.open').setAttribute('aria-current', String(doc.id === opened));
  hooks.onChange(doc);
}

function rowOf({ id, filename }) {
  return newRow(filename ?? id, {
    onTick: (on) => tick(id, on),
    onOpen: () => open(id),
    onCancel: () => cancel(id),
    onRemove: () => remove(id),
  });
}

function open(id) {
  opened = id;
  for (const [other, row] of rows)
    row.querySelector('.open').setAttribute('aria-current', String(other === id));
  hooks.onOpen(known.get(id));
  hooks.onChange();
}

async function cancel(id) {
  try {
    take(await (await request(`/v1/documents/${id}/cancel`, { method: 'POST' })).json());
    notice(`${nameOf(id)} is cancelled.`);
    rows.get(id)?.querySelector('.open').focus();
  } catch (error) {
    failure(error, nameOf(id));
  }
}

async function remove(id) {
  const name = nameOf(id);
  const asked = history.about(id).length;
  const also = asked === 0 ? '' : ` and ${plural(asked, 'question')} about it in this browser`;
  const sure = await confirmed({
    title: `Delete “${name}”?`,
    text: `Its text, pages and compressed context go${also}. This cannot be undone.`,
    yes: 'Delete',
  });
  if (!sure) return;
  try {
    await request(`/v1/documents/${id}`, { method: 'DELETE' }).catch((error) => {
      if (error.status !== 404) throw error;
    });
    history.forget(id);
    forget(id);
    notice(`${name} is deleted.`);
  } catch (error) {
    failure(error, name);
  }
}

function forget(id) {
  const order = [...rows.keys()];
  const next = rows.get(order[order.indexOf(id) + 1] ?? order[order.indexOf(id) - 1]);
  const hadFocus = rows.get(id)?.contains(document.activeElement);
  rows.get(id)?.remove();
  rows.delete(id);
  known.delete(id);
  chosen.delete(id);
  if (opened === id) opened = null;
  if (hadFocus || document.activeElement === document.body)
    (next?.querySelector('.open') ?? $('#file')).focus();
  hooks.onGone(id);
  hooks.onChange();
  void showCount();
}

let waiting = [];
const watched = new Set();
let streams = 0;
/** Ends with the list that it belongs to: another key sees other documents. */
let watching = new AbortController();

/** The oldest first: they are compressed first. */
function watch(id) {
  if (watched.has(id)) return;
  watched.add(id);
  waiting.push(id);
  pump();
}

function pump() {
  while (streams < MAX_STREAMS && waiting.length > 0) {
    const id = waiting.shift();
    streams += 1;
    void follow(id).finally(() => {
      streams -= 1;
      watched.delete(id);
      pump();
    });
  }
}

/** Until it is finished; a stream that is lost is taken up where it was. */
async function follow(id) {
  const { signal } = watching;
  for (let last = null; known.has(id) && !signal.aborted; ) {
    try {
      const headers = last === null ? {} : { 'last-event-id': last };
      const response = await request(`/v1/documents/${id}/events`, { headers, signal });
      for await (const event of eventsOf(response)) {
        last = event.id ?? last;
        const doc = known.get(id);
        if (!doc || isOver(doc)) break;
        take(afterEvent(doc, event.type, JSON.parse(event.data)));
      }
      const before = known.get(id);
      if (!before) return;
      const doc = await lookUp(id);
      if (isOver(doc)) return tell(doc);
    } catch (error) {
      if (error.status === 404) return forget(id);
      if (error.status === 401 || signal.aborted) return;
    }
    await new Promise((resolve) => setTimeout(resolve, LOST_PAUSE_MS));
  }
}

function afterEvent(doc, type, { stage, pages_done: pagesDone, share, remaining_seconds: left }) {
  const status = { queued: 'queued', completed: doc.status, failed: doc.status }[type];
  const progress = { ...doc.progress, share: share ?? 0 };
  if (pagesDone !== undefined) progress.pages_done = pagesDone;
  if (stage !== undefined && stage !== doc.stage) progress.pages_done = pagesDone ?? 0;
  return {
    ...doc,
    status: status ?? 'in_progress',
    stage: stage ?? doc.stage,
    progress,
    remaining: left ?? null,
  };
}

function tell(doc) {
  const name = doc.filename ?? doc.id;
  if (doc.status === 'completed') notice(`${name} is compressed.`);
  if (doc.status === 'failed') notice(`${name} could not be compressed.`, 'failed');
}

let pause = null;
$('#search').addEventListener('input', () => {
  clearTimeout(pause);
  pause = setTimeout(() => find().catch(failure), SEARCH_PAUSE_MS);
});
$('#find').addEventListener('submit', (event) => {
  event.preventDefault();
  clearTimeout(pause);
  find().catch(failure);
});
$('#more').addEventListener('click', () => void more());
$('#list').addEventListener('keydown', (event) => {
  const row = event.target.closest('#list > li');
  if (!row || event.ctrlKey || event.altKey || event.metaKey) return;
  const all = [...$('#list').children];
  const at = all.indexOf(row);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) all[to]?.querySelector('.open').focus();
  else if (event.key === 'Delete') row.querySelector('.remove').click();
  else return;
  event.preventDefault();
});
