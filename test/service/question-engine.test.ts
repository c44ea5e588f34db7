import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeDocument } from '../../src/pipeline/read-document.js';
import { FairQueue } from '../../src/service/fair-queue.js';
import { QuestionEngine } from '../../src/service/question-engine.js';
import { sharedFolder } from '../support/folders.js';
import { openInFolder } from '../support/local-backend.js';
import { smallConfig, words } from '../support/rendering.js';
import { TINY_NAME, tinyModels } from '../support/service.js';

const open = () => new AbortController().signal;

describe('the line of questions', () => {
  /** Work that ends when it is told to. */
  function work(order: string[], name: string) {
    let finish = () => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    return {
      finish,
      run: async () => {
        order.push(name);
        await done;
      },
    };
  }

  it('takes turns between groups, however much one of them asks', async () => {
    const queue = new FairQueue(1, 10);
    const order: string[] = [];
    const works = ['a1', 'a2', 'a3', 'a4', 'b1', 'c1'].map((name) => ({
      name,
      ...work(order, name),
    }));
    const all = works.map(({ name, run }) => queue.run(name[0]!, open(), run));
    expect([queue.running, queue.waiting]).toEqual([1, 5]);
    for (const { finish } of works) finish();
    await Promise.all(all);
    expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'a4']);
    expect([queue.running, queue.waiting]).toEqual([0, 0]);
  });

  it('refuses more than it holds, and forgets those who leave', async () => {
    const queue = new FairQueue(1, 1);
    const order: string[] = [];
    const first = work(order, 'first');
    const running = queue.run('a', open(), first.run);
    const leaving = new AbortController();
    const left = queue.run('b', leaving.signal, async () => order.push('never'));
    await expect(queue.run('c', open(), async () => {})).rejects.toMatchObject({
      code: 'GP_BUSY',
      retryable: true,
    });
    leaving.abort();
    await expect(left).rejects.toMatchObject({ name: 'AbortError' });
    const next = queue.run('c', open(), async () => order.push('next'));
    first.finish();
    await Promise.all([running, next]);
    expect(order).toEqual(['first', 'next']);
  });

  it('goes on after work that fails', async () => {
    const queue = new FairQueue(1, 5);
    const failing = queue.run('a', open(), () => Promise.reject(new Error('no')));
    const next = queue.run('a', open(), async () => 'yes');
    await expect(failing).rejects.toThrow('no');
    await expect(next).resolves.toBe('yes');
  });
});

describe('the engine', () => {
  const root = sharedFolder();
  const models = tinyModels();
  const folders = ['one', 'two', 'three'].map((name) => path.join(root, name));
  let contextBytes: number;
  afterAll(() => models.close());
  beforeAll(async () => {
    const model = await models.open(TINY_NAME);
    for (const [index, folder] of folders.entries()) {
      const document = decodeDocument(Buffer.from(words(60, index + 1)), 'words');
      const settings = { renderConfig: smallConfig() };
      const opened = await openInFolder(model, folder, document, settings);
      contextBytes = opened.heldBytes;
      await opened.close();
    }
  });

  const ask = (engine: QuestionEngine, folder: string, more: object = {}) =>
    engine.ask({
      model: TINY_NAME,
      folders: [folder],
      question: 'Which gate?',
      asker: 'a',
      maxNewTokens: 4,
      signal: open(),
      ...more,
    });

  it('reads a context once, and lets the least recently asked go', async () => {
    const engine = new QuestionEngine(models, { maxBytes: 2.5 * contextBytes });
    const [one, two, three] = folders as [string, string, string];
    expect((await ask(engine, one)).loadMs).toBeGreaterThan(0);
    await ask(engine, two);
    expect((await ask(engine, one)).loadMs).toBe(0);
    await ask(engine, three);
    expect(engine.contexts).toBe(2);
    expect((await ask(engine, one)).loadMs).toBe(0);
    expect((await ask(engine, two)).loadMs).toBeGreaterThan(0);
  });

  it('answers several at once as it answers them alone', async () => {
    const engine = new QuestionEngine(models, { concurrency: 3 });
    const alone = [];
    for (const folder of folders) alone.push((await ask(engine, folder)).answer);
    const together = await Promise.all(
      [...folders, ...folders].map((folder, n) => ask(engine, folder, { asker: `asker ${n}` })),
    );
    expect(together.map(({ answer }) => answer)).toEqual([...alone, ...alone]);
  });

  it('opens a model again whose thread has died', async () => {
    const engine = new QuestionEngine(models);
    const { answer } = await ask(engine, folders[0]!);
    await (await models.open(TINY_NAME)).close();
    expect((await ask(engine, folders[0]!)).answer).toBe(answer);
  });

  it('forgets what is deleted', async () => {
    const engine = new QuestionEngine(models);
    await ask(engine, folders[2]!);
    await engine.drop(folders[2]!);
    rmSync(folders[2]!, { recursive: true });
    await expect(ask(engine, folders[2]!)).rejects.toMatchObject({ code: 'GP_ARTIFACT_DAMAGED' });
    expect(engine.contexts).toBe(0);
  });
});
