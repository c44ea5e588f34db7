import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import { FolderStore } from '../../src/service/folder-store.js';
import { introduceService, problemOfWorker } from '../../src/service/introduction.js';
import { ModelRegistry } from '../../src/service/models.js';
import { untrainedModel } from '../support/models.js';
import {
  idleSteps,
  serviceForFile,
  startTestWorkers,
  submitText,
  TINY_NAME,
  until,
} from '../support/service.js';

const { cleanUp, redis, service, finished } = await serviceForFile(20_000);
const base = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-introduction-'));
const marker = path.join(service.store.root, 'marker');
cleanUp.push(async () => rmSync(base, { recursive: true, force: true }));
await introduceService({ ...service, redis: redis.redis });

const problemWith = (parts: Partial<Parameters<typeof problemOfWorker>[0]> = {}) =>
  problemOfWorker({ ...service, redis: redis.redis, ...parts });

describe('a worker introduces itself', () => {
  it('and is taken where store, models and version are those of the service', async () => {
    expect(await problemWith()).toBeNull();
    expect(await problemWith({ version: '0.1.99' })).toBeNull();
    const workers = await startTestWorkers(redis, { steps: idleSteps });
    const record = await submitText(service, 'taken');
    expect((await finished(record)).state).toBe('completed');
    await workers.close(0);
  });

  it('and takes no jobs with another folder, and says so', async () => {
    const dataFolder = path.join(base, 'elsewhere');
    mkdirSync(dataFolder);
    const record = await submitText(service, 'not for that worker');
    const starting = startTestWorkers({ ...redis, dataFolder }, { steps: idleSteps });
    await expect(starting).rejects.toMatchObject({
      code: 'GP_WORKER',
      message: expect.stringContaining('is not the store of the service'),
    });
    expect(await service.records.get(record)).toMatchObject({ state: 'queued' });
    await service.documents.remove(record);
    const other = new FolderStore(path.join(base, 'other'));
    await other.writeMarker('of another service');
    expect((await problemWith({ store: other }))?.message).toContain(
      'the store of another service',
    );
  });

  it('and is not taken with another model, without one, or of another release', async () => {
    const folder = path.join(base, TINY_NAME);
    const models = new ModelRegistry([untrainedModel(folder)]);
    expect((await problemWith({ models }))?.message).toMatch(/model .* is another than that/);
    const others = new ModelRegistry([untrainedModel(path.join(base, 'another-name'))]);
    expect((await problemWith({ models: others }))?.message).toMatch(/which is not here/);
    expect(await problemWith({ version: '99.0.0' })).toMatchObject({
      code: 'GP_WORKER',
      details: { got: '99.0.0' },
    });
  });

  it('and is not taken where it cannot write', async () => {
    const store = new FolderStore(redis.dataFolder);
    store.probe = async () => {
      throw new Error('read-only');
    };
    expect((await problemWith({ store }))?.message).toContain('takes no files: read-only');
  });
});

it('a service with another store than that of its Redis does not start', async () => {
  const store = new FolderStore(path.join(base, 'second'));
  await expect(introduceService({ ...service, store, redis: redis.redis })).rejects.toMatchObject({
    code: 'GP_SERVICE',
  });
  await expect(introduceService({ ...service, redis: redis.redis })).resolves.toBeUndefined();
});

describe('a worker that loses its store', () => {
  it('gives its document to another, and takes no more', async () => {
    const name = readFileSync(marker, 'utf8');
    let tries = 0;
    const steps = {
      ...idleSteps,
      extract: async () => {
        tries++;
        rmSync(marker);
        throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      },
    };
    const lost = await startTestWorkers(redis, { steps, fitEveryMs: 1e9 });
    const record = await submitText(service, 'found elsewhere');
    expect(await lost.unfit).toBeInstanceOf(GlyphpressError);
    writeFileSync(marker, name);
    const other = await startTestWorkers(redis, { steps: idleSteps });
    expect((await finished(record)).state).toBe('completed');
    expect(tries).toBe(1);
    const types = (await service.records.events(record, null)).map(({ type }) => type);
    expect(types).not.toContain('retry');
    await Promise.all([lost.close(0), other.close(0)]);
  });

  it('notices it between jobs, too', async () => {
    const name = readFileSync(marker, 'utf8');
    const workers = await startTestWorkers(redis, { steps: idleSteps, fitEveryMs: 20 });
    rmSync(marker);
    expect(await workers.unfit).toMatchObject({ code: 'GP_WORKER' });
    const record = await submitText(service, 'waits for a worker');
    writeFileSync(marker, name);
    await workers.close(0);
    expect(await service.records.get(record)).toMatchObject({ state: 'queued' });
    const other = await startTestWorkers(redis, { steps: idleSteps });
    await until(async () => (await service.records.get(record))?.state === 'completed');
    await other.close(0);
  });
});
