import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import { SeededRandom } from '../../src/eval/seeded-random.js';
import { parsePrunePlan } from '../../src/prune/index.js';
import { PRESETS, parseRenderConfig } from '../../src/render/index.js';
import { AXES } from '../../src/search/axes.js';
import { clampValue, drawValue, holds, moveValue, valuesOf } from '../../src/search/domain.js';
import { referenceCandidates } from '../../src/search/references.js';
import { drawPoint, repairPoint } from '../../src/search/repair.js';
import { settingsId, settingsOf } from '../../src/search/settings.js';
import { loadSpace, parseSpace, Space } from '../../src/search/space.js';
import { temporaryFolder } from '../support/folders.js';

const whole = new Space();
const names = Object.keys(AXES);

/** Values of the axes and others, in any mixture. */
const anything = fc.dictionary(
  fc.constantFrom(...names, 'font-path', '__proto__'),
  fc.oneof(
    fc.double(),
    fc.integer({ min: -10, max: 2_000 }),
    fc.boolean(),
    fc.string(),
    fc.constantFrom(...names.flatMap((name) => valuesOf(AXES[name]!.domain).slice(0, 9))),
    fc.constant(null),
  ),
);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof GlyphpressError) return error.code;
    throw error;
  }
  return 'none';
}

describe('a domain', () => {
  it.each(names)('%s draws and moves within itself', (name) => {
    const { domain, defaultValue } = AXES[name]!;
    const random = new SeededRandom(name);
    expect(clampValue(domain, defaultValue)).toBe(defaultValue);
    for (let i = 0; i < 40; i++) {
      const value = drawValue(domain, random);
      expect(holds(domain, value)).toBe(true);
      const moved = moveValue(domain, value, random);
      expect(holds(domain, moved)).toBe(true);
      expect(moved).not.toBe(value);
    }
  });
});

describe('repair', () => {
  it('gives points that can be drawn and pruned, whatever comes in; twice is once', () => {
    fc.assert(
      fc.property(anything, (raw) => {
        const { point, problem } = repairPoint(raw, whole);
        if (point === null) return expect(problem).not.toBe('');
        expect(Object.keys(point).sort()).toEqual([...names].sort());
        const { config, plan } = settingsOf(point, 4);
        parseRenderConfig(config);
        parsePrunePlan(JSON.stringify(plan), { layers: 4 });
        expect(repairPoint(point, whole).point).toEqual(point);
      }),
      { numRuns: 300 },
    );
  });

  it('of drawn points is idempotent too, for any number of layers', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(1, 2, 4, 28, 40), (seed, layers) => {
        const point = drawPoint(whole, new SeededRandom(String(seed)));
        expect(repairPoint(point, whole).point).toEqual(point);
        parsePrunePlan(settingsOf(point, layers).plan, { layers });
      }),
      { numRuns: 200 },
    );
  });

  it('mends what does not go together', () => {
    const mended = repairPoint(
      { page: 'A5', columns: 4, 'margin-x': 40, 'font-size': 14, indent: 'hanging 2 em' },
      whole,
    ).point!;
    expect(mended.columns).toBeLessThan(4);
    expect(mended['font-size']).toBe(14);
  });

  it('draws on whole cells with grid lock at any resolution', () => {
    for (const dpi of [45, 72, 96, 110, 150]) {
      const { point } = repairPoint({ 'grid-lock': true, dpi, page: 'A4' }, whole);
      const { config } = settingsOf(point!, 4);
      expect(point!['grid-lock']).toBe(true);
      expect(parseRenderConfig(config).gridLock).toBe(true);
    }
  });

  it('forgets what has no effect, so that equal settings are equal points', () => {
    const a = repairPoint({ columns: 1, 'column-gap': 28, 'v2drop-1-depth': 0.9 }, whole).point!;
    const b = repairPoint({}, whole).point!;
    expect(a).toEqual(b);
    expect(settingsId(settingsOf(a, 4))).toBe(settingsId(settingsOf(b, 4)));
  });

  it('joins drops that fall on one layer', () => {
    const { point } = repairPoint(
      { 'v2drop-1-keep': 0.5, 'v2drop-1-depth': 0.5, 'v2drop-2-keep': 0.5, 'v2drop-2-depth': 0.5 },
      whole,
    );
    expect(settingsOf(point!, 4).plan.decoder).toEqual([
      { layer: 2, keepRatio: 0.25, method: 'v2drop' },
    ]);
  });
});

