/** Shapes that several routes share, for checks, serialising and the OpenAPI document alike. */

import Type from 'typebox';
import { DEFAULT_EXPANSION_BUDGET, MAX_EXPANSION_BUDGET } from '../pipeline/expanding/expander.js';
import { CONFIG_KEYS, type KeyForm, PRESETS } from '../render/index.js';
import { CONTEXTS_WHEN, MIN_KEEP_RATIO } from '../service/document-settings.js';

export const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const optional = <T extends Type.TSchema>(schema: T) => Type.Optional(nullable(schema));

/** Fields of OpenAI's that are taken, and change nothing that an answer says. */
export const withoutEffect = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, Type.Optional(Type.Any())]));

export const oneOf = <const T extends string[]>(...values: T) => Type.Enum(values);

/** Numbers in an address are text. */
export const queryNumber = Type.String({ pattern: '^[0-9]{1,9}$' });

export const documentId = Type.String({
  maxLength: 100,
  examples: ['doc_0123456789abcdef01234567'],
});

export const documentParams = Type.Object({ id: documentId });

export const priority = oneOf('high', 'normal', 'low');

/** A render config's keys as the renderer takes them, without those that name files. */
export const renderObject = Type.Union(
  [
    oneOf(...Object.keys(PRESETS)),
    Type.Object(
      Object.fromEntries(
        Object.entries(CONFIG_KEYS)
          .filter(([key]) => key !== 'font-path')
          .map(([key, { form, about }]) => [key, Type.Optional(schemaOfKey(form, about))]),
      ),
      { additionalProperties: false },
    ),
  ],
  { description: 'A preset, or keys of a render config. Default: what the model can read.' },
);

function schemaOfKey(form: KeyForm, description: string): Type.TSchema {
  switch (form.kind) {
    case 'number': {
      const { min: minimum, max: maximum, unit, integer } = form;
      const options = { minimum, maximum, description: `${description} (${unit})` };
      return integer ? Type.Integer(options) : Type.Number(options);
    }
    case 'boolean':
      return Type.Boolean({ description });
    case 'choice':
      return Type.Enum([...form.values], { description });
    case 'color':
    case 'page-size':
      return Type.String({ maxLength: 40, description });
    case 'string':
      return Type.String({ maxLength: form.maxLength, description });
  }
}

const renderSetting = Type.Union([
  Type.String({ maxLength: 100 }),
  Type.Record(Type.String(), Type.Unknown()),
]);

/** As `--sidecar` of the command line. */
const MAX_SIDECAR = 1_000_000;

/** How a document is to be compressed. */
const settingsFields = {
  model: Type.Optional(Type.String({ maxLength: 200, description: 'See GET /v1/models.' })),
  render: Type.Optional({
    ...renderSetting,
    description:
      'A preset, or keys of a render config. Default: what the model was trained to read.',
  }),
  keep: Type.Optional(
    Type.Number({
      minimum: MIN_KEEP_RATIO,
      maximum: 1,
      description: 'Share of the visual tokens to keep, mean over the layers.',
    }),
  ),
  plan: Type.Optional(
    Type.Union([Type.String({ maxLength: 100 }), Type.Record(Type.String(), Type.Unknown())], {
      description: 'A prune plan, or the name of one (GET /v1/plans), instead of keep.',
    }),
  ),
  sidecar: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: MAX_SIDECAR,
      description:
        'Text tokens for exact values (codes, hashes, amounts, dates, addresses) beside the pages.',
    }),
  ),
  encoding: Type.Optional(
    Type.String({
      maxLength: 40,
      description: 'Encoding of a text document; detected by default.',
    }),
  ),
  contexts: Type.Optional(
    Type.Enum([...CONTEXTS_WHEN], {
      description:
        'When the context is built that questions read who need the pages: at once, or when the first one does. Default: when-read for models that read passages without the pages, else at-once.',
    }),
  ),
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

