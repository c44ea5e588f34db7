/** What a document's settings may be: prune plans by name, and renderings. */

import Type from 'typebox';
import {
  describePlan,
  NAMED_PLANS,
  namedPlan,
  planId,
  predictEncodedTokens,
  predictTokens,
} from '../../prune/index.js';
import { CONFIG_KEYS, DEFAULT_PRESET, PRESETS } from '../../render/index.js';
import type { ServerParts } from '../context.js';
import { nullable, ownErrors } from '../schemas.js';
import type { App } from '../typed-app.js';

/** Number of visual tokens for which shares are computed, large enough to hide rounding. */
const TOLD_FOR_TOKENS = 100_000;

const planObject = Type.Object({
  name: Type.String(),
  about: Type.String(),
  plan_id: Type.String(),
  drops: Type.String({ description: 'The plan in words.' }),
  plan: Type.Record(Type.String(), Type.Unknown()),
  keep: Type.Number({
    description: 'Share of the visual tokens kept, mean over the layers; without blank cells.',
  }),
});

const anyObject = Type.Record(Type.String(), Type.Unknown());

export function settingRoutes(app: App, { models }: ServerParts): void {
  const tags = ['documents'];
  const querystring = Type.Object(
    { model: Type.Optional(Type.String({ maxLength: 200 })) },
    { additionalProperties: false },
  );

  app.get(
    '/v1/plans',
    {
      config: { access: 'any' },
      schema: {
        tags,
        summary: 'The prune plans that have names',
        querystring,
        response: {
          200: Type.Object({
            object: Type.Literal('list'),
            model: Type.String(),
            data: Type.Array(planObject),
          }),
          ...ownErrors,
        },
      },
    },
    async ({ query }) => {
      const model = query.model ?? models.defaultName;
      const { layers } = models.info(model);
      return {
        object: 'list' as const,
        model,
        data: Object.values(NAMED_PLANS).map(({ name, about }) => {
          const plan = namedPlan(name, layers)!;
          const encoded = predictEncodedTokens(TOLD_FOR_TOKENS, plan);
          const { contextTokens } = predictTokens(encoded, layers, plan);
          return {
            name,
            about,
            plan_id: planId(plan),
            drops: describePlan(plan),
            plan: { ...plan },
            keep: Math.round((contextTokens / TOLD_FOR_TOKENS) * 1_000) / 1_000,
          };
        }),
      };
    },
  );

  app.get(
    '/v1/renderings',
    {
      config: { access: 'any' },
      schema: {
        tags,
        summary: 'The render presets, and the keys of a render config',
        querystring,
        response: {
          200: Type.Object({
            model: Type.String(),
            default: nullable(
              Type.Unsafe<string | Record<string, unknown>>({
                description: 'What documents of this model get that ask for nothing.',
              }),
            ),
            presets: Type.Record(Type.String(), anyObject),
            keys: Type.Record(Type.String(), anyObject),
          }),
          ...ownErrors,
        },
      },
    },
    async ({ query }) => {
      const model = query.model ?? models.defaultName;
      const { rendering } = models.info(model);
      return {
        model,
        default: (rendering ?? DEFAULT_PRESET) as string | Record<string, unknown>,
        presets: { ...PRESETS } as Record<string, Record<string, unknown>>,
        keys: Object.fromEntries(
          Object.entries(CONFIG_KEYS)
            .filter(([key]) => key !== 'font-path')
            .map(([key, { form, about }]) => [key, { about, ...form }]),
        ),
      };
    },
  );
}
