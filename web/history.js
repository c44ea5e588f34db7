/**
 * Questions and their answers, kept in this browser for each key: the service keeps no list of them. The
 * newest first.
 */

import { key } from './api.js';

const MOST = 200;

const place = () => `glyphpress-history:${key.id()}`;

function read(at = place()) {
  try {
    const kept = JSON.parse(localStorage.getItem(at) ?? '[]');
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

/** What does not fit goes, the oldest half at a time. */
function write(entries, at = place()) {
  for (let kept = entries.slice(0, MOST); ; kept = kept.slice(0, kept.length >> 1)) {
    try {
      if (kept.length === 0) localStorage.removeItem(at);
      else localStorage.setItem(at, JSON.stringify(kept));
      return;
    } catch {
      if (kept.length === 0) return;
    }
  }
}

export const isAbout = (id) => (entry) => entry.documents.some((one) => one.id === id);

export const history = {
  all: () => read(),
  about: (id) => read().filter(isAbout(id)),
  /** Keeps entries of the key that there is now, also when another one is used meanwhile. */
  keeper() {
    const at = place();
    return (entry) => write([entry, ...read(at)], at);
  },
  remove: (id) => write(read().filter((entry) => entry.id !== id)),
  /** What was asked about a document goes with it. */
  forget: (documentId) => write(read().filter((entry) => !isAbout(documentId)(entry))),
};
