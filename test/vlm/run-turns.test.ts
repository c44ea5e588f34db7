import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../src/vlm/engine.js';
import { VisionLanguageModel } from '../../src/vlm/index.js';
import { RunTurns } from '../../src/vlm/run-turns.js';
import { Golden, TINY } from './golden.js';
import { goldenPrompt, type Prompt } from './prompts.js';

const golden = new Golden('three');

/** Each run takes as long as it says, by a clock that nothing else moves. */
function turnsWithClock() {
  let clock = 0;
  const turns = new RunTurns(() => clock);
  const order: string[] = [];
  const run = (group: string, ms: number, during = () => {}) =>
    turns.run(group, async () => {
      order.push(group);
      clock += ms;
      during();
    });
  /** One after the other, as the runs of a prefill. */
  const runs = async (group: string, count: number, ms: number) => {
    for (let n = 0; n < count; n++) await run(group, ms);
  };
  return { order, run, runs };
}

describe('runs on the thread of a model', () => {
  it('of somebody else who comes meanwhile are next, whatever the first has asked for already', async () => {
    const { order, run, runs } = turnsWithClock();
    const coming: Promise<void>[] = [];
    const first = run('long', 300, () => coming.push(run('long', 300), runs('short', 2, 10)));
    await first;
    await Promise.all(coming);
    expect(order).toEqual(['long', 'short', 'short', 'long']);
  });

  it('of somebody whose message came during a run are next, though they were asked for last', async () => {
    const { order, run, runs } = turnsWithClock();
    const { port1, port2 } = new MessageChannel();
    const short = new Promise<void>((resolve) => {
      port2.onmessage = () => resolve(run('short', 10));
    });
    await new Promise(setImmediate); // where ONNX Runtime runs a graph
    const first = run('long', 300, () => port1.postMessage(null));
    await Promise.all([first, runs('long', 2, 300), short]);
    port1.close();
    expect(order).toEqual(['long', 'short', 'long', 'long']);
  });

  it('take turns by what they took: many short ones for a long one', async () => {
    const { order, runs } = turnsWithClock();
    await Promise.all([runs('long', 3, 100), runs('short', 20, 10)]);
    expect(order.join(' ')).toBe(
      `long ${'short '.repeat(10)}long ${'short '.repeat(10)}long`.trim(),
    );
  });

  it('are no fewer for who asked for none so far, and no more', async () => {
    const { order, run, runs } = turnsWithClock();
    await runs('a', 10, 100);
    await run('b', 100);
    order.length = 0;
    await Promise.all([runs('a', 4, 100), runs('b', 4, 100)]);
    for (const half of [order.slice(0, 4), order.slice(4)])
      expect([...half].sort()).toEqual(['a', 'a', 'b', 'b']);
  });

  it('give their place back when they fail', async () => {
    const { order, run, runs } = turnsWithClock();
    const failing = run('a', 1, () => {
      throw new Error('no');
    });
    const after = runs('b', 2, 1);
    await expect(failing).rejects.toThrow('no');
    await after;
    expect(order).toEqual(['a', 'b', 'b']);
  });
});

describe('a model that is prefilling one document', () => {
  let engine: Engine;
  let prompt: Prompt;

  beforeAll(async () => {
    engine = await Engine.open(TINY, { threads: 1, prefillChunk: 4 });
    prompt = await goldenPrompt(engine, golden);
  });
  afterAll(() => engine.close());

  /** Prefills for `long`, and does `work` of another group after its first run. */
  async function beside(work: () => Promise<unknown>): Promise<string[]> {
    const order: string[] = [];
    let other: Promise<unknown> | undefined;
    const onProgress = () => {
      order.push('long');
      other ??= work().then(() => order.push('short'));
    };
    const { handle } = await engine.prefill(
      prompt.prefix,
      [],
      { select: () => Promise.reject(new Error('nothing is dropped')), onProgress },
      'long',
    );
    await other;
    engine.dropContext(handle);
    return order;
  }

  it('encodes the page of another after one run, not after the document', async () => {
    await engine.encodeImage(golden.images[0]!); // its session is open
    const order = await beside(() => engine.encodeImage(golden.images[0]!, 'short'));
    expect(order.length).toBeGreaterThan(5);
    expect(order.indexOf('short')).toBe(1);
  });

  it('answers the question of another meanwhile', async () => {
    const { handle } = await engine.prefill(prompt.prefix, [], { select: () => Promise.reject() });
    const request = {
      tokenIds: prompt.suffixIds.slice(0, 1),
      position: prompt.prefix.next,
      maxNewTokens: 1,
      sampling: {},
    };
    const tokens: number[] = [];
    const order = await beside(() =>
      engine.generate(handle, request, (id) => tokens.push(id), undefined, 'short'),
    );
    expect(order.indexOf('short')).toBeLessThan(order.length - 1);
  });
});

describe('a model for one group of callers', () => {
  it('is the same opened model, with its contexts', async () => {
    const model = await VisionLanguageModel.open(TINY, { threads: 1 });
    try {
      const other = await VisionLanguageModel.open(TINY, { threads: 1 });
      expect(model.inTurnsOf('a').isSameAs(model.inTurnsOf('b'))).toBe(true);
      expect(model.isSameAs(other)).toBe(false);
      await other.close();
      const { tokenGrid, tokens } = await model.inTurnsOf('a').encodeImage(golden.images[0]!);
      const kept = Int32Array.from({ length: tokenGrid.rows * tokenGrid.cols }, (_, n) => n);
      const context = await model.inTurnsOf('a').prefill([{ tokenGrid, tokens, kept }], []);
      expect(await model.contextCount()).toBe(1);
      await model.inTurnsOf('b').forget(context);
      expect(await model.contextCount()).toBe(0);
    } finally {
      await model.close();
    }
  });
});
