import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  describePlan,
  dropSeed,
  type PrunePlan,
  parsePrunePlan,
  planId,
  randomTwin,
  resolvePlan,
} from '../../src/prune/index.js';
import { codeOf, thrown } from './thrown-code.js';

const full: PrunePlan = {
  id: 'all keys',
  seed: 4,
  encoder: {
    method: 'apet',
    keepRatio: 0.3,
    scope: 'page',
    minPerPage: 4,
    basisTokenCount: 8,
    ridge: 0.1,
    basis: 'rank',
    merge: 'average',
  },
  decoder: [
    { layer: 1, keepRatio: 0.5, method: 'v2drop', scope: 'document' },
    { layer: 5, keepRatio: 0.3, method: 'random', minPerPage: 2 },
    { layer: 9, keepCount: 1, method: 'v2drop' },
  ],
};
const copy = () => JSON.parse(JSON.stringify(full));

describe('parsePrunePlan', () => {
  it('reads every key, from a value and from text', () => {
    expect(parsePrunePlan(copy(), { layers: 10 })).toEqual(full);
    expect(parsePrunePlan(JSON.stringify(full))).toEqual(full);
    expect(parsePrunePlan({})).toEqual({ decoder: [] });
    expect(parsePrunePlan({ encoder: { method: 'random', keepRatio: 1 } }).encoder?.method).toBe(
      'random',
    );
  });

  it('returns a plan of its own', () => {
    const json = copy();
    const plan = parsePrunePlan(json);
    json.decoder[0].keepRatio = 7;
    expect(plan).toEqual(full);
  });

  const v2 = { layer: 1, keepRatio: 0.5, method: 'v2drop' };
  it.each<[unknown, string]>([
    [null, ''],
    [[], ''],
    [3, ''],
    ['{', ''],
    ['[]', ''],
    [{ decoders: [] }, 'decoders'],
    [JSON.parse('{"__proto__": {"decoder": []}}'), '__proto__'],
    [{ decoder: {} }, 'decoder'],
    [{ decoder: null }, 'decoder'],
    [{ id: 3 }, 'id'],
    [{ seed: -1 }, 'seed'],
    [{ seed: 2 ** 32 }, 'seed'],
    [{ seed: 0.5 }, 'seed'],
    [{ encoder: null }, 'encoder'],
    [{ encoder: {} }, 'encoder.method'],
    [{ encoder: { method: 'apet' } }, 'encoder.keepRatio'],
    [{ encoder: { method: 'apet', keepRatio: 0 } }, 'encoder.keepRatio'],
    [{ encoder: { method: 'apet', keepRatio: '0.5' } }, 'encoder.keepRatio'],
    [{ encoder: { method: 'v2drop', keepRatio: 0.5 } }, 'encoder.method'],
    [{ encoder: { method: 'random', keepRatio: 0.5, ridge: 1 } }, 'encoder.ridge'],
    [{ encoder: { method: 'apet', keepRatio: 0.5, keepCount: 1 } }, 'encoder.keepCount'],
    [{ encoder: { method: 'apet', keepRatio: 0.5, ridge: -1 } }, 'encoder.ridge'],
    [{ encoder: { method: 'apet', keepRatio: 0.5, ridge: Number.NaN } }, 'encoder.ridge'],
    [
      { encoder: { method: 'apet', keepRatio: 0.5, basisTokenCount: 0 } },
      'encoder.basisTokenCount',
    ],
    [{ encoder: { method: 'apet', keepRatio: 0.5, basis: 'drop' } }, 'encoder.basis'],
    [{ encoder: { method: 'apet', keepRatio: 0.5, merge: true } }, 'encoder.merge'],
    [{ encoder: { method: 'apet', keepRatio: 0.5, scope: 'line' } }, 'encoder.scope'],
    [{ encoder: { method: 'apet', keepRatio: 0.5, minPerPage: -1 } }, 'encoder.minPerPage'],
    [{ decoder: [7] }, 'decoder[0]'],
    [{ decoder: [{ ...v2, keep: 1 }] }, 'decoder[0].keep'],
    [{ decoder: [{ ...v2, layer: 0 }] }, 'decoder[0].layer'],
    [{ decoder: [{ ...v2, layer: 12 }] }, 'decoder[0].layer'],
    [{ decoder: [{ ...v2, layer: 1.5 }] }, 'decoder[0].layer'],
    [{ decoder: [{ ...v2, method: 'apet' }] }, 'decoder[0].method'],
    [{ decoder: [v2, { ...v2, layer: 2, keepRatio: 1.5 }] }, 'decoder[1].keepRatio'],
    [{ decoder: [v2, { ...v2, layer: 2, keepRatio: Number.NaN }] }, 'decoder[1].keepRatio'],
    [{ decoder: [v2, { layer: 2, method: 'random' }] }, 'decoder[1].keepRatio'],
    [{ decoder: [v2, v2] }, 'decoder[1].layer'],
    [{ decoder: [{ ...v2, layer: 3 }, v2] }, 'decoder[1].layer'],
    [{ decoder: [{ ...v2, keepCount: 4 }] }, 'decoder[0].keepCount'],
    [{ decoder: [{ layer: 1, method: 'v2drop', keepCount: 0 }] }, 'decoder[0].keepCount'],
    [
      {
        decoder: [
          { layer: 1, method: 'v2drop', keepCount: 1 },
          { ...v2, layer: 2 },
        ],
      },
      'decoder[1]',
    ],
    [
      {
        decoder: [
          { layer: 1, method: 'v2drop', keepCount: 5 },
          { layer: 2, method: 'v2drop', keepCount: 5 },
        ],
      },
      'decoder[1].keepCount',
    ],
  ])('refuses %j at "%s", naming value and range', (json, path) => {
    const error = thrown(() => parsePrunePlan(json, { layers: 12 }));
    expect(error?.code).toBe('GP_PRUNE_PLAN');
    expect(error?.details.path).toBe(path);
    expect(error?.details.value).toBeTypeOf('string');
    expect(error?.details.allowed).toBeTypeOf('string');
    if (path) expect(error?.message).toContain(path);
  });

  it('says the layer range of the model', () => {
    const error = thrown(() => parsePrunePlan({ decoder: [{ ...v2, layer: 12 }] }, { layers: 12 }));
    expect(error?.message).toBe(
      'Expected decoder[0].layer: 1 ≤ layer < 12, the decoder layers of the model; got 12',
    );
  });

  it('turns any JSON into a plan or GP_PRUNE_PLAN, never another error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.json(), fc.anything()), (json) => {
        const code = codeOf(() => parsePrunePlan(json, { layers: 12 }));
        expect([undefined, 'GP_PRUNE_PLAN']).toContain(code);
      }),
      { numRuns: 500 },
    );
  });

  it('survives a valid plan with any one member changed', () => {
    const paths = memberPaths(full);
    fc.assert(
      fc.property(
        fc.constantFrom(...paths),
        fc.oneof(fc.jsonValue(), fc.double()),
        (path, value) => {
          const json = copy();
          let at = json;
          for (const key of path.slice(0, -1)) at = at[key];
          at[path.at(-1)!] = value;
          const plan = (() => {
            let read: PrunePlan | undefined;
            const code = codeOf(() => {
              read = parsePrunePlan(json, { layers: 12 });
            });
            expect([undefined, 'GP_PRUNE_PLAN']).toContain(code);
            return read;
          })();
          // What was read reads again, the same, and has an id and a description.
          if (plan) {
            expect(parsePrunePlan(JSON.stringify(plan), { layers: 12 })).toEqual(
              JSON.parse(JSON.stringify(plan)),
            );
            expect(planId(plan)).toMatch(/^[0-9a-f]{16}$/);
            expect(describePlan(plan)).not.toBe('');
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('planId', () => {
  it('stays the same across releases', () => {
    expect(planId(full)).toMatchInlineSnapshot(`"033927a403065bd9"`);
    expect(planId({ decoder: [] })).toMatchInlineSnapshot(`"4f12356f178fade0"`);
  });

  it('ignores the name, the key order and written-out defaults', () => {
    const plan: PrunePlan = {
      encoder: { method: 'apet', keepRatio: 0.5, scope: undefined },
      decoder: [{ layer: 2, keepRatio: 0.5, method: 'v2drop' }],
    };
    const same = parsePrunePlan(
      '{"decoder":[{"method":"v2drop","scope":"document","minPerPage":0,"keepRatio":0.50,"layer":2}],' +
        '"encoder":{"merge":"none","basis":"always-keep","ridge":0.00001,"basisTokenCount":10,"keepRatio":0.5,"method":"apet"},"seed":0,"id":"x"}',
    );
    expect(planId(same)).toBe(planId(plan));
    expect(planId(resolvePlan(plan))).toBe(planId(plan));
  });

  it('changes with anything that changes what is dropped', () => {
    const variants = [
      full,
      { ...full, seed: 5 },
      { ...full, encoder: undefined },
      { ...full, encoder: { ...full.encoder!, keepRatio: 0.31 } },
      { ...full, decoder: full.decoder.slice(1) },
      { ...full, decoder: [] },
      randomTwin(full),
    ];
    expect(new Set(variants.map(planId)).size).toBe(variants.length);
  });
});

it('describes a plan in one line', () => {
  expect(describePlan(full)).toBe(
    'ApET with 8 basis tokens keeps 30 % after the encoder, dropped ones merged (by page, at least 4 a page); ' +
      'V²Drop keeps 50 % before layer 1; random keeps 30 % before layer 5 (at least 2 a page); ' +
      'V²Drop keeps 1 token before layer 9',
  );
  expect(describePlan({ decoder: [] })).toBe('keeps every token');
});

it('makes the random control of a plan: same counts, floors and scopes', () => {
  const twin = randomTwin(full);
  expect(twin.encoder).toEqual({ method: 'random', keepRatio: 0.3, scope: 'page', minPerPage: 4 });
  expect(
    twin.decoder.map(({ layer, keepRatio, keepCount, method }) => [
      layer,
      keepRatio,
      keepCount,
      method,
    ]),
  ).toEqual([
    [1, 0.5, undefined, 'random'],
    [5, 0.3, undefined, 'random'],
    [9, undefined, 1, 'random'],
  ]);
  expect(parsePrunePlan(JSON.stringify(twin))).toEqual(twin);
});

it('seeds each drop for itself', () => {
  const seeds = [
    dropSeed(full, 0),
    dropSeed(full, 1),
    dropSeed(full, 5),
    dropSeed({ decoder: [] }, 0),
  ];
  expect(new Set(seeds).size).toBe(4);
});

/** The path to every member of a JSON value. */
function memberPaths(value: object, prefix: string[] = []): string[][] {
  return Object.entries(value).flatMap(([key, member]) => {
    const path = [...prefix, key];
    return typeof member === 'object' && member !== null
      ? [path, ...memberPaths(member, path)]
      : [path];
  });
}
