/**
 * Messages between the main thread and the worker that owns the sessions. Arrays are transferred where
 * the sender is done with them.
 */
import { type ErrorCode, GlyphpressError } from '../../errors.js';
import type {
  AttendRequest,
  EngineOptions,
  Forward,
  Generated,
  GenerateRequest,
} from '../engine.js';
import type { PageImage } from '../image-processor.js';
import type { ContextLayer } from '../kv-cache.js';
import type { DropInput, DropPoint, KeptCells, Selection } from '../prefill.js';
import type { PromptRows } from '../prompt.js';
import type { EncodedImage } from '../vision-encoder.js';

export interface WorkerData {
  dir: string;
  options: EngineOptions;
}

export interface PrefillReply {
  handle: number;
  layers: ContextLayer[];
  layerVisualTokens: number[];
  keptCells: KeptCells[][];
}

/** What the main thread may ask for, and what comes back. */
export interface Calls {
  open: { request: undefined; reply: undefined };
  encodeImage: { request: PageImage; reply: EncodedImage };
  prefill: { request: { rows: PromptRows; drops: DropPoint[] }; reply: PrefillReply };
  loadContext: { request: ContextLayer[]; reply: number };
  dropContext: { request: number; reply: undefined };
  countContexts: { request: undefined; reply: number };
  generate: {
    request: { handle: number; generate: GenerateRequest };
    /** Undefined: the context was evicted and must be loaded again. */
    reply: Generated | undefined;
  };
  attend: {
    request: { handle: number; attend: AttendRequest };
    /** Undefined: as for `generate`. */
    reply: Float32Array[] | undefined;
  };
  embedTokens: { request: number[]; reply: Float32Array };
  forward: { request: { rows: PromptRows; cuts: number[] }; reply: Forward };
  close: { request: undefined; reply: undefined };
}

export type Method = keyof Calls;

export type ToWorker =
  | {
      [M in Method]: {
        kind: 'call';
        id: number;
        /** Of the caller: groups take turns. */
        group: string;
        method: M;
        request: Calls[M]['request'];
      };
    }[Method]
  | { kind: 'abort'; id: number }
  | { kind: 'selected'; id: number; kept: Selection | undefined };

export type FromWorker =
  | { kind: 'reply'; id: number; reply: unknown }
  | { kind: 'error'; id: number; error: SerialisedError }
  | { kind: 'token'; id: number; tokenId: number; logProb: number }
  | { kind: 'progress'; id: number; done: number; total: number }
  | { kind: 'select'; id: number; drop: DropPoint; input: DropInput };

export interface SerialisedError {
  name: string;
  message: string;
  stack: string | undefined;
  glyphpress?: { code: ErrorCode; hint: string; details: Record<string, unknown> };
}

export function serialiseError(error: unknown): SerialisedError {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  if (!(error instanceof GlyphpressError)) return { name, message, stack };
  const { code, hint, details } = error;
  // Details may hold anything; only what JSON can say crosses.
  return {
    name,
    message,
    stack,
    glyphpress: { code, hint, details: JSON.parse(JSON.stringify(details)) },
  };
}

export function deserialiseError({ name, message, stack, glyphpress }: SerialisedError): Error {
  if (glyphpress) return new GlyphpressError(glyphpress.code, { message, ...glyphpress });
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
