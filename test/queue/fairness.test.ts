import { describe, expect, it, vi } from 'vitest';
import { type DocumentRecord, STAGES, type Stage } from '../../src/queue/document-record.js';
import { Lanes } from '../../src/queue/lanes.js';
import { RightOfWay } from '../../src/queue/right-of-way.js';
import type { Step, StepContext } from '../../src/queue/stage-runner.js';
import { Turns } from '../../src/queue/turns.js';
import { VisionLanguageModel } from '../../src/vlm/index.js';
import { idleSteps, serviceForFile, submitText, until } from '../support/service.js';

const { redis, service, finished, withWorkers } = await serviceForFile(30_000);

const now = async (record: DocumentRecord) => (await service.records.get(record))!;
const submit = (tenant: string, text: string) => submitText(service, text, { tenant });

describe('a short document', () => {
  it.each(STAGES)('passes a long one of another tenant in %s', async (stage) => {
    let started = false;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const inner = idleSteps[stage];
    const steps: Partial<Record<Stage, Step>> = {
      ...idleSteps,
      [stage]: async (context: StepContext) => {
        if (context.record.tenant !== 'long') return inner(context);
        started = true;
        await held;
        return inner(context);
      },
    };
    await withWorkers(
      async () => {
        const long = await submit('long', `long ${stage}`);
        await until(() => started);
        const short = await submit('short', 'short');
        expect(await finished(short)).toMatchObject({ state: 'completed' });
        expect(await now(long)).toMatchObject({ state: 'in_progress', stage });
        release();
        expect(await finished(long)).toMatchObject({ state: 'completed' });
      },
      { steps },
    );
  });

  it('passes the pages of a long one that are encoded in parts', async () => {
    const order: string[] = [];
    const ranges = Array.from({ length: 6 }, (_, n) => ({ start: n, end: n + 1 }));
    const gates = new Map<string, () => void>();
    const steps: Partial<Record<Stage, Step>> = {
      ...idleSteps,
      encode: async ({ record, range, maySplit }) => {
        const { tenant } = record;
        if (tenant === 'parts' && maySplit) return { pages: 6, ranges };
        if (tenant === 'parts' && range) {
          await new Promise<void>((resolve) => gates.set(`${range.start}`, resolve));
        }
        order.push(range ? `${tenant} ${range.start}` : tenant);
        return { pages: 6 };
      },
    };
    // Nobody passes: it is the order of the queue alone that lets it through.
    await withWorkers(
      async () => {
        const long = await submit('parts', 'in six parts');
        await until(() => gates.has('0'));
        const short = await submit('brief', 'of one page');
        await until(async () => (await service.queue.nextTenant('encode')) === 'brief');
        gates.get('0')!();
        expect((await finished(short)).state).toBe('completed');
        expect(order).toEqual(['parts 0', 'brief']);
        for (let n = 1; n < 6; n++) {
          await until(() => gates.has(`${n}`));
          gates.get(`${n}`)!();
        }
        expect((await finished(long)).state).toBe('completed');
      },
      { steps, lanes: { passing: 0 } },
    );
  });

  it('passes parts of a long one that are in line before it, each time', async () => {
    const ranges = Array.from({ length: 3 }, (_, part) => ({ start: 0, end: 1, part }));
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let started = 0;
    const steps: Partial<Record<Stage, Step>> = {
      ...idleSteps,
      prefill: async ({ record, range, maySplit }) => {
        if (record.tenant !== 'whale') return { report: '{}' };
        if (maySplit) return { ranges };
        if (!range) return { report: '{}' };
        started++;
        await held;
        return {};
      },
    };
    await withWorkers(
      async () => {
        const long = await submit('whale', 'in three parts');
        await until(() => started === 1);
        // Each has a place behind the last one, and so behind more and more parts.
        for (let n = 0; n < 5; n++) {
          const short = await submit('minnow', `short ${n}`);
          expect((await finished(short)).state).toBe('completed');
        }
        expect(started).toBe(1);
        release();
        expect((await finished(long)).state).toBe('completed');
      },
      { steps },
    );
  });

  it('has its tenant’s turns at the model, in both stages that use it', async () => {
    const turns = vi.spyOn(VisionLanguageModel.prototype, 'inTurnsOf');
    try {
      await withWorkers(async () => {
        for (const tenant of ['first', 'second'])
          expect((await finished(await submit(tenant, `page of ${tenant}`))).state).toBe(
            'completed',
          );
      });
      const asked = turns.mock.calls.map(([tenant]) => tenant);
      expect(asked).toEqual(['first', 'first', 'second', 'second']);
    } finally {
      turns.mockRestore();
    }
  });

  it('has its turn when one that can be taken up again has had its own', async () => {
    let starts = 0;
    const steps: Partial<Record<Stage, Step>> = {
      ...idleSteps,
      render: async ({ record, signal }) => {
        if (record.tenant !== 'resumed' || ++starts > 1) return { pages: 1 };
        return new Promise<never>((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      },
    };
    const lanes = { passing: 0, turnMs: 50, passAfterMs: 0 };
    await withWorkers(
      async () => {
        const long = await submit('resumed', 'many pages');
        await until(() => starts === 1);
        const short = await submit('quick', 'one page');
        expect((await finished(short)).state).toBe('completed');
        // It went on without an error, and the start does not count against it.
        expect((await finished(long)).state).toBe('completed');
        expect(starts).toBe(2);
        const types = (await service.records.events(long, null)).map(({ type }) => type);
        expect(types).not.toContain('retry');
      },
      { steps, lanes },
    );
  });
});

describe('turns', () => {
  it('alternate between tenants, whatever each of them brings', async () => {
    const turns = new Turns(redis.redis);
    const stage = 'prefill';
    await redis.redis.del('gp:turns:prefill');
    const jobs: { tenant: string; place: number }[] = [];
    const add = async (tenant: string, count: number) => {
      for (const place of await turns.next(stage, tenant, 'normal', count))
        jobs.push({ tenant, place });
    };
    const take = async () => {
      const next = jobs.reduce((best, job) => (job.place < best.place ? job : best));
      jobs.splice(jobs.indexOf(next), 1);
      await turns.taken(stage, next.place);
      return next.tenant;
    };
    await add('a', 50);
    const order = [await take(), await take()];
    await add('b', 2);
    for (let n = 0; n < 4; n++) order.push(await take());
    expect(order.slice(0, 2)).toEqual(['a', 'a']);
    expect(order.slice(2, 6).filter((tenant) => tenant === 'b')).toHaveLength(2);
    // Who comes later stands before the rest of the first, and does not hold it up for ever.
    for (let n = 0; n < 5; n++) {
      await add('c', 1);
      order.push(await take(), await take());
    }
    expect(order.slice(6).filter((tenant) => tenant === 'a').length).toBeGreaterThanOrEqual(4);
    expect(order.slice(6).filter((tenant) => tenant === 'c')).toHaveLength(5);
  });

  it('of a class are before a tenant’s own others, and before nobody else’s', async () => {
    const turns = new Turns(redis.redis);
    const stage = 'prefill';
    await redis.redis.del('gp:turns:prefill');
    const [, , last] = await turns.next(stage, 'a', 'normal', 3);
    const [high] = await turns.next(stage, 'a', 'high');
    const [other] = await turns.next(stage, 'b', 'normal');
    expect(high).toBeLessThan(last!);
    expect(other).toBeLessThanOrEqual(high!);
    const [low] = await turns.next(stage, 'a', 'low');
    expect(low).toBeGreaterThan(last!);
  });

  it('forget tenants whose jobs were all started', async () => {
    const turns = new Turns(redis.redis);
    await redis.redis.del('gp:turns:prefill');
    const [place] = await turns.next('prefill', 'gone', 'normal');
    await turns.next('prefill', 'waiting', 'normal', 5);
    await turns.taken('prefill', place! + 1);
    await turns.tidy();
    expect(Object.keys(await redis.redis.hgetall('gp:turns:prefill')).sort()).toEqual([
      'clock',
      'waiting normal',
    ]);
  });
});

describe('the lanes of a stage', () => {
  function lanes(next: { tenant: string | null }, turnMs: number | null = 100) {
    let clock = 0;
    let passes = 0;
    const made = new Lanes({
      concurrency: 1,
      passing: 1,
      passAfterMs: 10,
      turnMs,
      bringForward: async (running) => next.tenant !== null && !running.has(next.tenant),
      letPass: () => passes++,
      nowMs: () => clock,
    });
    return {
      lanes: made,
      passes: () => passes,
      at: async (ms: number) => {
        clock = ms;
        await made.look();
      },
    };
  }

  it('let another tenant’s job pass once what is under way has been at it for a while', async () => {
    const next: { tenant: string | null } = { tenant: 'b' };
    const { lanes: made, passes, at } = lanes(next);
    await at(50);
    expect(passes()).toBe(0); // nothing is under way
    made.enter('a', 0, () => {});
    await at(55);
    expect(passes()).toBe(0);
    next.tenant = 'a';
    await at(70);
    next.tenant = null;
    await at(80);
    expect(passes()).toBe(0);
    next.tenant = 'b';
    await at(90);
    expect(passes()).toBe(1);
  });

  it('end the turn of the longest one where no more may pass, later each time it comes back', async () => {
    const ended: string[] = [];
    const { lanes: made, passes, at } = lanes({ tenant: 'c' });
    const leave = made.enter('a', 1, () => ended.push('a'));
    made.enter('b', 0, () => ended.push('b'));
    await at(60);
    expect({ passes: passes(), ended }).toEqual({ passes: 0, ended: [] });
    await at(110);
    expect(ended).toEqual(['b']);
    await at(210);
    expect(ended).toEqual(['b', 'a']);
    await at(1_000);
    expect(ended).toHaveLength(2);
    leave();
    await at(1_010);
    expect(passes()).toBe(1);
  });

  it('never end the turn of what would begin anew', async () => {
    const ended: string[] = [];
    const { lanes: made, at } = lanes({ tenant: 'c' }, null);
    made.enter('a', 0, () => ended.push('a'));
    made.enter('b', 0, () => ended.push('b'));
    await at(1e6);
    expect(ended).toEqual([]);
  });
});

describe('the right of way to the model', () => {
  const made = () => {
    const clock = { ms: 0 };
    return { clock, way: new RightOfWay({ firstMs: 100, lingerMs: 10, nowMs: () => clock.ms }) };
  };
  /** Whether a job would go on now. */
  const goesOn = async (job: ReturnType<RightOfWay['enter']>) => {
    const stop = new AbortController();
    let went = false;
    const going = job.makeWay(stop.signal).then(() => {
      went = !stop.signal.aborted;
    });
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await going;
    return went;
  };

  it('is that of another tenant’s job that came later, in its first seconds', async () => {
    const { clock, way } = made();
    const first = way.enter('a');
    clock.ms = 1;
    const own = way.enter('a');
    expect([await goesOn(first), await goesOn(own)]).toEqual([true, true]);
    clock.ms = 2;
    const other = way.enter('b');
    expect([await goesOn(first), await goesOn(other)]).toEqual([false, true]);
    clock.ms = 50;
    other.leave();
    expect(await goesOn(first)).toBe(false);
    clock.ms = 61;
    expect(await goesOn(first)).toBe(true);
    way.enter('c');
    clock.ms = 160;
    expect(await goesOn(first)).toBe(false);
    clock.ms = 161;
    expect(await goesOn(first)).toBe(true);
  });

  it('is waited for no longer than the job is wanted', async () => {
    const { clock, way } = made();
    const first = way.enter('a');
    clock.ms = 1;
    way.enter('b');
    const stop = new AbortController();
    stop.abort();
    await expect(first.makeWay(stop.signal)).resolves.toBeUndefined();
  });
});
