/** Wires the parts of the page together. */

import { getJson, key } from './api.js';
import { ask } from './ask.js';
import { openList, ticked, upload } from './documents.js';
import { openDocument } from './pages.js';

const $ = (selector) => document.querySelector(selector);
const notice = $('#notice');

let asking = null;

async function start() {
  notice.textContent = '';
  try {
    const [models, plans, renderings] = await Promise.all([
      getJson('/v1/models'),
      getJson('/v1/plans'),
      getJson('/v1/renderings'),
    ]);
    fill(
      $('#model'),
      models.data.map(({ id }) => [id, id]),
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
    await openList({ onOpen: openDocument, onTicked: showTicked });
    $('#key-form').hidden = true;
  } catch (error) {
    if (error.status === 401) $('#key-form').hidden = false;
    notice.textContent = error.status === 401 && key.get() === '' ? '' : error.message;
  }
}

function fill(select, options, keepFirst = false) {
  while (select.options.length > (keepFirst ? 1 : 0)) select.options[1 * keepFirst].remove();
  for (const [value, text, title = ''] of options) {
    const option = new Option(text, value);
    option.title = title;
    select.add(option);
  }
}

function showTicked() {
  const count = ticked().length;
  $('#send').disabled = count === 0 || asking !== null;
  $('#about').textContent =
    count === 0
      ? 'Tick the documents that you want to ask.'
      : `About ${count === 1 ? (ticked()[0].filename ?? ticked()[0].id) : `${count} documents`}`;
}

async function take(files) {
  notice.textContent = '';
  for (const file of files) {
    try {
      const [model, render, plan] = ['#model', '#render', '#plan'].map((id) => $(id).value);
      await upload(file, { model, render, plan });
    } catch (error) {
      notice.textContent = `${file.name}: ${error.message}`;
    }
  }
}

async function send() {
  const question = $('#question').value.trim();
  if (question === '' || ticked().length === 0 || asking) return;
  asking = new AbortController();
  $('#stop').hidden = false;
  showTicked();
  await ask(question, ticked(), $('#model').value, asking.signal);
  asking = null;
  $('#stop').hidden = true;
  showTicked();
}

$('#key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  key.set($('#key').value.trim());
  void start();
});
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
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  void send();
});
$('#stop').addEventListener('click', () => asking?.abort());

void start();
