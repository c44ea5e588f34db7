/** One page of a document as the model sees it, with the places that an answer was read from. */

import { getJson, request } from './api.js';

const holder = document.querySelector('#page');
const pager = document.querySelector('#pager');

let shown = { id: null, name: '', page: 1, pages: null };
let marks = [];
let address = null;
/** Raised with each page that is asked for, so that a late one does not replace its successor. */
let turn = 0;

document.querySelector('#previous').addEventListener('click', () => go(shown.page - 1));
document.querySelector('#next').addEventListener('click', () => go(shown.page + 1));

export function openDocument({ id, filename, progress }) {
  marks = [];
  shown = { id, name: filename ?? id, page: 1, pages: progress.pages };
  return go(1);
}

/**
 * @param citation of the API: its page, and where on it; `all` are marked that stand on that page. What
 *   has no `text` was read as text beside the pages.
 */
export async function openCitation(citation, all, name) {
  const { document_id: id, page } = citation;
  marks = all.filter((one) => one.document_id === id && one.page === page && one.rect);
  const { progress } = await getJson(`/v1/documents/${id}`);
  shown = { id, name, page, pages: progress.pages };
  await draw();
}

async function go(page) {
  if (page < 1 || (shown.pages !== null && page > shown.pages)) return;
  if (page !== shown.page) marks = [];
  shown = { ...shown, page };
  await draw();
}

async function draw() {
  const mine = ++turn;
  const { id, name, page, pages } = shown;
  pager.hidden = false;
  document.querySelector('#page-number').textContent = `Page ${page}${pages ? ` of ${pages}` : ''}`;
  document.querySelector('#page-document').textContent = name;
  document.querySelector('#previous').disabled = page <= 1;
  document.querySelector('#next').disabled = pages !== null && page >= pages;
  try {
    const response = await request(`/v1/documents/${id}/pages/${page}.png`);
    const image = new Image();
    const url = URL.createObjectURL(await response.blob());
    image.src = url;
    image.alt = `Page ${page} of ${name}`;
    await image.decode();
    if (mine !== turn) return URL.revokeObjectURL(url);
    if (address) URL.revokeObjectURL(address);
    address = url;
    holder.replaceChildren(image, ...marks.map((mark) => marker(mark, image)));
    holder
      .querySelector('.mark:not(.read)')
      ?.scrollIntoView({ block: 'center', behavior: 'smooth' });
  } catch (error) {
    if (mine === turn) holder.replaceChildren(note(error.message));
  }
}

/** In shares of the page, whatever its size on the screen. */
function marker({ rect, text }, { naturalWidth, naturalHeight }) {
  const mark = document.createElement('div');
  mark.className = text === undefined ? 'mark read' : 'mark';
  mark.title = text ?? 'read as text';
  mark.style.left = `${(rect.x / naturalWidth) * 100}%`;
  mark.style.top = `${(rect.y / naturalHeight) * 100}%`;
  mark.style.width = `${(rect.width / naturalWidth) * 100}%`;
  mark.style.height = `${(rect.height / naturalHeight) * 100}%`;
  return mark;
}

function note(text) {
  const paragraph = document.createElement('p');
  paragraph.className = 'quiet';
  paragraph.textContent = text;
  return paragraph;
}
