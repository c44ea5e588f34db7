/** The list of documents: handed in, watched until they are compressed, ticked, deleted. */

import { eventsOf, getJson, request } from './api.js';

const list = document.querySelector('#list');
const template = document.querySelector('#document-template');
const empty = document.querySelector('#empty');

/** By id: the document as it was last seen, and its line in the list. */
const known = new Map();
let hooks = { onOpen: () => {}, onTicked: () => {} };

const TERMINAL = new Set(['completed', 'failed', 'cancelled']);
const LOST_PAUSE_MS = 2_000;

export const ticked = () =>
  [...known.values()]
    .filter(({ line }) => line.querySelector('.tick').checked)
    .map(({ doc }) => doc);

export const nameOf = (id) => known.get(id)?.doc.filename ?? id;

export async function openList(given) {
  hooks = given;
  const { data } = await getJson('/v1/documents?limit=50');
  for (const doc of data.toReversed()) show(doc);
  for (const doc of data) if (!TERMINAL.has(doc.status)) void watch(doc.id);
}

export async function upload(file, { model, render, plan }) {
  const form = new FormData();
  form.set('model', model);
  if (render !== '') form.set('render', render);
  if (plan !== '') form.set('plan', plan);
  form.set('file', file);
  const response = await request('/v1/documents', { method: 'POST', body: form });
  const doc = await response.json();
  show(doc);
  known.get(doc.id).line.querySelector('.tick').checked = true;
  hooks.onTicked();
  void watch(doc.id);
}

function show(doc) {
  const line = known.get(doc.id)?.line ?? newLine(doc);
  known.set(doc.id, { doc, line });
  empty.hidden = true;
  const { pages_done: pagesDone, pages, share } = doc.progress;
  const working = !TERMINAL.has(doc.status);
  line.querySelector('.name').textContent = doc.filename ?? doc.id;
  line.querySelector('.state').textContent = working
    ? [doc.status === 'queued' ? 'queued' : doc.stage, pagesDone > 0 && `${pagesDone} pages`]
        .filter(Boolean)
        .join(', ')
    : `${doc.status}${pages ? `, ${pages} page${pages === 1 ? '' : 's'}` : ''}`;
  const progress = line.querySelector('progress');
  progress.hidden = !working;
  if (doc.status === 'in_progress') progress.value = share;
  else progress.removeAttribute('value');
  const problem = line.querySelector('.problem');
  problem.hidden = !doc.error;
  problem.textContent = doc.error
    ? `${doc.error.message.replace(/\.$/, '')}. ${doc.error.hint}`
    : '';
  hooks.onTicked();
}

function newLine({ id, filename }) {
  const line = template.content.firstElementChild.cloneNode(true);
  const tick = line.querySelector('.tick');
  tick.setAttribute('aria-label', `Ask ${filename ?? id}`);
  tick.addEventListener('change', () => hooks.onTicked());
  line.querySelector('.open').addEventListener('click', () => open(id));
  line.querySelector('.remove').addEventListener('click', () => remove(id));
  list.prepend(line);
  return line;
}

function open(id) {
  for (const [other, { line }] of known)
    line.querySelector('.open').setAttribute('aria-current', String(other === id));
  hooks.onOpen(known.get(id).doc);
}

async function remove(id) {
  await request(`/v1/documents/${id}`, { method: 'DELETE' }).catch((error) => {
    if (error.status !== 404) throw error;
  });
  forget(id);
}

function forget(id) {
  known.get(id)?.line.remove();
  known.delete(id);
  empty.hidden = known.size > 0;
  hooks.onTicked();
}

/** Until it is finished; a stream that is lost is taken up where it was. */
async function watch(id) {
  for (let last = null; known.has(id); ) {
    try {
      const headers = last === null ? {} : { 'last-event-id': last };
      const response = await request(`/v1/documents/${id}/events`, { headers });
      for await (const event of eventsOf(response)) {
        last = event.id ?? last;
        const data = JSON.parse(event.data);
        const { doc } = known.get(id) ?? {};
        if (!doc) return;
        show({
          ...doc,
          status: TERMINAL.has(event.type)
            ? event.type
            : event.type === 'queued'
              ? 'queued'
              : 'in_progress',
          stage: data.stage ?? doc.stage,
          progress: {
            ...doc.progress,
            ...(data.pages_done !== undefined && { pages_done: data.pages_done }),
            share: data.share ?? 0,
          },
        });
      }
      const doc = await getJson(`/v1/documents/${id}`);
      show(doc);
      if (TERMINAL.has(doc.status)) return;
    } catch (error) {
      if (error.status === 404) return forget(id);
    }
    await new Promise((resolve) => setTimeout(resolve, LOST_PAUSE_MS));
  }
}