describe('a space file', () => {
  it('fixes, lists and narrows axes, and every point keeps to it', () => {
    const file = path.join(temporaryFolder(), 'space.json');
    const axes = {
      dpi: 72,
      'font-size': [8.25, 9],
      'margin-x': { min: 0, max: 4 },
      'font-family': 'DejaVu Sans Mono',
      page: '560,840',
    };
    writeFileSync(file, JSON.stringify({ axes }));
    const space = loadSpace(file, { canPrune: true });
    expect(space.free).not.toContain('dpi');
    for (let i = 0; i < 50; i++) {
      const point = drawPoint(space, new SeededRandom(String(i)));
      expect(point.dpi).toBe(72);
      expect(point.page).toBe('560,840');
      expect([8.25, 9]).toContain(point['font-size']);
      expect(Number(point['margin-x'])).toBeLessThanOrEqual(4);
    }
  });

  it.each([
    [[], 'GP_SEARCH_SPACE'],
    [{ axes: { nonsense: 1 } }, 'GP_SEARCH_SPACE'],
    [{ axes: { 'font-family': '../../etc/passwd' } }, 'GP_SEARCH_SPACE'],
    [{ axes: { 'newline-markup': '<script>x</script>' } }, 'GP_SEARCH_SPACE'],
    [{ axes: { 'font-size': 9999 } }, 'GP_SEARCH_SPACE'],
    [{ axes: { dpi: { min: 5, max: 8 } } }, 'GP_SEARCH_SPACE'],
    [{ axes: { dpi: [] } }, 'GP_SEARCH_SPACE'],
    [{ axes: {}, extra: 1 }, 'GP_SEARCH_SPACE'],
  ])('is refused: %j', (json, code) => {
    expect(codeOf(() => parseSpace(json, { canPrune: true }))).toBe(code);
  });

  it('without a valid point is said at the first draw', () => {
    const axes = { page: '60,60', 'font-size': 40, 'margin-x': 20, 'margin-y': 20 };
    const space = parseSpace({ axes }, { canPrune: true });
    expect(codeOf(() => drawPoint(space, new SeededRandom('x')))).toBe('GP_SEARCH_SPACE');
  });

  it('is not needed where a server takes whole pages: the plan stays empty', () => {
    const space = new Space(undefined, false);
    for (let i = 0; i < 20; i++)
      expect(settingsOf(drawPoint(space, new SeededRandom(String(i))), 4).plan).toEqual({
        decoder: [],
      });
  });
});

describe('named presets', () => {
  it('start the search as they are, each once', () => {
    const named = referenceCandidates(whole, PRESETS.reader!, 4);
    expect(named.map(({ name }) => name)).toEqual(
      expect.arrayContaining([...Object.keys(PRESETS), 'lossless', 'balanced']),
    );
    for (const { name, settings, outside } of named) {
      expect(outside).toBeUndefined();
      if (name! in PRESETS) expect(settings.config).toBe(PRESETS[name!]);
    }
  });

  it('hand their whole plan on to what is crossed with them', () => {
    for (const { name, settings, point } of referenceCandidates(whole, PRESETS.reader!, 4)) {
      const { id: _, ...plan } = settings.plan;
      expect(settingsOf(point, 4).plan, name!).toEqual(plan);
    }
  });

  it('are marked where the space leaves them out', () => {
    const space = parseSpace({ axes: { dpi: 72 } }, { canPrune: true });
    const outside = referenceCandidates(space, null, 4).filter((one) => one.outside);
    expect(outside.map(({ name }) => name)).toEqual(['glyph-96', 'glyph-120']);
  });
});