const failureObject = Type.Object({
  code: Type.String(),
  message: Type.String(),
  hint: Type.String(),
  stage: nullable(Type.String()),
  details: Type.Record(Type.String(), Type.Unknown()),
});

export const documentObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('document'),
    status: oneOf('queued', 'in_progress', 'completed', 'failed', 'cancelled'),
    stage: nullable(oneOf('extract', 'render', 'encode', 'prefill')),
    progress: Type.Object({
      pages_done: Type.Integer({
        description: 'Drawn in stage render, encoded in stage encode; all of them from then on.',
      }),
      pages: nullable(Type.Integer()),
      share: Type.Number({ description: 'Completed share of the stage, 0 to 1.' }),
    }),
    context: nullable(
      Type.Object(
        {
          status: oneOf('not_built', 'building', 'built'),
          progress: nullable(
            Type.Object({
              stage: nullable(oneOf('extract', 'render', 'encode', 'prefill')),
              share: Type.Number(),
            }),
          ),
          error: nullable(failureObject),
        },
        {
          description:
            'What questions read that need the pages. Not built: the first such question has it built, and waits for it. error: why it was not built when it was wanted last. Null before the document is completed.',
        },
      ),
    ),
    parts: nullable(
      Type.Array(
        Type.Object({
          start: Type.Integer({ description: 'UTF-16 offset into the text.' }),
          end: Type.Integer(),
          first_page: Type.Integer({ description: 'Counted from 1.' }),
          pages: Type.Integer(),
        }),
        {
          description:
            'In which a document is read that is larger than its model holds, each in a context of its own; null where it is read as a whole.',
        },
      ),
    ),
    filename: nullable(Type.String()),
    media_type: Type.String(),
    bytes: Type.Integer(),
    characters: nullable(Type.Integer()),
    storage: nullable(
      Type.Object(
        {
          bytes: Type.Integer(),
          text_bytes: Type.Integer(),
          amplification: Type.Number({ description: 'bytes / text_bytes' }),
          peak_amplification: Type.Number({ description: 'The same at its most, between steps.' }),
        },
        {
          description:
            'Bytes in the store of all that was made of the document and its equals, as of its last finished step; null before its text was read.',
        },
      ),
    ),
    compression: nullable(
      Type.Object(
        {
          text_tokens: Type.Number({ description: 'Of the text, in `tokenizer`.' }),
          tokenizer: Type.String(),
          visual_tokens: Type.Number({ description: 'Cells of all pages.' }),
          encoded_tokens: nullable(
            Type.Number({ description: 'After the drop behind the encoder.' }),
          ),
          context_tokens: nullable(
            Type.Number({
              description:
                'Mean over the decoder layers, those of the sidecar included: what a question reads of the document.',
            }),
          ),
          final_tokens: nullable(Type.Number({ description: 'In the last decoder layer.' })),
          sidecar_tokens: nullable(Type.Number()),
          render_ratio: Type.Number({ description: 'text_tokens / visual_tokens' }),
          prune_ratio: nullable(Type.Number({ description: 'visual_tokens / context_tokens' })),
          stacked_ratio: nullable(Type.Number({ description: 'text_tokens / context_tokens' })),
          kv_bytes: nullable(Type.Number({ description: 'Of the stored context.' })),
          text_kv_bytes: nullable(
            Type.Number({ description: 'What the context of the plain text would take.' }),
          ),
        },
        {
          description:
            'Figures of the report; null before the document is completed, and for one that another version completed without them. Those of a context that is not built are null.',
        },
      ),
    ),
    model: Type.String(),
    settings: Type.Record(Type.String(), Type.Unknown()),
    priority,
    error: nullable(failureObject),
    created_at: Type.Integer({ description: 'Unix seconds.' }),
    started_at: nullable(Type.Integer()),
    finished_at: nullable(Type.Integer()),
    expires_at: nullable(Type.Integer()),
  },
  { title: 'Document' },
);

