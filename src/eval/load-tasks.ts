/**
 * Tasks from a file, one JSON object a line, in the shape of RULER, MRCR, LongBench or glyphpress.
 *
 * - LongBench (THUDM/LongBench): `context`, `input` (the question), `answers`, `dataset`, `_id`
 * - RULER (NVIDIA/RULER): `input` (text and question in one), `outputs`, `index`, `answer_prefix`
 * - MRCR (openai/mrcr): `prompt` (a conversation, JSON in a string), `answer`,
 *   `random_string_to_prepend`
 * - glyphpress: `context`, `question`, `expected`, and what else {@link EvalQuestion} has
 *
 * Common other names of these fields are understood.
 */

import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { readDocument } from '../pipeline/read-document.js';
import { sha256Hex } from '../sha256.js';
import type { PromptStyle } from './questions.js';
import { METRIC_NAMES, type MetricName } from './score.js';
import type { EvalDocument, EvalQuestion } from './task.js';

/** Longest answer where a line does not say. */
const DEFAULT_NEW_TOKENS = 256;

const CONTEXT_NAMES = ['context', 'document', 'text', 'passage', 'haystack', 'article'];
const QUESTION_NAMES = ['question', 'query', 'input', 'instruction'];
const ANSWER_NAMES = [
  'expected',
  'answers',
  'answer',
  'outputs',
  'output',
  'targets',
  'target',
  'expected_output',
  'gold',
  'label',
];
const ID_NAMES = ['id', '_id', 'index', 'idx', 'qid'];
const GROUP_NAMES = ['group', 'dataset', 'task', 'task_name', 'category', 'subset'];

/** What is added to a LongBench question for models that follow instructions (its prompt, in short). */
const LONG_BENCH_FORM = 'Only give the answer and do not output any other words.';

export interface LoadOptions {
  style: PromptStyle;
  /** For every line, in place of the shape's own. */
  metric?: MetricName;
  /** Only the first lines. */
  limit?: number;
}

/** @throws {GlyphpressError} GP_INPUT_NOT_FOUND, GP_INPUT_EMPTY, GP_INPUT_UNREADABLE with the line */
export function loadTasks(file: string, options: LoadOptions): EvalDocument[] {
  const lines = readDocument(file).text.split(/\r?\n/);
  return parseTasks(lines, path.basename(file), options);
}

export function parseTasks(
  lines: readonly string[],
  name: string,
  options: LoadOptions,
): EvalDocument[] {
  const documents = new Map<string, EvalDocument>();
  const ids = new Set<string>();
  let taken = 0;
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    if (options.limit !== undefined && taken >= options.limit) break;
    taken++;
    const reading = new LineReading(line, name, i + 1);
    const task = readTask(reading, options);
    const group = reading.text(GROUP_NAMES) ?? name.replace(/\.[^.]*$/, '');
    const id = `${group}/${reading.text(ID_NAMES) ?? i + 1}`;
    // Ids often start anew in each subset, and some files have none that differ.
    const unique = ids.has(id) ? `${id} (line ${i + 1})` : id;
    ids.add(unique);
    const question = finishQuestion(reading, unique, group, task, options);
    // Questions about one text share its pages and its context.
    const key = `${group}\n${task.context}`;
    const known = documents.get(key);
    if (known) known.questions.push(question);
    else {
      documents.set(key, {
        id: `${group}/${sha256Hex(task.context).slice(0, 12)}`,
        text: task.context,
        group,
        rendering: 'page',
        pages: null,
        questions: [question],
      });
    }
  }
  if (documents.size === 0) {
    throw new GlyphpressError('GP_INPUT_EMPTY', {
      message: `${name} holds no task`,
      hint: 'Give one JSON object a line, with context, question and answers.',
      details: { file: name },
    });
  }
  return [...documents.values()];
}

interface Task {
  context: string;
  question: string;
  expected: string[];
  metric: MetricName;
}

function readTask(reading: LineReading, options: LoadOptions): Task {
  const { fields } = reading;
  if ('random_string_to_prepend' in fields) return readMrcr(reading);
  const context = reading.text(CONTEXT_NAMES);
  const expected = reading.answers();
  if (context === undefined) return readRuler(reading, expected);
  const question = reading.text(QUESTION_NAMES);
  if (question === undefined || question.trim() === '')
    throw reading.problem(`has no question (one of ${QUESTION_NAMES.join(', ')})`);
  const isLongBench = 'answers' in fields && !('question' in fields);
  const form = isLongBench && options.style === 'full' ? ` ${LONG_BENCH_FORM}` : '';
  return {
    context,
    question: question + form,
    expected,
    metric: 'outputs' in fields ? 'stringMatchAll' : 'f1',
  };
}

