/** Wires the parts of the page together. */

import { getJson, key } from './api.js';
import { ask, isAsking, openAnswers, showHistory, stopAsking } from './ask.js';
import { askedDocuments, isTicked, openedDocument, openList, tick, upload } from './documents.js';
import { $, element } from './dom.js';
import { failure } from './notices.js';
import { closeDocument, openDocument, updateDocument } from './viewer.js';

/** By name: what the models say of themselves. */
let models = new Map();

async function start() {
  try {
    const [listed, plans, renderings] = await Promise.all([
      getJson('/v1/models'),
      getJson('/v1/plans'),
      getJson('/v1/renderings'),
    ]);
    models = new Map(listed.data.map((model) => [model.id, model.glyphpress]));
    fill(
      $('#model'),
      [...models.keys()].map((id) => [id, id]),
    );
    fill(
      $('#plan'),
      plans.data.map(({ name, about }) => [name, name, about]),
      true,
    );
    fill(
      $('#render'),
      Object.keys(renderings.presets).map((name) => [name, name]),
      true,
    );
    showHow();
    openAnswers({ onAsked: asked, onAsking: showAsked });
    await openList({ onOpen: open, onChange: changed, onGone: gone });
    showAsked();
    $('#key-form').hidden = true;
    $('#change-key').hidden = key.get() === '';
    $('#change-key').textContent = `Key ${key.id().slice(0, 6)}…`;
    $('#change-key').title = 'Use another key';
  } catch (error) {
    if (error.status === 401) askForKey();
    if (error.status !== 401 || key.get() !== '') failure(error);
  }
}

function askForKey() {
  $('#change-key').hidden = true;
  $('#key-form').hidden = false;
  $('#key').value = '';
  $('#key').focus();
}

function fill(select, options, keepFirst = false) {
  while (select.options.length > (keepFirst ? 1 : 0)) select.options[1 * keepFirst].remove();
  for (const [value, text, title = ''] of options) {
    const option = new Option(text, value);
    option.title = title;
    select.add(option);
  }
}

const chosenText = (select) => select.selectedOptions[0]?.textContent ?? '';

function showHow() {
  $('#how-now').textContent = ['#model', '#render', '#plan']
    .map((id) => chosenText($(id)))
    .join(' · ');
}

function open(doc) {
  void openDocument(doc);
  showHistory();
  showPart('viewer');
}

function changed(doc) {
  if (doc) updateDocument(doc);
  showAsked();
}

function gone(id) {
  closeDocument(id);
  showHistory();
}

function asked({ documents }) {
  const opened = openedDocument();
  // The figures count the question.
  if (opened && documents.some(({ id }) => id === opened.id)) updateDocument(opened);
}

function showAsked() {
  const documents = askedDocuments();
  $('#send').disabled = documents.length === 0 || isAsking();
  $('#stop').hidden = !isAsking();
  $('#about-none').hidden = documents.length > 0;
  $('#about').hidden = documents.length === 0;
  $('#about').replaceChildren(
    ...documents.map(({ id, filename }) =>
      element(
        'li',
        {},
        element('span', {}, filename ?? id),
        isTicked(id) &&
          element('button', {
            type: 'button',
            className: 'plain',
            textContent: '×',
            'aria-label': `Do not ask ${filename ?? id}`,
            on: {
              click: () => {
                tick(id, false);
                $('#question').focus();
              },
            },
          }),
      ),
    ),
  );
  const notice = models.get(documents[0]?.model)?.notice;
  $('#model-notice').hidden = !notice;
  $('#model-notice').textContent = notice ?? '';
}

async function take(files) {
  for (const file of files) {
    $('#drop-title').textContent = `Sending ${file.name} …`;
    try {
      const [model, render, plan] = ['#model', '#render', '#plan'].map((id) => $(id).value);
      await upload(file, { model, render, plan });
    } catch (error) {
      failure(error, file.name);
    }
  }
  $('#drop-title').textContent = 'Choose files';
}

async function send() {
  const question = $('#question').value.trim();
  if (question === '' || askedDocuments().length === 0 || isAsking()) return;
  await ask(question);
}

/** One part at a time where there is room for one only. */
function showPart(part) {
  $('main').dataset.part = part;
  for (const button of document.querySelectorAll('#tabs button'))
    button.setAttribute('aria-pressed', String(button.dataset.part === part));
}

$('#tabs').addEventListener('click', ({ target }) => {
  const part = target.closest('button')?.dataset.part;
  if (part) showPart(part);
});
document.addEventListener('part', ({ detail }) => showPart(detail));
$('#key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  key.set($('#key').value.trim());
  $('#answers').replaceChildren();
  const opened = openedDocument();
  if (opened) closeDocument(opened.id);
  void start();
});
$('#change-key').addEventListener('click', askForKey);
$('#how').addEventListener('change', showHow);
$('#file').addEventListener('change', async ({ target }) => {
  await take([...target.files]);
  target.value = '';
});
$('#upload').addEventListener('submit', (event) => event.preventDefault());
for (const type of ['dragover', 'dragleave', 'drop']) {
  $('#drop').addEventListener(type, (event) => {
    event.preventDefault();
    $('#drop').classList.toggle('over', type === 'dragover');
    if (type === 'drop') void take([...event.dataTransfer.files]);
  });
}
$('#ask').addEventListener('submit', (event) => {
  event.preventDefault();
  void send();
});
$('#question').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  void send();
});
$('#stop').addEventListener('click', () => {
  stopAsking();
  $('#question').focus();
});

void start();
