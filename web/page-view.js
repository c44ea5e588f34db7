/** One page as the model sees it; on it what was cited, what was read, and which cells were dropped. */

import { getJson, request } from './api.js';
import { $, element } from './dom.js';

let address = null;

/**
 * @param stage after how many stages of pruning; null for no cells
 * @param isWanted asked before anything is shown
 * @returns what is on the page now; null where another one is wanted
 */
export async function drawPage({ id, page, name, places, stage }, isWanted) {
  const here = (place) => place.page === page;
  const [cited, read] = [places.cited.filter(here), places.read.filter(here)];
  const [response, spans, cells] = await Promise.all([
    request(`/v1/documents/${id}/pages/${page}.png`),
    read.length > 0 && getJson(`/v1/documents/${id}/spans?page=${page}`),
    stage !== null && getJson(`/v1/documents/${id}/cells?page=${page}`),
  ]);
  const url = URL.createObjectURL(await response.blob());
  const image = element('img', { src: url, alt: `Page ${page} of ${name}` });
  await image.decode();
  if (!isWanted()) {
    URL.revokeObjectURL(url);
    return null;
  }
  if (address) URL.revokeObjectURL(address);
  address = url;
  const veil = cells && cellVeil(cells.pages[0], stage);
  const lines = spans ? read.flatMap((place) => linesOf(place, spans.pages[0].lines)) : [];
  $('#page').replaceChildren(
    image,
    ...(veil ? [veil.canvas] : []),
    ...lines.map((rect) => marker('read', rect, image, 'read as text')),
    ...cited.map((place) => marker('cited', place.rect, image, place.text, place.start)),
  );
  return { cited: cited.length, read: read.length, cells: veil?.counts };
}

/** Brings a place into the middle; where it has no mark, the first that there is. */
export function scrollToMark({ start }) {
  const marks = [...document.querySelectorAll('#page .mark')];
  const mark = marks.find(({ dataset }) => dataset.start === String(start)) ?? marks[0];
  const view = $('#page-view');
  if (!mark) return;
  const at = mark.getBoundingClientRect();
  const around = view.getBoundingClientRect();
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  view.scrollBy({
    top: at.top - around.top - (view.clientHeight - at.height) / 2,
    left: at.left - around.left - (view.clientWidth - at.width) / 2,
    behavior: calm ? 'auto' : 'smooth',
  });
}

const linesOf = ({ start, end }, lines) =>
  lines.filter((line) => line.start < end && line.end > start).map((line) => ({ ...line, start }));

/** In shares of the page, whatever its size on the screen. */
function marker(kind, rect, { naturalWidth, naturalHeight }, title, start = rect.start) {
  const mark = element('div', { className: `mark ${kind}`, title, 'data-start': start });
  mark.style.left = `${(rect.x / naturalWidth) * 100}%`;
  mark.style.top = `${(rect.y / naturalHeight) * 100}%`;
  mark.style.width = `${(rect.width / naturalWidth) * 100}%`;
  mark.style.height = `${(rect.height / naturalHeight) * 100}%`;
  return mark;
}

/** RGBA over a cell that was dropped by an earlier stage, and by this one. */
const GONE = [24, 32, 28, 190];
const GOING = [196, 84, 26, 165];

/** One pixel a cell, drawn as large as the page. */
function cellVeil({ rows, cols, survived }, stage) {
  const canvas = element('canvas', {
    width: cols,
    height: rows,
    className: 'cells',
    role: 'img',
    'aria-label': 'Cells that were dropped',
  });
  const pixels = new ImageData(cols, rows);
  survived.forEach((stages, cell) => {
    if (stages < stage) pixels.data.set(stages === stage - 1 ? GOING : GONE, cell * 4);
  });
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  const kept = survived.filter((stages) => stages >= stage).length;
  return { canvas, counts: { kept, total: survived.length } };
}
