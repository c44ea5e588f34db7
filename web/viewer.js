/** The document that is open: its figures, and its pages one at a time. */

import { getJson } from './api.js';
import { problemOf } from './document-row.js';
import { isOver } from './documents.js';
import { $, element, percent, plural } from './dom.js';
import { showFigures } from './figures.js';
import { failure } from './notices.js';
import { drawPage, scrollToMark } from './page-view.js';
import { markThumbnail, showThumbnails } from './thumbnails.js';

const ZOOMS = [1, 1.25, 1.5, 2, 3, 4, 6];
const NO_PAGES = { cancelled: 'It was cancelled before a page was drawn.' };
const NO_PLACES = { cited: [], read: [], pagesRead: true };

let doc = null;
let page = 1;
let zoom = 1;
/** Where an answer stands and what it read, on all pages of the document. */
let places = NO_PLACES;
let stages = [];
/** Stages of pruning to show; null for the page alone. */
let stage = null;
/** Raised with each page that is asked for, so that a late one does not replace its successor. */
let turn = 0;

const pageCount = () => doc.progress.pages ?? doc.progress.pages_done;

export async function openDocument(given) {
  places = NO_PLACES;
  await show(given, 1);
}

/**
 * @param given the document of the place
 * @param place of the API: page and offsets; where to go
 * @param evidence all places of the answer
 */
export async function openPlace(given, place, evidence) {
  const here = ({ document_id: id, page: on }) => id === given.id && on !== null;
  places = {
    cited: evidence.citations.filter(here),
    read: evidence.expanded.filter(here),
    pagesRead: evidence.pagesRead,
  };
  await show(given, place.page ?? 1);
  scrollToMark(place);
}

/** What is known of it now; drawn anew only where that changes what is seen. */
export function updateDocument(given) {
  if (given.id !== doc?.id) return;
  const grew = pageCount() !== (given.progress.pages ?? given.progress.pages_done);
  const ended = doc.status !== given.status || doc.context?.status !== given.context?.status;
  doc = given;
  showFigures(doc);
  showTools();
  if (ended) void showStages();
  if (grew || ended) {
    showPager();
    showThumbnails(doc.id, pageCount(), page, { onOpen: go, places });
    if ($('#page img') === null && pageCount() > 0) void draw();
  }
}

export function closeDocument(id) {
  if (doc?.id !== id) return;
  doc = null;
  turn += 1;
  $('#opened').hidden = true;
  $('#viewer-empty').hidden = false;
  $('#viewer-title').textContent = 'Pages';
}

async function show(given, number) {
  const other = doc?.id !== given.id;
  doc = given;
  page = number;
  $('#opened').hidden = false;
  $('#viewer-empty').hidden = true;
  $('#viewer-title').textContent = doc.filename ?? doc.id;
  if (other) {
    stage = null;
    $('#page').replaceChildren();
    void showStages();
  }
  showFigures(doc);
  showTools();
  showThumbnails(doc.id, pageCount(), page, { onOpen: go, places });
  await draw();
}

/** Where there will be no pages, there is nothing to turn. */
function showTools() {
  const none = isOver(doc) && pageCount() === 0;
  for (const id of ['#figures-fold', '#toolbar', '#page-keys']) $(id).hidden = none;
}

async function go(number) {
  const last = pageCount();
  page = Math.max(1, Math.min(number, Math.max(1, last)));
  markThumbnail(page);
  await draw();
  $('#page-view').scrollTop = 0;
}

function showPager() {
  const last = pageCount();
  $('#page-number').value = String(page);
  $('#page-number').style.width = `${Math.max(2, String(last).length) + 1.5}ch`;
  $('#page-count').textContent = last ? `of ${last}${doc.progress.pages ? '' : ' so far'}` : '';
  $('#previous').disabled = page <= 1;
  $('#next').disabled = page >= last;
  const at = ZOOMS.indexOf(zoom);
  $('#zoom-out').disabled = at === 0;
  $('#zoom-in').disabled = at === ZOOMS.length - 1;
  $('#zoom-fit').textContent = percent(zoom);
  $('#zoom-fit').setAttribute('aria-label', `${percent(zoom)}: fit to the width`);
  $('#page').style.width = percent(zoom).replace(' ', '');
}

async function draw() {
  const mine = ++turn;
  showPager();
  const { id, filename } = doc;
  if (pageCount() === 0)
    return showNote(
      (doc.error && problemOf(doc.error)) ??
        NO_PAGES[doc.status] ??
        'Pages come as they are drawn.',
    );
  try {
    const drawn = await drawPage(
      { id, page, name: filename ?? id, places, stage },
      () => mine === turn,
    );
    if (drawn) showLegend(drawn);
  } catch (error) {
    if (mine !== turn) return;
    showNote(error.message);
  }
}

