/** What compressing a document gave, and what a question about it costs. */

import { $, bytes, count, element, percent, plural, times } from './dom.js';
import { history } from './history.js';

export function showFigures(doc) {
  const { compression } = doc;
  $('#figures').replaceChildren(
    ...(compression ? [bars(compression), ratios(doc), note(doc)] : [pending(doc)]),
  );
}

const WAITS = {
  failed: 'It could not be compressed: there are no figures.',
  cancelled: 'It was cancelled before it was compressed.',
};

const pending = ({ status }) =>
  element('p', { className: 'quiet' }, WAITS[status] ?? 'Its figures come when it is compressed.');

const note = (doc) => (doc.compression.context_tokens === null ? unread(doc) : question(doc));

/** Nobody has read its pages yet. */
const unread = ({ context }) =>
  element(
    'p',
    { className: 'quiet' },
    context?.status === 'building'
      ? 'Its pages are being read for the first time.'
      : 'Questions were answered from its text so far. Its pages are read when one needs them.',
  );

/** Tokens to one scale. */
function bars({ text_tokens: text, visual_tokens: visual, context_tokens: kept }) {
  const most = Math.max(text, visual, kept ?? 0);
  const row = (name, tokens, more = '') => {
    const bar = element('span', { className: 'bar' });
    bar.style.width = `${Math.max(0.5, (tokens / most) * 100)}%`;
    return element(
      'div',
      {},
      element('dt', {}, name),
      element(
        'dd',
        {},
        element('span', { className: 'track' }, bar),
        element('span', {}, element('b', {}, count(tokens)), more),
      ),
    );
  };
  return element(
    'dl',
    { className: 'bars' },
    row('Text tokens', text),
    row('Visual tokens', visual),
    ...(kept === null
      ? []
      : [row('Kept', kept, kept === visual ? ' all' : ` ${percent(kept / visual)}`)]),
  );
}

function ratios({ compression, storage }) {
  const { render_ratio: render, stacked_ratio: stacked, kv_bytes: kv } = compression;
  const { text_kv_bytes: textKv } = compression;
  const figure = (name, value, about) =>
    element(
      'div',
      { title: about },
      element('dt', {}, name),
      element('dd', {}, value),
      element('dd', { className: 'quiet' }, about),
    );
  return element(
    'dl',
    { className: 'ratios' },
    figure('Render ratio', times(render), 'text ÷ visual tokens'),
    stacked !== null && figure('Stacked ratio', times(stacked), 'text ÷ kept tokens'),
    storage && figure('Stored', bytes(storage.bytes), `${times(storage.amplification)} its text`),
    kv !== null &&
      figure('Context', bytes(kv), textKv === null ? '' : `${bytes(textKv)} as plain text`),
  );
}

/** By the report; beside it what questions about this document alone took, so far as they are known. */
function question({ id, compression }) {
  const { context_tokens: kept, text_tokens: text } = compression;
  const alone = history
    .about(id)
    .filter(({ documents, usage }) => documents.length === 1 && usage?.glyphpress);
  const mean = (read) => alone.reduce((sum, entry) => sum + read(entry.usage), 0) / alone.length;
  return element(
    'p',
    { className: 'costs' },
    'Its pages cost a question ',
    element('b', {}, count(kept)),
    ` tokens, its plain text ${count(text)}. `,
    alone.length > 0 &&
      `${plural(alone.length, 'question')} so far took ${count(mean((usage) => usage.prompt_tokens))} tokens${alone.length > 1 ? ' on average' : ''}, passages included; over the plain text ${count(mean((usage) => usage.glyphpress.text_prompt_tokens))}.`,
  );
}