const problemObject = Type.Object(
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

const openAiErrorObject = Type.Object(
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

/** What a question says beyond OpenAI's own fields. */
export const glyphpressOptions = Type.Object(
  {
    document_ids: Type.Optional(Type.Array(Type.String({ maxLength: 100 }), { maxItems: 100 })),
    citations: Type.Optional(
      Type.Boolean({ description: 'Return citations: where the text contains the answer.' }),
    ),
    expand: Type.Optional(
      Type.Enum(['off', 'auto', 'attention', 'lexical', 'semantic'], {
        description:
          'Read what the question is about as text beside the pages: lexical (by its words), ' +
          'semantic (by its words and what they mean to the model), attention (by what the model attends to), auto (what is there for the model) or off. The default: auto for models that read passages better than pages, else off. `glyphpress.expanded` of the answer says what was read.',
      }),
    ),
    expand_budget: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_EXPANSION_BUDGET,
        description: `Text tokens of what is read so, at most. Default: ${DEFAULT_EXPANSION_BUDGET}.`,
      }),
    ),
    parts: Type.Optional(
      Type.Union([Type.Literal('all'), Type.Integer({ minimum: 1 })], {
        description:
          'Where a document is read in parts: ask all of them, or the n that speak most of the question, of all documents together. The surest answer that was found is given; glyphpress.parts says what each answered. Default: all.',
      }),
    ),
    wait_seconds: Type.Optional(
      Type.Number({ minimum: 0, description: 'For a document that is still compressed.' }),
    ),
  },
  { additionalProperties: false },
);

const rectangle = Type.Object({
  x: Type.Number(),
  y: Type.Number(),
  width: Type.Number(),
  height: Type.Number(),
});

const citation = Type.Object({
  document_id: Type.String(),
  start: Type.Integer({ description: 'UTF-16 offset into the text of the document.' }),
  end: Type.Integer(),
  text: Type.String(),
  page: Type.Integer({ description: 'Page of the document, counted from 1.' }),
  rect: rectangle,
  score: Type.Number(),
});

const expandedPlace = Type.Object({
  document_id: Type.String(),
  page: nullable(Type.Integer({ description: 'Page of the document, counted from 1.' })),
  start: Type.Integer({ description: 'UTF-16 offset into the text of the document.' }),
  end: Type.Integer(),
  rect: nullable(rectangle),
});

const askedPart = Type.Object({
  document_id: Type.String(),
  part: Type.Integer({ description: 'Of the document, counted from 1.' }),
  start: Type.Integer({ description: 'UTF-16 offset into the text of the document.' }),
  end: Type.Integer(),
  first_page: Type.Integer(),
  pages: Type.Integer(),
  answer: Type.String(),
  found: Type.Boolean(),
  confidence: nullable(Type.Number()),
  lexical_score: Type.Number({ description: 'Of the words of the question in the part.' }),
});

export const evidenceObject = Type.Object({
  found: Type.Boolean({
    description: 'False if the answer says that the document does not contain it.',
  }),
  confidence: nullable(Type.Number()),
  calibrated: Type.Boolean({ description: 'Whether confidence is a chance.' }),
  doubtful: Type.Optional(
    Type.Boolean({
      description: 'So little in the text speaks for the answer that such are hardly ever right.',
    }),
  ),
  expanded: Type.Optional(
    Type.Array(expandedPlace, {
      description: 'What was read as text, where glyphpress.expand asked for it.',
    }),
  ),
  support: Type.Optional(
    nullable(
      Type.Enum(['read', 'elsewhere', 'none'], {
        description:
          'Where exact values of the answer stand: in what was read as text, elsewhere in the document, nowhere.',
      }),
    ),
  ),
  passages: Type.Optional(
    Type.Enum(['behind-pages', 'alone'], {
      description: 'How that was read; alone: without the pages.',
    }),
  ),
  citations: Type.Optional(Type.Array(citation)),
  parts: Type.Optional(
    Type.Array(askedPart, {
      description:
        'Where a document is read in parts: those that were asked, the best first; a document that is read as a whole is one part.',
    }),
  ),
});
