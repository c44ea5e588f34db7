/** /v1/models. */

import Type from 'typebox';
import type { ServerParts } from '../context.js';
import { nullable, openAiErrors } from '../schemas.js';
import type { App } from '../typed-app.js';

const modelObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('model'),
    created: Type.Integer(),
    owned_by: Type.String(),
    glyphpress: Type.Object({
      default: Type.Boolean(),
      family: Type.String(),
      parameters: Type.Integer(),
      layers: Type.Integer(),
      max_positions: Type.Integer(),
      trained: Type.Boolean({ description: 'False: its answers are noise.' }),
      notice: nullable(Type.String()),
    }),
  },
  { title: 'Model' },
);

export function modelRoutes(app: App, { models }: ServerParts): void {
  const tags = ['openai'];
  const started = Math.floor(Date.now() / 1000);
  const view = (name: string) => {
    const { family, parameters, layers, maxPositions, trained, notice } = models.info(name);
    return {
      id: name,
      object: 'model' as const,
      created: started,
      owned_by: 'glyphpress',
      glyphpress: {
        default: name === models.defaultName,
        family,
        parameters,
        layers,
        max_positions: maxPositions,
        trained,
        notice,
      },
    };
  };

  app.get(
    '/v1/models',
    {
      config: { access: 'any' },
      schema: {
        tags,
        summary: 'The models of this service',
        response: {
          200: Type.Object({ object: Type.Literal('list'), data: Type.Array(modelObject) }),
          ...openAiErrors,
        },
      },
    },
    async () => ({ object: 'list' as const, data: models.names.map(view) }),
  );

  app.get(
    '/v1/models/:model',
    {
      config: { access: 'any' },
      schema: {
        tags,
        summary: 'A model',
        params: Type.Object({ model: Type.String({ maxLength: 200 }) }),
        response: { 200: modelObject, ...openAiErrors },
      },
    },
    async ({ params }) => view(params.model),
  );
}