/** A chat: all but its last message is the document. */
function readMrcr(reading: LineReading): Task {
  const { prompt, random_string_to_prepend: prefix } = reading.fields;
  const messages = typeof prompt === 'string' ? reading.parse(prompt, 'prompt') : prompt;
  if (!Array.isArray(messages) || messages.length < 2 || !messages.every(isMessage))
    throw reading.problem('has no prompt with messages of role and content');
  const answers = reading.answers().slice(0, 1);
  if (answers.length === 0) throw reading.noAnswer();
  const spoken = messages
    .slice(0, -1)
    .map(({ role, content }) => `${capitalised(role)}: ${content}`);
  return {
    context: spoken.join('\n\n'),
    question: messages.at(-1)!.content,
    expected: [...answers, String(prefix)],
    metric: 'sequenceMatch',
  };
}

/** Text and question in one: the question is the last line, or what follows the last "Question:". */
function readRuler(reading: LineReading, expected: string[]): Task {
  const whole = reading.text(['input', 'prompt']);
  if (whole === undefined)
    throw reading.problem(`has no text (one of ${CONTEXT_NAMES.join(', ')}, or input)`);
  const text = whole.trimEnd();
  const at = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('Question:'));
  const asked = at > 0 ? at : text.lastIndexOf(' What ');
  const context = text.slice(0, Math.max(0, asked)).trim();
  if (context === '') throw reading.problem('has an input that is not a text and a question');
  const question = text.slice(asked).trim();
  const prefix = reading.text(['answer_prefix']) ?? '';
  const name = reading.text(GROUP_NAMES) ?? '';
  const isQa =
    /(^|[_-])qa([_-]|$)/i.test(name) || /^(Question:|Answer the question)/.test(question);
  return {
    context,
    question: prefix.trim() === '' ? question : `${question}\n${prefix.trim()}`,
    expected,
    // RULER's variable and word tasks also say "Question:", but expect several outputs.
    metric: isQa && !/variables|words?\b/.test(question) ? 'stringMatchPart' : 'stringMatchAll',
  };
}

function finishQuestion(
  reading: LineReading,
  id: string,
  group: string,
  { question, expected, metric }: Task,
  options: LoadOptions,
): EvalQuestion {
  const own = reading.text(['metric']);
  if (own !== undefined && !METRIC_NAMES.includes(own as MetricName))
    throw reading.problem(`names the metric "${own}"; known are ${METRIC_NAMES.join(', ')}`);
  const chosen = options.metric ?? (own as MetricName | undefined) ?? metric;
  if (expected.length === 0 && chosen !== 'notFound') throw reading.noAnswer();
  const { wrong, depth, maxNewTokens } = reading.fields;
  const longest = Math.max(0, ...expected.map((text) => text.length));
  return {
    id,
    kind: reading.text(['kind']) ?? group,
    question,
    expected,
    ...(Array.isArray(wrong) && { wrong: wrong.map(String) }),
    metric: chosen,
    ...(typeof depth === 'number' && depth >= 0 && depth <= 1 && { depth }),
    maxNewTokens:
      typeof maxNewTokens === 'number' && Number.isInteger(maxNewTokens) && maxNewTokens > 0
        ? maxNewTokens
        : Math.max(DEFAULT_NEW_TOKENS, longest + 64),
  };
}

/** One line, and complaints that name it. */
class LineReading {
  readonly fields: Record<string, unknown>;

  constructor(
    line: string,
    readonly file: string,
    readonly number: number,
  ) {
    const value = this.parse(line);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.problem('is not a JSON object');
    this.fields = value as Record<string, unknown>;
  }

  parse(json: string, field?: string): unknown {
    try {
      return JSON.parse(json);
    } catch (cause) {
      const what = field === undefined ? 'is not JSON' : `has a ${field} that is not JSON`;
      throw this.problem(`${what}: ${(cause as Error).message}`, cause);
    }
  }

  /** The first of these fields that is there, as text. */
  text(names: readonly string[]): string | undefined {
    for (const name of names) {
      const value = this.fields[name];
      if (typeof value === 'string') return value;
      if (typeof value === 'number') return String(value);
    }
    return undefined;
  }

  answers(): string[] {
    for (const name of ANSWER_NAMES) {
      const value = this.fields[name];
      if (value === undefined || value === null) continue;
      const all = Array.isArray(value) ? value : [value];
      if (all.every((answer) => ['string', 'number', 'boolean'].includes(typeof answer)))
        return all.map(String);
      throw this.problem(`has a field ${name} that is neither a text nor a list of texts`);
    }
    return [];
  }

  noAnswer(): GlyphpressError {
    return this.problem(`has no answer (one of ${ANSWER_NAMES.join(', ')})`);
  }

  problem(what: string, cause?: unknown): GlyphpressError {
    return new GlyphpressError('GP_INPUT_UNREADABLE', {
      message: `${this.file}, line ${this.number} ${what}`,
      hint: 'Correct the line. docs/evaluation.md shows the shapes that are read.',
      details: { file: this.file, line: this.number },
      cause,
    });
  }
}

function isMessage(value: unknown): value is { role: string; content: string } {
  const { role, content } = (value ?? {}) as Record<string, unknown>;
  return typeof role === 'string' && typeof content === 'string';
}

const capitalised = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);
