/** A question over the ticked documents, its answer as it grows, and where it was read. */

import { eventsOf, postJson } from './api.js';
import { nameOf } from './documents.js';
import { openCitation } from './pages.js';

const answers = document.querySelector('#answers');
const template = document.querySelector('#answer-template');

const ANSWER_TOKENS = 256;

export async function ask(question, documents, model, signal) {
  const article = template.content.firstElementChild.cloneNode(true);
  const answer = article.querySelector('.answer');
  article.querySelector('.asked').textContent = question;
  answer.classList.add('growing');
  answers.prepend(article);
  try {
    const body = {
      model,
      max_tokens: ANSWER_TOKENS,
      messages: [{ role: 'user', content: question }],
      stream: true,
      stream_options: { include_usage: true },
      glyphpress: { document_ids: documents.map(({ id }) => id), citations: true },
    };
    const response = await postJson('/v1/chat/completions', body, signal);
    for await (const { data } of eventsOf(response)) {
      if (data === '[DONE]') break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      answer.textContent += chunk.choices[0]?.delta.content ?? '';
      if (chunk.glyphpress) await showEvidence(article, chunk.glyphpress);
      if (chunk.usage) showCost(article, chunk.usage, chunk.usage.glyphpress);
    }
  } catch (error) {
    const stopped = error.name === 'AbortError';
    answer.textContent += stopped ? ' (stopped)' : `\n${error.message}`;
    answer.classList.toggle('failed', !stopped);
  } finally {
    answer.classList.remove('growing');
  }
}

async function showEvidence(article, { citations = [], expanded = [], confidence, calibrated }) {
  const lines = citations.slice(0, 5).map((citation) => {
    const button = document.createElement('button');
    const quote = document.createElement('q');
    const place = document.createElement('span');
    button.type = 'button';
    quote.textContent = citation.text.replace(/\s+/g, ' ').slice(0, 200);
    place.className = 'quiet';
    place.textContent = ` ${nameOf(citation.document_id)}, page ${citation.page}`;
    button.append(quote, place);
    button.addEventListener('click', () =>
      openCitation(citation, [...citations, ...expanded], nameOf(citation.document_id)),
    );
    const line = document.createElement('li');
    line.append(button);
    return line;
  });
  article.querySelector('.citations').replaceChildren(...lines);
  if (confidence !== null) {
    const share = `${Math.round(confidence * 100)} %`;
    article.dataset.confidence = calibrated ? `sure to ${share}` : `confidence ${share}`;
  }
  const [first] = citations;
  if (first) await openCitation(first, [...citations, ...expanded], nameOf(first.document_id));
}

function showCost(article, usage, cost) {
  const parts = [
    article.dataset.confidence,
    `${usage.prompt_tokens} prompt tokens; as text ${cost.text_prompt_tokens}`,
    `${cost.stacked_ratio.toFixed(1)}× compressed`,
    `first token after ${cost.wait_ms + cost.load_ms + cost.first_token_ms} ms`,
  ];
  article.querySelector('.cost').textContent = parts.filter(Boolean).join(' · ');
}
