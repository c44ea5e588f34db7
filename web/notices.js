/** Short messages that go by themselves, and a question before something is lost. */

import { $, element } from './dom.js';

const STAYS_MS = { said: 6_000, failed: 15_000 };
const MOST = 4;

/** While somebody reads or points at it, it stays. */
export function notice(text, kind = 'said') {
  const list = $('#notice-list');
  // The same once more would push others out.
  for (const other of list.children) if (other.dataset.text === text) other.remove();
  let timer = null;
  const wait = () => {
    timer = setTimeout(() => shown.remove(), STAYS_MS[kind]);
  };
  const hold = () => clearTimeout(timer);
  const shown = element(
    'div',
    {
      className: `notice ${kind}`,
      'data-text': text,
      on: {
        pointerenter: hold,
        focusin: hold,
        pointerleave: wait,
        focusout: wait,
        keydown: ({ key }) => key === 'Escape' && shown.remove(),
      },
    },
    element('p', {}, text),
    element('button', {
      type: 'button',
      className: 'plain',
      textContent: '×',
      'aria-label': 'Dismiss',
      on: { click: () => shown.remove() },
    }),
  );
  list.append(shown);
  while (list.children.length > MOST) list.firstElementChild.remove();
  wait();
}

export const failure = (error, about = '') =>
  notice(about === '' ? error.message : `${about}: ${error.message}`, 'failed');

/** Ends the question that is shown, with what was chosen. */
let settle = null;

/** A closed dialog says so a moment later: by then the next question may be open. */
function settleClosed() {
  if ($('#confirm').open) return;
  settle?.($('#confirm').returnValue === 'yes');
  settle = null;
}

/** @returns whether it is to be done */
export function confirmed({ title, text, yes }) {
  const dialog = $('#confirm');
  settleClosed();
  $('#confirm-title').textContent = title;
  $('#confirm-text').textContent = text;
  $('#confirm-yes').textContent = yes;
  dialog.returnValue = 'cancel';
  dialog.onclose = settleClosed;
  dialog.showModal();
  return new Promise((resolve) => {
    settle = resolve;
  });
}
