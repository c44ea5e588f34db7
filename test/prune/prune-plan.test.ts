import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  describePlan,
  dropSeed,
  type EncoderDrop,
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
    [{ encoder: { method: 'blank', keepRatio: 0.5 } }, 'encoder.keepRatio'],
    [{ encoder: { method: 'blank', blank: 'drop' } }, 'encoder.blank'],
    [{ encoder: { method: 'norm', keepRatio: 0.5, blank: 'no' } }, 'encoder.blank'],
    [{ encoder: { method: 'norm', keepRatio: 0.5, ridge: 1 } }, 'encoder.ridge'],
    [{ encoder: { method: 'edges' } }, 'encoder.keepRatio'],
    [{ encoder: { method: 'edges', keepRatio: 0.5, minPerLine: -1 } }, 'encoder.minPerLine'],
    [{ encoder: { method: 'apet', keepRatio: 0.5, neighbours: 65 } }, 'encoder.neighbours'],
    [{ encoder: { method: 'apet', keepRatio: 0.5, pageShare: 'ink' } }, 'encoder.pageShare'],
    [
      { encoder: { method: 'apet', keepRatio: 0.5, minPerLine: 1, merge: 'average' } },
      'encoder.merge',
    ],
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
    [{ decoder: [{ ...v2, method: 'norm' }] }, 'decoder[0].method'],
    [{ decoder: [{ ...v2, metric: 'l3' }] }, 'decoder[0].metric'],
    [{ decoder: [{ ...v2, basis: 'rank' }] }, 'decoder[0].basis'],
    [{ decoder: [{ ...v2, method: 'random', metric: 'l2' }] }, 'decoder[0].metric'],
    [{ decoder: [{ ...v2, method: 'apet', metric: 'l2' }] }, 'decoder[0].metric'],
    [{ decoder: [{ ...v2, trail: -1 }] }, 'decoder[0].trail'],
    [{ decoder: [{ ...v2, trail: 65 }] }, 'decoder[0].trail'],
    [{ decoder: [{ ...v2, method: 'random', trail: 1 }] }, 'decoder[0].trail'],
    [{ decoder: [{ ...v2, method: 'apet', slotOrder: 'rows' }] }, 'decoder[0].slotOrder'],
    [
      { encoder: { method: 'apet', keepRatio: 0.5, basisChoice: 'nearest' } },
      'encoder.basisChoice',
    ],
    [
      { encoder: { method: 'apet', keepRatio: 0.5, neighbours: 1, basis: 'blend' } },
      'encoder.basis',
    ],
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
      encoder: { method: 'apet', keepRatio: 0.5, scope: undefined } as unknown as EncoderDrop,
      decoder: [{ layer: 2, keepRatio: 0.5, method: 'v2drop' }],
    };
    const same = parsePrunePlan(
      '{"decoder":[{"method":"v2drop","scope":"document","minPerPage":0,"keepRatio":0.50,"layer":2}],' +
        '"encoder":{"merge":"none","basis":"always-keep","ridge":0.00001,"basisTokenCount":10,"keepRatio":0.5,"method":"apet"},"seed":0,"id":"x"}',
    );
    expect(planId(same)).toBe(planId(plan));
    expect(planId(resolvePlan(plan))).toBe(planId(plan));
  });

  it('ignores written-out defaults of keys that came later', () => {
    const plan: PrunePlan = {
      encoder: { method: 'apet', keepRatio: 0.5 },
      decoder: [{ layer: 2, keepRatio: 0.5, method: 'v2drop' }],
    };
    const same: PrunePlan = {
      encoder: { ...plan.encoder, basisChoice: 'farthest-point', slotOrder: 'raster' } as never,
      decoder: [{ ...plan.decoder[0]!, metric: 'l2' }],
    };
    expect(planId(same)).toBe(planId(plan));
    const other = [
      { ...plan, decoder: [{ ...plan.decoder[0]!, metric: 'l1' as const }] },
      { ...plan, decoder: [{ ...plan.decoder[0]!, method: 'apet' as const }] },
      { ...plan, encoder: { ...plan.encoder, basisChoice: 'random' } as never },
      { ...plan, encoder: { ...plan.encoder, basis: 'blend' } as never },
    ];
    expect(new Set([plan, ...other].map(planId)).size).toBe(5);
  });

  it('changes with anything that changes what is dropped', () => {
    const variants = [
      full,
      { ...full, seed: 5 },
      { decoder: full.decoder, id: full.id, seed: full.seed } as PrunePlan,
      { ...full, encoder: { ...full.encoder!, keepRatio: 0.31 } as EncoderDrop },
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
  const stages = parsePrunePlan({
    decoder: [
      { layer: 1, keepRatio: 0.5, method: 'v2drop', metric: 'cosine' },
      { layer: 2, keepRatio: 0.5, method: 'apet', merge: 'average', basis: 'overwrite' },
    ],
  });
  expect(describePlan(stages)).toBe(
    'V²Drop (cosine) keeps 50 % before layer 1; ApET keeps 50 % before layer 2, dropped ones merged',
  );
  expect(randomTwin(stages).decoder).toEqual([
    { layer: 1, keepRatio: 0.5, method: 'random' },
    { layer: 2, keepRatio: 0.5, method: 'random' },
  ]);
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

describe('drops that the pages decide', () => {
  const encoder = {
    method: 'edges',
    keepRatio: 0.5,
    scope: 'page',
    blank: 'drop',
    repeats: 'drop',
    minPerLine: 1,
    neighbours: 2,
    pageShare: 'ink',
  } as const;

  it('are read as given, and told in words', () => {
    const plan = parsePrunePlan({ encoder });
    expect(plan.encoder).toEqual(encoder);
    expect(describePlan(plan)).toBe(
      'blank cells go after the encoder; repetitions of earlier pages go after the encoder; edge density keeps 50 % after the encoder (at least 1 a text line, with 2 to each side, pages share by ink) (by page)',
    );
    expect(describePlan({ encoder: { method: 'blank' }, decoder: [] })).toBe(
      'blank cells go after the encoder',
    );
  });

  it('stay in the random twin, for equal counts; the ranking does not', () => {
    const plan: PrunePlan = { encoder, decoder: [] };
    expect(randomTwin(plan).encoder).toEqual({
      method: 'random',
      keepRatio: 0.5,
      scope: 'page',
      blank: 'drop',
      repeats: 'drop',
    });
    const blank: PrunePlan = { encoder: { method: 'blank' }, decoder: [] };
    expect(randomTwin(blank)).toEqual(blank);
  });

  it('change the id, and leave those of older plans as they were', () => {
    const ids = [
      { encoder: { method: 'blank' } },
      { encoder: { method: 'blank', repeats: 'drop' } },
      { encoder: { method: 'norm', keepRatio: 0.5 } },
      { encoder: { method: 'norm', keepRatio: 0.5, blank: 'drop' } },
      { encoder: { method: 'norm', keepRatio: 0.5, blank: 'drop', neighbours: 1 } },
    ].map((plan) => planId(parsePrunePlan(plan)));
    expect(new Set(ids).size).toBe(ids.length);
    expect(planId({ decoder: [{ layer: 2, keepRatio: 0.5, method: 'v2drop' }] })).toBe(
      '1d1144954afb56ad',
    );
  });
});
