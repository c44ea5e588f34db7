/** What a model behind a server may call to read exactly, and what it may say in JSON where it calls nothing. */

import type { ToolCall, ToolDefinition } from '../backends/chat-tools.js';
import type { SourceReader } from './source-reader.js';

export const READING_TOOLS: readonly ToolDefinition[] = [
  {
    type: 'function',
    function: {
      name: 'read_lines',
      description:
        'The exact text of some lines of a page. Lines are counted from 1 at the top of the page, and ' +
        'may be numbered in its margin.',
      parameters: {
        type: 'object',
        properties: {
          page: { type: 'integer', minimum: 1 },
          from: { type: 'integer', minimum: 1, description: 'First line.' },
          to: { type: 'integer', minimum: 1, description: 'Last line.' },
        },
        required: ['page', 'from', 'to'],
        additionalProperties: false,
      },
    },
  },
  {
    type: 'function',
    function: {
      name: 'find',
      description: 'The exact text of the lines that hold a word or phrase, with page and number.',
      parameters: {
        type: 'object',
        properties: { text: { type: 'string' } },
        required: ['text'],
        additionalProperties: false,
      },
    },
  },
];

/** Behind a question to a model that takes tools. */
export const TOOL_HINT =
  'Small print is easily misread: read names, numbers and identifiers with read_lines or find before you answer.';

/** Behind a question to a model that takes none: where it would look. */
export const PLACES_PROMPT =
  'Do not answer yet. Which lines must be read exactly to answer? Lines are counted from 1 at the top of ' +
  'each page. Reply with JSON alone, for example ' +
  '{"read": [{"page": 1, "from": 12, "to": 14}], "find": ["a word or phrase"]}.';

/** @returns what the model is told; never throws: a wrong call is answered in words */
export function runToolCall(
  reader: SourceReader,
  call: Pick<ToolCall, 'name' | 'arguments'>,
): string {
  const given = parseObject(call.arguments);
  if (!given) return 'The arguments are no JSON object.';
  switch (call.name) {
    case 'read_lines':
      return readLines(reader, given);
    case 'find':
      return find(reader, given.text);
    default:
      return `There is no function ${call.name.slice(0, 60)}; there are read_lines and find.`;
  }
}

/** Reads what a reply to {@link PLACES_PROMPT} names. @returns the text, empty where it names nothing */
export function readNamedPlaces(reader: SourceReader, reply: string): string {
  const { read, find: wanted } = parseObject(jsonIn(reply)) ?? {};
  const list = (value: unknown): unknown[] => (Array.isArray(value) ? value.slice(0, 20) : []);
  const before = reader.tokens;
  const texts = [
    ...list(read).map((place) => readLines(reader, (place ?? {}) as Record<string, unknown>)),
    ...list(wanted).map((text) => find(reader, text)),
  ];
  return reader.tokens > before ? texts.join('\n').trim() : '';
}

function readLines(
  reader: SourceReader,
  { page, from, to = from }: Record<string, unknown>,
): string {
  const numbers = [page, from, to].map(Number);
  if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 1))
    return 'page, from and to are whole numbers from 1.';
  const [onPage, first, last] = numbers as [number, number, number];
  return reader.readLines(onPage, first, last);
}

function find(reader: SourceReader, text: unknown): string {
  return typeof text === 'string' ? reader.find(text) : 'text is a word or phrase.';
}

/** From the first brace to the last: models like to put words or fences around JSON. */
function jsonIn(reply: string): string {
  return reply.slice(reply.indexOf('{'), reply.lastIndexOf('}') + 1);
}

function parseObject(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