function showNote(text) {
  $('#page').replaceChildren(element('p', { className: 'quiet note' }, text));
  $('#legend').replaceChildren();
}

function showLegend({ cited, read, cells }) {
  const key = (className, text) =>
    element('span', {}, element('i', { className: `key ${className}` }), text);
  $('#legend').replaceChildren(
    ...[
      cited > 0 && key('cited', 'cited'),
      read > 0 &&
        key(
          'read',
          places.pagesRead
            ? 'read as text; the rest was glanced at'
            : 'read as text, without the pages',
        ),
      cells && key('gone', 'dropped before'),
      cells && key('going', `dropped ${stageName(stages[stage - 1])}`),
      cells &&
        element(
          'span',
          { className: 'kept' },
          `${cells.kept} of ${plural(cells.total, 'cell')} of this page kept (${percent(cells.kept / cells.total)})`,
        ),
    ].filter(Boolean),
  );
}

const stageName = ({ at, layer }) =>
  at === 'encoder' ? 'after the encoder' : `before layer ${layer}`;

/** What the plan drops where; known once the document is compressed. */
async function showStages() {
  const { id, status, context } = doc;
  stages = [];
  $('#stage-label').hidden = true;
  $('#stage-none').hidden = true;
  if (status !== 'completed') return;
  if (context && context.status !== 'built') {
    $('#stage-none').textContent = 'Which cells are kept is known once its pages were read.';
    $('#stage-none').hidden = false;
    return;
  }
  try {
    const cells = await getJson(`/v1/documents/${id}/cells?page=1`);
    if (doc?.id !== id) return;
    stages = cells.stages;
  } catch (error) {
    if (error.code !== 'GP_DOCUMENT_STATE') failure(error);
    $('#stage-none').textContent = error.message;
    $('#stage-none').hidden = false;
    return;
  }
  $('#stage-label').hidden = stages.length === 0;
  $('#stage-none').hidden = stages.length > 0;
  $('#stage-none').textContent = 'Its plan keeps every cell of the pages.';
  $('#stage').replaceChildren(
    new Option('as drawn', ''),
    ...stages.map(
      (one, at) =>
        new Option(
          `${one.at === 'encoder' ? stageName(one) : `from layer ${one.layer} on`}`,
          String(at + 1),
        ),
    ),
  );
}

function setZoom(to) {
  const view = $('#page-view');
  const middle = (view.scrollTop + view.clientHeight / 2) / Math.max(1, view.scrollHeight);
  const centre = (view.scrollLeft + view.clientWidth / 2) / Math.max(1, view.scrollWidth);
  zoom = to;
  showPager();
  view.scrollTop = middle * view.scrollHeight - view.clientHeight / 2;
  view.scrollLeft = centre * view.scrollWidth - view.clientWidth / 2;
}

const larger = (by) => setZoom(ZOOMS[ZOOMS.indexOf(zoom) + by] ?? zoom);

function jump() {
  const wanted = Number($('#page-number').value);
  if (Number.isInteger(wanted) && wanted >= 1) void go(wanted);
  else showPager();
}

// What scrolls must be reached by the keyboard.
$('#page-view').tabIndex = 0;
$('#previous').addEventListener('click', () => void go(page - 1));
$('#next').addEventListener('click', () => void go(page + 1));
$('#page-number').addEventListener('change', jump);
$('#page-number').addEventListener('focus', ({ target }) => target.select());
$('#zoom-in').addEventListener('click', () => larger(1));
$('#zoom-out').addEventListener('click', () => larger(-1));
$('#zoom-fit').addEventListener('click', () => setZoom(1));
$('#stage').addEventListener('change', ({ target }) => {
  stage = target.value === '' ? null : Number(target.value);
  void draw();
});
$('#page-view').addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const wide = zoom > 1;
  const act = {
    ArrowLeft: !wide && (() => go(page - 1)),
    ArrowRight: !wide && (() => go(page + 1)),
    PageUp: () => go(page - 1),
    PageDown: () => go(page + 1),
    Home: () => go(1),
    End: () => go(pageCount()),
    '+': () => larger(1),
    '=': () => larger(1),
    '-': () => larger(-1),
    0: () => setZoom(1),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  void act();
});
$('#page-view').addEventListener(
  'wheel',
  (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    larger(event.deltaY < 0 ? 1 : -1);
  },
  { passive: false },
);
