/** One document in the list. */

import { bytes, element, plural, seconds, times } from './dom.js';

const STAGES = {
  extract: 'reading its text',
  render: 'drawing pages',
  encode: 'encoding pages',
  prefill: 'the model reads it',
};

/** @param name it may be any text: it is shown, never run */
export function newRow(name, { onTick, onOpen, onCancel, onRemove }) {
  const button = (className, text, label, click) =>
    element('button', {
      type: 'button',
      className,
      textContent: text,
      title: label,
      'aria-label': `${label} ${name}`,
      on: { click },
    });
  return element(
    'li',
    {},
    element('input', {
      type: 'checkbox',
      className: 'tick',
      'aria-label': `Ask ${name}`,
      on: { change: ({ target }) => onTick(target.checked) },
    }),
    element(
      'button',
      { type: 'button', className: 'open', title: name, on: { click: onOpen } },
      element('span', { className: 'name', textContent: name }),
      element('span', { className: 'state' }),
    ),
    element(
      'span',
      { className: 'acts' },
      button('cancel plain', 'Cancel', 'Cancel', onCancel),
      button('remove plain', '×', 'Delete', onRemove),
    ),
    element('progress', { max: 1, 'aria-label': `Progress of ${name}` }),
    element('p', { className: 'problem' }),
  );
}

export function showRow(row, doc, { ticked, canBeAsked }) {
  const working = ['queued', 'in_progress'].includes(doc.status);
  const find = (selector) => row.querySelector(selector);
  row.dataset.status = doc.status;
  find('.state').textContent = stateOf(doc);
  find('.tick').checked = ticked;
  find('.tick').disabled = !canBeAsked;
  find('.cancel').hidden = !working;
  const progress = find('progress');
  progress.hidden = !working;
  if (doc.status === 'in_progress') progress.value = doc.progress.share;
  else progress.removeAttribute('value');
  const problem = find('.problem');
  problem.hidden = !doc.error;
  problem.textContent = doc.error ? problemOf(doc.error) : '';
}

/** In words for people: what is wrong, and what to do. */
export function problemOf({ message, hint }) {
  return `${message.replace(/\.$/, '')}. ${hint}`;
}

function stateOf({ status, stage, progress, storage, compression, remaining }) {
  const { pages, pages_done: done } = progress;
  if (status === 'queued') return 'Queued';
  if (status === 'in_progress') {
    return [
      STAGES[stage] ?? 'Working',
      done > 0 &&
        `${done}${pages ? ` of ${plural(pages, 'page')}` : ` ${done === 1 ? 'page' : 'pages'}`}`,
      remaining > 0 && `${seconds(remaining * 1000)} left`,
    ]
      .filter(Boolean)
      .join(', ');
  }
  if (status === 'failed') return 'Failed';
  if (status === 'cancelled') return 'Cancelled';
  return [
    pages && plural(pages, 'page'),
    compression && times(compression.stacked_ratio ?? compression.render_ratio),
    storage && bytes(storage.bytes),
  ]
    .filter(Boolean)
    .join(' · ');
}
