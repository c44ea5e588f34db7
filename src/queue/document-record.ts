/** What the service knows of a document: one record each, from its acceptance to its deletion. */

export const STAGES = ['extract', 'render', 'encode', 'prefill'] as const;
export type Stage = (typeof STAGES)[number];

export const TERMINAL_STATES = ['completed', 'failed', 'cancelled'] as const;
export type TerminalState = (typeof TERMINAL_STATES)[number];
export type DocumentState = 'queued' | 'in_progress' | TerminalState;

export type ContextState = 'none' | 'building' | 'built';

export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

export function isTerminal(state: DocumentState): state is TerminalState {
  return (TERMINAL_STATES as readonly string[]).includes(state);
}

/** Nothing is being done for it. */
export function isAtRest({ state, context }: Pick<DocumentRecord, 'state' | 'context'>): boolean {
  return isTerminal(state) && context !== 'building';
}

/** Which document: a tenant sees its own and no other. */
export interface DocumentRef {
  tenant: string;
  id: string;
}

const TENANT = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const DOCUMENT_ID = /^doc_[0-9a-f]{24}$/;

export function isTenant(text: string): boolean {
  return TENANT.test(text);
}

export function isDocumentId(text: string): boolean {
  return DOCUMENT_ID.test(text);
}

/** As JSON in the record; the same fields as GlyphpressError shows. */
export interface Failure {
  code: string;
  message: string;
  hint: string;
  stage: Stage | null;
  details: Record<string, unknown>;
}

/** Of a document that is read in parts; offsets into its text, pages as they are drawn. */
export interface RecordedPart {
  start: number;
  end: number;
  /** Pages of the parts before it. */
  pagesBefore: number;
  pages: number;
  visualTokens: number;
}

export interface DocumentRecord extends DocumentRef {
  state: DocumentState;
  /** The step that is under way or comes next; null once there is nothing left to do. */
  stage: Stage | null;
  /** `document` or `file`: at which door it came in. */
  origin: string;
  purpose: string | null;
  filename: string | null;
  mediaType: string;
  bytes: number;
  /** SHA-256 of the bytes. */
  contentHash: string;
  /** As they were asked for; see src/service/document-settings.ts. */
  settings: string;
  /** Names what the settings come to: equal names, equal contexts. */
  settingsKey: string;
  priority: Priority;
  /** Raised when its jobs are put into the queue anew. */
  generation: number;
  characters: number | null;
  /** Bytes of the text in UTF-8. */
  textBytes: number | null;
  /** Bytes in the store with all that was made of it, and with that of equal documents; as of its last step. */
  storedBytes: number | null;
  /** Most of them while it was worked on. */
  peakBytes: number | null;
  pagesDone: number;
  /** Known once all are drawn. */
  pages: number | null;
  /** Those that it is read in, each in a context of its own; null where it is read as a whole, or not laid out yet. */
  parts: RecordedPart[] | null;
  /** Share of the stage that is done, 0 to 1. */
  share: number;
  /** How long each step took when it was last done. */
  stageMs: Record<Stage, number>;
  report: string | null;
  failure: Failure | null;
  /**
   * Of a completed document: `none` where nobody needed its context yet, or the building of it came to
   * nothing. Null for one that is not completed, or whose steps built it.
   */
  context: ContextState | null;
  /** Why the context was not built when it was wanted last. */
  contextFailure: Failure | null;
  createdAt: number;
  updatedAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  expiresAt: number | null;
}

export type NewDocument = Pick<
  DocumentRecord,
  | 'tenant'
  | 'id'
  | 'origin'
  | 'purpose'
  | 'filename'
  | 'mediaType'
  | 'bytes'
  | 'contentHash'
  | 'settings'
  | 'settingsKey'
  | 'priority'
  | 'expiresAt'
>;

/** Fields as Redis holds them: text, absent where there is nothing. */
export function encodeFields(fields: Record<string, unknown>): string[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    value === null || value === undefined
      ? []
      : [name, typeof value === 'object' ? JSON.stringify(value) : String(value)],
  );
}

export function decodeRecord(fields: Record<string, string>): DocumentRecord | null {
  if (fields.id === undefined) return null;
  const text = (name: string) => fields[name] ?? null;
  const failure = (name: string) =>
    fields[name] === undefined ? null : (JSON.parse(fields[name]) as Failure);
  const number = (name: string) => (fields[name] === undefined ? null : Number(fields[name]));
  return {
    tenant: fields.tenant!,
    id: fields.id,
    state: fields.state as DocumentState,
    stage: text('stage') as Stage | null,
    origin: fields.origin!,
    purpose: text('purpose'),
    filename: text('filename'),
    mediaType: fields.mediaType!,
    bytes: Number(fields.bytes),
    contentHash: fields.contentHash!,
    settings: fields.settings!,
    settingsKey: fields.settingsKey!,
    priority: fields.priority as Priority,
    generation: Number(fields.generation),
    characters: number('characters'),
    textBytes: number('textBytes'),
    storedBytes: number('storedBytes'),
    peakBytes: number('peakBytes'),
    pagesDone: Number(fields.pagesDone ?? 0),
    pages: number('pages'),
    parts: fields.parts === undefined ? null : (JSON.parse(fields.parts) as RecordedPart[]),
    share: Number(fields.share ?? 0),
    stageMs: Object.fromEntries(
      STAGES.map((stage) => [stage, Number(fields[`ms:${stage}`] ?? 0)]),
    ) as Record<Stage, number>,
    report: text('report'),
    failure: failure('failure'),
    context: text('context') as ContextState | null,
    contextFailure: failure('contextFailure'),
    createdAt: Number(fields.createdAt),
    updatedAt: Number(fields.updatedAt),
    startedAt: number('startedAt'),
    finishedAt: number('finishedAt'),
    expiresAt: number('expiresAt'),
  };
}
