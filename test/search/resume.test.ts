import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import { EvolutionProposer } from '../../src/search/evolution-proposer.js';
import { Journal } from '../../src/search/journal.js';
import type { Proposer } from '../../src/search/proposer.js';
import { RandomProposer } from '../../src/search/random-proposer.js';
import { referenceCandidates } from '../../src/search/references.js';
import { runSearch, type SearchOutcome, type SearchSetting } from '../../src/search/search.js';
import { openSearchFolder } from '../../src/search/search-folder.js';
import { parseSpace, Space } from '../../src/search/space.js';
import { summarise } from '../../src/search/summary.js';
import { temporaryFolder } from '../support/folders.js';
import { NARROW, SMOOTH, SyntheticEvaluator, syntheticTasks } from './synthetic.js';

const QUESTIONS = 12;
const space = new Space();

function setting(given: Partial<SearchSetting> = {}): SearchSetting {
  const evaluator = given.evaluator ?? new SyntheticEvaluator();
  return {
    space,
    tasks: syntheticTasks(),
    evaluator,
    proposer: new EvolutionProposer(QUESTIONS),
    references: referenceCandidates(given.space ?? space, null, 4),
    defaultConfig: null,
    seed: 1,
    budget: 24,
    generation: 5,
    patience: 5,
    minRatio: 1,
    ...given,
  };
}

async function search(log: string, given: Partial<SearchSetting> = {}): Promise<SearchOutcome> {
  const journal = new Journal(log);
  try {
    return await runSearch(setting(given), journal);
  } finally {
    journal.close();
  }
}

describe('a search that was killed', () => {
  const proposers: [string, () => Proposer][] = [
    ['evolution', () => new EvolutionProposer(QUESTIONS)],
    ['random', () => new RandomProposer()],
  ];
  it.each(proposers)('at any byte ends as an unbroken one does (%s)', async (_, proposer) => {
    const folder = temporaryFolder();
    const whole = path.join(folder, 'whole.jsonl');
    const unbroken = await search(whole, { proposer: proposer() });
    const bytes = readFileSync(whole);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(bytes.length), { minLength: 1, maxLength: 3 }),
        async (cuts) => {
          const log = path.join(folder, 'broken.jsonl');
          writeFileSync(log, bytes);
          for (const cut of cuts) {
            truncateSync(log, Math.min(cut, readFileSync(log).length));
            const outcome = await search(log, { proposer: proposer() });
            expect(readFileSync(log).equals(bytes)).toBe(true);
            expect(outcome).toEqual(unbroken);
          }
        },
      ),
      { numRuns: 8 },
    );
  });

  it('does nothing twice', async () => {
    const log = path.join(temporaryFolder(), 'trials.jsonl');
    await search(log);
    const evaluator = new SyntheticEvaluator();
    await search(log, { evaluator });
    expect(evaluator.calls).toBe(0);
  });

  it('does not go on from a log of another search', async () => {
    const log = path.join(temporaryFolder(), 'trials.jsonl');
    await search(log);
    const lines = readFileSync(log, 'utf8').split('\n');
    writeFileSync(log, [lines[0], ...lines.slice(2)].join('\n'));
    await expect(search(log)).rejects.toMatchObject({ code: 'GP_ARTIFACT_DAMAGED' });
    writeFileSync(log, 'no json\n');
    await expect(search(log)).rejects.toMatchObject({ code: 'GP_ARTIFACT_DAMAGED' });
  });
});

describe('trials side by side', () => {
  it('make the same log as one after the other', async () => {
    const folder = temporaryFolder();
    const [one, many] = [path.join(folder, 'one'), path.join(folder, 'many')];
    await search(one);
    await search(many, { evaluator: new SyntheticEvaluator(4) });
    expect(readFileSync(many, 'utf8')).toBe(readFileSync(one, 'utf8'));
  });
});

