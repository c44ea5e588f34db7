/** Values that fit a JSON schema, nearly fit it, or have nothing to do with it. */

import fc from 'fast-check';

export interface JsonSchema {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  maxItems?: number;
  minItems?: number;
}

/** Strings that something behind an address may trip over. */
export const ODD_STRINGS = [
  '',
  ' ',
  '.',
  '..',
  '../../../etc/passwd',
  '..\\..\\windows',
  '%2e%2e%2f',
  '\0',
  'a\r\nx-injected: 1',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '💥',
  '\ud800',
  '-1',
  '1e309',
  'NaN',
  'null',
  '*',
  "';--",
  '{{7*7}}',
  'x'.repeat(5_000),
];

export const oddString = fc.oneof(
  fc.constantFrom(...ODD_STRINGS),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

/** Mostly what the schema says, so that what lies behind the check is reached too. */
export function jsonFor(
  schema: JsonSchema,
  known: Record<string, unknown[]>,
): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 9, arbitrary: fitting(schema, known) },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
    { weight: 1, arbitrary: oddString },
  );
}

/** @param known values for properties of these names that lead further than made-up ones */
function fitting(schema: JsonSchema, known: Record<string, unknown[]>): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one) => jsonFor(one, known)));
  switch (schema.type) {
    case 'string':
      return schema.pattern
        ? fc.oneof(fc.stringMatching(new RegExp(schema.pattern)), oddString)
        : oddString;
    case 'integer':
    case 'number': {
      const { minimum = schema.exclusiveMinimum ?? -1e6, maximum = 1e6 } = schema;
      const inside = fc.integer({ min: Math.ceil(minimum), max: Math.max(minimum, maximum) });
      return fc.oneof(inside, fc.constantFrom(-1, 0, 0.5, 2 ** 53, 1e308));
    }
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(jsonFor(schema.items ?? {}, known), { maxLength: 3 });
    case 'object':
      return objectOf(schema, known);
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

function objectOf(schema: JsonSchema, known: Record<string, unknown[]>): fc.Arbitrary<unknown> {
  const { properties = {}, required = [] } = schema;
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, one]) => {
      const values = known[name];
      const value = jsonFor(one, known);
      return [
        name,
        values ? fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...values) }, value) : value,
      ];
    }),
  );
  return fc
    .tuple(
      fc.record(fields, { requiredKeys: required.filter((name) => name in fields) }),
      fc.oneof(
        { weight: 9, arbitrary: fc.constant({}) },
        {
          weight: 1,
          arbitrary: fc.dictionary(oddString, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 2 }),
        },
      ),
    )
    .map(([given, extra]) => ({ ...extra, ...given }));
}
