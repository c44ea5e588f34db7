/** Shapes that several routes share, for checks, serialising and the OpenAPI document alike. */

import Type from 'typebox';

export const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const oneOf = <const T extends string[]>(...values: T) => Type.Enum(values);

/** Numbers in an address are text. */
export const queryNumber = Type.String({ pattern: '^[0-9]{1,9}$' });

export const documentId = Type.String({
  maxLength: 100,
  examples: ['doc_0123456789abcdef01234567'],
});

export const documentParams = Type.Object({ id: documentId });

export const priority = oneOf('high', 'normal', 'low');

export const renderSetting = Type.Union([
  Type.String({ maxLength: 100 }),
  Type.Record(Type.String(), Type.Unknown()),
]);

/** How a document is to be compressed. */
export const settingsFields = {
  model: Type.Optional(Type.String({ maxLength: 200, description: 'See GET /v1/models.' })),
  render: Type.Optional({
    ...renderSetting,
    description:
      'A preset, or keys of a render config. Default: what the model was trained to read.',
  }),
  keep: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      description: 'Share of the visual tokens to keep, mean over the layers.',
    }),
  ),
  plan: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), { description: 'A prune plan, instead of keep.' }),
  ),
  encoding: Type.Optional(Type.String({ maxLength: 40, description: 'Of a text; default UTF-8.' })),
};

export const submissionFields = {
  ...settingsFields,
  filename: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  priority: Type.Optional(priority),
  expires_in: Type.Optional(
    Type.Integer({
      minimum: 60,
      maximum: 10 * 365 * 24 * 3600,
      description: 'Seconds until the document is deleted by itself.',
    }),
  ),
};

export const documentObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('document'),
    status: oneOf('queued', 'in_progress', 'completed', 'failed', 'cancelled'),
    stage: nullable(oneOf('extract', 'render', 'encode', 'prefill')),
    progress: Type.Object({
      pages_done: Type.Integer(),
      pages: nullable(Type.Integer()),
      share: Type.Number({ description: 'Of the stage, 0 to 1.' }),
    }),
    filename: nullable(Type.String()),
    media_type: Type.String(),
    bytes: Type.Integer(),
    characters: nullable(Type.Integer()),
    model: Type.String(),
    settings: Type.Record(Type.String(), Type.Unknown()),
    priority,
    error: nullable(
      Type.Object({
        code: Type.String(),
        message: Type.String(),
        hint: Type.String(),
        stage: nullable(Type.String()),
        details: Type.Record(Type.String(), Type.Unknown()),
      }),
    ),
    created_at: Type.Integer({ description: 'Unix seconds.' }),
    started_at: nullable(Type.Integer()),
    finished_at: nullable(Type.Integer()),
    expires_at: nullable(Type.Integer()),
  },
  { title: 'Document' },
);

export const problemObject = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String(),
    hint: Type.String(),
    details: Type.Record(Type.String(), Type.Unknown()),
    request_id: Type.String(),
  },
  { title: 'Problem' },
);

export const openAiErrorObject = Type.Object(
  {
    error: Type.Object({
      message: Type.String(),
      type: Type.String(),
      code: nullable(Type.String()),
      param: nullable(Type.String()),
    }),
  },
  { title: 'OpenAIError' },
);

export const ownErrors = { '4xx': problemObject, '5xx': problemObject };
export const openAiErrors = { '4xx': openAiErrorObject, '5xx': openAiErrorObject };