describe('a search', () => {
  it('keeps to its seed', async () => {
    const folder = temporaryFolder();
    const [one, again] = [path.join(folder, 'one'), path.join(folder, 'again')];
    expect(await search(one)).toEqual(await search(again));
    expect(readFileSync(again, 'utf8')).toBe(readFileSync(one, 'utf8'));
  });

  it.each([
    ['where much is readable', SMOOTH, 1.1],
    ['where little is readable', NARROW, 1.25],
  ])(
    'finds more than draws do, %s',
    async (_, landscape, advantage) => {
      const folder = temporaryFolder();
      const reached = async (name: string, seed: number, proposer: Proposer) => {
        const { generations } = await search(path.join(folder, `${name}${seed}`), {
          evaluator: new SyntheticEvaluator(1, undefined, landscape),
          proposer,
          seed,
          budget: 80,
          generation: 10,
          patience: 80,
        });
        return generations.at(-1)!.hypervolume;
      };
      let [evolved, drawn] = [0, 0];
      for (const seed of [1, 2, 3, 4, 5, 6]) {
        evolved += await reached('e', seed, new EvolutionProposer(QUESTIONS));
        drawn += await reached('r', seed, new RandomProposer());
      }
      expect(evolved).toBeGreaterThan(advantage * drawn);
    },
    240_000,
  );

  it('logs a configuration that fails, and goes on', async () => {
    const evaluator = new SyntheticEvaluator(1, ({ config }) => {
      if (config['font-family'] === 'DejaVu Serif')
        throw new GlyphpressError('GP_CONTEXT_LENGTH', { message: 'too long', hint: '' });
      if (Number(config.columns) > 2) throw new TypeError('nobody foresaw this');
    });
    const log = path.join(temporaryFolder(), 'trials.jsonl');
    const { records } = await search(log, { evaluator, budget: 60, patience: 60 });
    expect(records).toHaveLength(60);
    const codes = new Set(records.map(({ failure }) => failure?.code));
    expect(codes).toEqual(new Set([undefined, 'GP_CONTEXT_LENGTH', 'GP_INTERNAL']));
  });

  it('stops where nothing works any more, and goes on when it does again', async () => {
    const folder = temporaryFolder();
    let calls = 0;
    let isAway = true;
    const evaluator = new SyntheticEvaluator(1, () => {
      if (++calls > 30 && isAway)
        throw new GlyphpressError('GP_BACKEND_UNAVAILABLE', { message: 'away', hint: '' });
    });
    const [log, whole] = [path.join(folder, 'trials.jsonl'), path.join(folder, 'whole.jsonl')];
    const code = 'GP_BACKEND_UNAVAILABLE';
    await expect(search(log, { evaluator })).rejects.toMatchObject({ code });
    isAway = false;
    await search(log, { evaluator });
    await search(whole);
    expect(readFileSync(log, 'utf8')).toBe(readFileSync(whole, 'utf8'));
    // Where the server is there, the pages were what it did not like.
    [calls, isAway, evaluator.alive] = [0, true, true];
    const { records } = await search(path.join(folder, 'alive'), { evaluator });
    expect(records.some(({ failure }) => failure?.code === code)).toBe(true);
  });

  it('that can try nothing says why', async () => {
    const evaluator = new SyntheticEvaluator(1, () => {
      throw new GlyphpressError('GP_CONTEXT_LENGTH', { message: 'all too long', hint: '' });
    });
    const log = path.join(temporaryFolder(), 'trials.jsonl');
    await expect(search(log, { evaluator })).rejects.toThrow(/all too long \(GP_CONTEXT_LENGTH\)/);
  });

  it('reaches the wanted ratio in everything it chooses', async () => {
    const log = path.join(temporaryFolder(), 'trials.jsonl');
    const given = { minRatio: 3, budget: 60 };
    const outcome = await search(log, given);
    const { front, counts } = summarise(outcome, {
      ...setting(given),
      key: {},
      proposer: 'evolution',
      tasks: 'synthetic',
      timings: { wallMs: 0, renderMs: 0, inferenceMs: 0 },
      concurrency: 1,
      expand: null,
      questionsInAll: QUESTIONS,
    });
    expect(counts.infeasible).toBeGreaterThan(0);
    expect(front.length).toBeGreaterThan(0);
    for (const { stackedRatio, heldOut } of front) {
      expect(stackedRatio).toBeGreaterThanOrEqual(3);
      expect(heldOut!.questions).toBe(2 * QUESTIONS);
    }
  });

  it('ends early where the space is used up, or nothing is gained', async () => {
    const folder = temporaryFolder();
    const only = Object.fromEntries(
      space.free
        .filter((axis) => axis !== 'reflow')
        .map((axis) => [axis, space.axes[axis]!.defaultValue]),
    );
    const tiny = parseSpace({ axes: only }, { canPrune: true });
    const used = await search(path.join(folder, 'a'), {
      space: tiny,
      references: [],
      patience: 99,
    });
    expect(used.stoppedBy).toBe('space');
    expect(used.records.length).toBe(2);
    const idle = await search(path.join(folder, 'b'), { budget: 400, generation: 4, patience: 2 });
    expect(idle.stoppedBy).toBe('patience');
  });
});

describe('the folder of a search', () => {
  it('is kept from other searches and from other things', () => {
    const folder = temporaryFolder();
    openSearchFolder(path.join(folder, 'run'), { seed: '1' });
    openSearchFolder(path.join(folder, 'run'), { seed: '1' });
    const open = (name: string, key: Record<string, string>) => () =>
      openSearchFolder(path.join(folder, name), key);
    expect(open('run', { seed: '2' })).toThrow(/another seed/);
    writeFileSync(path.join(folder, 'run', 'run.json'), '{');
    expect(open('run', { seed: '1' })).toThrow(/does not describe a search/);
    expect(open('', { seed: '1' })).toThrow(/no search/);
  });
});
