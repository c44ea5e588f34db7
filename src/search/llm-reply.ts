/**
 * What a language model answered, read as data: only axes and values of the space come through, as
 * values. Nothing of it is run, opened as a file, or drawn.
 */

import { clampValue } from './domain.js';
import type { AxisValue } from './point.js';
import type { Space } from './space.js';

export interface ReplyCandidate {
  from: number[];
  /** Only axes of the space, each with one of its values. */
  changes: Record<string, AxisValue>;
  /** Axes or values that are none. */
  refused: number;
  why: string;
}

export interface LlmReply {
  analysis: string;
  critique: string;
  candidates: ReplyCandidate[];
}

/** The reply is not valid; the message is sent back to the model. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** Words for people, in a report: no essay. */
const NOTE_CHARACTERS = 4_000;
const WHY_CHARACTERS = 300;
/** Maximum number of candidates of a reply; the rest is ignored. */
const MAX_CANDIDATES = 100;

/** @throws {ReplyError} */
export function parseReply(text: string, space: Space): LlmReply {
  const json = jsonIn(text);
  if (!isRecord(json)) throw new ReplyError('The answer is not one JSON object.');
  const { analysis, critique, candidates } = json;
  if (typeof analysis !== 'string' || typeof critique !== 'string')
    throw new ReplyError('"analysis" and "critique" must be texts.');
  if (!Array.isArray(candidates) || candidates.length === 0)
    throw new ReplyError('"candidates" must be a list with at least one candidate.');
  return {
    analysis: cut(analysis, NOTE_CHARACTERS),
    critique: cut(critique, NOTE_CHARACTERS),
    candidates: candidates
      .slice(0, MAX_CANDIDATES)
      .map((candidate, i) => readCandidate(candidate, i, space)),
  };
}

function readCandidate(candidate: unknown, i: number, space: Space): ReplyCandidate {
  if (!isRecord(candidate) || !isRecord(candidate.changes))
    throw new ReplyError(`candidates[${i}] must have "changes" as an object of axis and value.`);
  const from = Array.isArray(candidate.from) ? candidate.from : [];
  const entries = Object.entries(candidate.changes);
  const changes: Record<string, AxisValue> = {};
  for (const [axis, wanted] of entries) {
    if (!Object.hasOwn(space.axes, axis)) continue;
    const value = clampValue(space.domain(axis), wanted);
    if (value !== null) changes[axis] = value;
  }
  return {
    from: from.filter((id): id is number => Number.isSafeInteger(id)),
    changes,
    refused: entries.length - Object.keys(changes).length,
    why: typeof candidate.why === 'string' ? cut(candidate.why, WHY_CHARACTERS) : '',
  };
}

/** Models like to think aloud, and to put fences around what they say. */
function jsonIn(text: string): unknown {
  const said = text.replace(/<think>[\s\S]*?(<\/think>|$)/g, '');
  const [start, end] = [said.indexOf('{'), said.lastIndexOf('}')];
  if (start < 0 || end < start) return null;
  try {
    return JSON.parse(said.slice(start, end + 1));
  } catch {
    return null;
  }
}

/** Without characters that would leave their place in a terminal or a log. */
function cut(text: string, length: number): string {
  const clean = text
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, ' ')
    .trim();
  return clean.length > length ? `${clean.slice(0, length)}…` : clean;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
