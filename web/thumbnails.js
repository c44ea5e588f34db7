/** All pages in small, loaded as they come into view. One stop of the Tab key: arrows go on from there. */

import { request } from './api.js';
import { $, element } from './dom.js';

const WIDTH_PX = 112;
const AT_ONCE = 4;

let shown = { id: null, items: [], loader: null };

/** Those that are there stay: pages come one by one while they are drawn. */
export function showThumbnails(id, pages, page, { onOpen, places }) {
  const list = $('#thumbnails');
  list.hidden = pages < 2;
  if (shown.id !== id) {
    shown.loader?.stop();
    list.replaceChildren();
    shown = { id, items: [], loader: loaderOf(id, list) };
  }
  const { items, loader } = shown;
  while (items.length < pages) {
    const item = thumbnail(items.length + 1, onOpen);
    items.push(item);
    list.append(item);
    loader.observe(item);
  }
  while (items.length > pages) items.pop().remove();
  const on = (kind, number) => places[kind].some((place) => place.page === number);
  for (const [at, item] of items.entries()) {
    const kinds = ['cited', 'read'].filter((kind) => on(kind, at + 1));
    item.className = kinds.join(' ');
    item.firstElementChild.setAttribute('aria-label', [`Page ${at + 1}`, ...kinds].join(', '));
  }
  markThumbnail(page);
}

function thumbnail(number, onOpen) {
  return element(
    'li',
    { 'data-page': number },
    element(
      'button',
      { type: 'button', tabIndex: -1, on: { click: () => onOpen(number) } },
      element('canvas', { width: WIDTH_PX, height: Math.round(WIDTH_PX * 1.4) }),
      element('span', {}, String(number)),
    ),
  );
}

/** Which page is looked at. */
export function markThumbnail(number) {
  const { items } = shown;
  for (const [at, { firstElementChild: button }] of items.entries()) {
    const current = at + 1 === number;
    button.tabIndex = current ? 0 : -1;
    if (current) button.setAttribute('aria-current', 'page');
    else button.removeAttribute('aria-current');
  }
  const item = items[number - 1];
  if (!item) return;
  const { parentElement: list } = item;
  list.scrollLeft = item.offsetLeft - (list.clientWidth - item.offsetWidth) / 2;
}

/** Draws what is in view, a few at a time; the file itself is not kept. */
function loaderOf(id, root) {
  const waiting = new Set();
  let busy = 0;
  let stopped = false;
  const next = () => {
    while (!stopped && busy < AT_ONCE && waiting.size > 0) {
      const [item] = waiting;
      waiting.delete(item);
      busy += 1;
      void load(id, item).finally(() => {
        busy -= 1;
        next();
      });
    }
  };
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) waiting.delete(target);
        else if (!target.dataset.drawn) waiting.add(target);
      }
      next();
    },
    { root, rootMargin: '0px 200px' },
  );
  return {
    observe: (item) => observer.observe(item),
    stop() {
      stopped = true;
      observer.disconnect();
    },
  };
}

/** A page that is not there yet stays empty: it is asked for again when it comes into view again. */
async function load(id, item) {
  try {
    const response = await request(`/v1/documents/${id}/pages/${item.dataset.page}.png`);
    const small = await createImageBitmap(await response.blob(), {
      resizeWidth: WIDTH_PX,
      resizeQuality: 'medium',
    });
    const canvas = item.querySelector('canvas');
    canvas.width = small.width;
    canvas.height = small.height;
    canvas.getContext('2d').drawImage(small, 0, 0);
    small.close();
    item.dataset.drawn = 'yes';
  } catch {}
}

$('#thumbnails').addEventListener('keydown', (event) => {
  const item = event.target.closest('li');
  const all = [...$('#thumbnails').children];
  const at = all.indexOf(item);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const button = all[to]?.firstElementChild;
  if (!button) return;
  button.focus();
  button.click();
});
