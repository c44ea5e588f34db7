import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  findCachedModel,
  listCachedModels,
  removeCachedModel,
} from '../../src/vlm/hub/cached-models.js';
import { type HubSettings, hubSettings, parseHubName } from '../../src/vlm/hub/hub-settings.js';
import { pullModel } from '../../src/vlm/hub/pull-model.js';
import { VisionLanguageModel } from '../../src/vlm/model.js';
import { locateModel } from '../../src/vlm/model-location.js';
import { COMMIT, type HubServer, startHub } from '../support/hub-server.js';
import { TINY_MODEL } from '../support/models.js';

const scratch = mkdtempSync(path.join(tmpdir(), 'glyphpress-hub-'));
const served = path.join(scratch, 'served');
let hub: HubServer;
let count = 0;

beforeAll(async () => {
  cpSync(TINY_MODEL, served, { recursive: true });
  writeFileSync(path.join(served, 'pytorch_model.bin'), 'the same weights in another format');
  writeFileSync(path.join(served, 'README.md'), '# Tiny');
  mkdirSync(path.join(served, 'onnx'));
  mkdirSync(path.join(scratch, 'bare'));
  writeFileSync(path.join(scratch, 'bare/config.json'), '{}');
  hub = await startHub({
    'tiny/glm': { folder: served },
    'tiny/gated': { folder: served, token: 'hf_secret' },
    'tiny/bare': { folder: path.join(scratch, 'bare') },
  });
});
afterEach(() => {
  hub.mishaps = {};
  hub.requests.length = 0;
});
afterAll(async () => {
  await hub.close();
  rmSync(scratch, { recursive: true, force: true });
});

function settings(change: Partial<HubSettings> = {}): HubSettings {
  const cacheDir = path.join(scratch, `cache-${count++}`);
  return { endpoint: hub.url, token: undefined, cacheDir, offline: false, ...change };
}

const WEIGHTS = 'model.safetensors';
const weightBytes = readFileSync(path.join(TINY_MODEL, WEIGHTS));
/** Ranges of the weights that were asked for, without the question for the size. */
const rangesOf = (requests: readonly string[]) =>
  requests.filter((line) => line.includes(WEIGHTS) && !line.endsWith('bytes=0-0'));

describe('pullModel', () => {
  it('lays files out as huggingface_hub does, and the model opens by its name', async () => {
    const own = settings();
    const seen: number[] = [];
    const pulled = await pullModel('tiny/glm', {
      settings: own,
      onProgress: (done, total) => seen.push(done / total),
    });
    const repository = path.join(own.cacheDir, 'models--tiny--glm');
    expect(pulled).toMatchObject({
      id: 'tiny/glm',
      revision: 'main',
      commit: COMMIT,
      cachedBytes: 0,
    });
    expect(pulled.folder).toBe(path.join(repository, 'snapshots', COMMIT));
    expect(readFileSync(path.join(repository, 'refs/main'), 'utf8')).toBe(COMMIT);
    const files = readdirSync(pulled.folder).sort();
    expect(files).toEqual([...readdirSync(TINY_MODEL), 'README.md'].sort());
    for (const file of files) {
      expect(lstatSync(path.join(pulled.folder, file)).isSymbolicLink()).toBe(true);
      expect(readFileSync(path.join(pulled.folder, file))).toEqual(
        readFileSync(path.join(served, file)),
      );
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);

    const folder = await locateModel('tiny/glm', { settings: own });
    expect(folder).toBe(pulled.folder);
    const model = await VisionLanguageModel.open(folder, { threads: 1 });
    expect(model.info.family).toBe('glm4v');
    await model.close();
  });

  it('fetches nothing twice, and another revision of the same files not at all', async () => {
    const own = settings();
    const first = await pullModel('tiny/glm', { settings: own });
    hub.requests.length = 0;
    const again = await pullModel('tiny/glm@v1', { settings: own });
    expect(hub.requests.filter((line) => line.includes('/resolve/'))).toEqual([]);
    expect(again).toMatchObject({ cachedBytes: first.bytes, folder: first.folder });
    expect(await locateModel('tiny/glm@v1', { settings: own })).toBe(first.folder);
  });

  it('goes on by itself where the connection broke', async () => {
    const own = settings();
    hub.mishaps = { cutAfter: { [WEIGHTS]: [1000, 2000] } };
    const { folder } = await pullModel('tiny/glm', { settings: own });
    expect(readFileSync(path.join(folder, WEIGHTS)).equals(weightBytes)).toBe(true);
    const ranges = rangesOf(hub.requests);
    expect(ranges).toHaveLength(3);
    expect(ranges[1]).toContain(`bytes=1000-${weightBytes.byteLength - 1}`);
    expect(ranges[2]).toContain(`bytes=3000-${weightBytes.byteLength - 1}`);
  });

  it('keeps what came when it gives up, and the next pull goes on from there', async () => {
    const own = settings();
    hub.mishaps = { cutAfter: { [WEIGHTS]: [5000, 0, 0, 0] } };
    await expect(pullModel('tiny/glm', { settings: own })).rejects.toMatchObject({
      code: 'GP_HUB_UNAVAILABLE',
      retryable: true,
      hint: expect.stringContaining('goes on from there'),
    });
    expect(findCachedModel({ id: 'tiny/glm', revision: 'main' }, own)).toBeUndefined();
    hub.requests.length = 0;
    const { folder } = await pullModel('tiny/glm', { settings: own });
    expect(rangesOf(hub.requests)[0]).toContain('bytes=5000-');
    expect(readFileSync(path.join(folder, WEIGHTS)).equals(weightBytes)).toBe(true);
  });

  it('can be stopped', async () => {
    const own = settings();
    const abort = new AbortController();
    const pull = pullModel('tiny/glm', {
      settings: own,
      signal: abort.signal,
      onProgress: () => abort.abort(new Error('enough')),
    });
    await expect(pull).rejects.toThrow('enough');
    await expect(pullModel('tiny/glm', { settings: own })).resolves.toMatchObject({
      commit: COMMIT,
    });
  });

  it.each([WEIGHTS, 'tokenizer.json'])('throws a damaged %s away', async (name) => {
    const own = settings();
    hub.mishaps = { damaged: [name] };
    await expect(pullModel('tiny/glm', { settings: own })).rejects.toMatchObject({
      code: 'GP_HUB_UNAVAILABLE',
      message: expect.stringMatching(new RegExp(`^${name} of tiny/glm came damaged`)),
    });
    hub.mishaps = {};
    const { folder } = await pullModel('tiny/glm', { settings: own });
    expect(readFileSync(path.join(folder, name))).toEqual(readFileSync(path.join(served, name)));
  });

  it('says what is wrong with who asks', async () => {
    await expect(pullModel('tiny/gated', { settings: settings() })).rejects.toMatchObject({
      code: 'GP_HUB_REFUSED',
      message: expect.stringContaining('(401)'),
      hint: expect.stringContaining('HF_TOKEN'),
    });
    await expect(
      pullModel('tiny/gated', { settings: settings({ token: 'hf_wrong' }) }),
    ).rejects.toMatchObject({ code: 'GP_HUB_REFUSED', message: expect.stringContaining('(403)') });
    await expect(
      pullModel('tiny/gated', { settings: settings({ token: 'secret' }) }),
    ).rejects.toMatchObject({ message: expect.stringContaining('does not begin with hf_') });
    const own = settings({ token: 'hf_secret' });
    await expect(pullModel('tiny/gated', { settings: own })).resolves.toMatchObject({ files: 8 });
  });

  it.each<[string, RegExp]>([
    ['tiny/none', /\(401\)/],
    ['tiny/glm@nowhere', /\(404\)/],
    ['tiny/bare', /no safetensors weights/],
  ])('refuses %s', async (name, message) => {
    await expect(pullModel(name, { settings: settings() })).rejects.toMatchObject({
      code: 'GP_HUB_REFUSED',
      message: expect.stringMatching(message),
      retryable: false,
    });
  });

  it('names a file that is listed and not there', async () => {
    hub.mishaps = { missing: ['tokenizer.json'] };
    await expect(pullModel('tiny/glm', { settings: settings() })).rejects.toMatchObject({
      code: 'GP_HUB_UNAVAILABLE',
      message: expect.stringContaining('tokenizer.json of tiny/glm'),
    });
  });

  it('looks for space before it fetches', async () => {
    hub.mishaps = { claimedSize: { [WEIGHTS]: 1e15 } };
    await expect(pullModel('tiny/glm', { settings: settings() })).rejects.toMatchObject({
      code: 'GP_STORAGE',
      message: expect.stringMatching(/needs 1000000\d+ MB more .*; \d+ MB are free/),
    });
    expect(rangesOf(hub.requests)).toEqual([]);
  });

  it.runIf(existsSync('/dev/full'))('says so when the disk is full all the same', async () => {
    const own = settings();
    const { folder } = await pullModel('tiny/glm', { settings: own });
    const blobs = path.join(own.cacheDir, 'models--tiny--glm/blobs');
    const weights = readdirSync(blobs).find(
      (name) => statSync(path.join(blobs, name)).size === weightBytes.byteLength,
    )!;
    rmSync(path.join(folder, WEIGHTS));
    rmSync(path.join(blobs, weights));
    symlinkSync('/dev/full', path.join(blobs, `${weights}.incomplete`));
    await expect(pullModel('tiny/glm', { settings: own })).rejects.toMatchObject({
      code: 'GP_STORAGE',
      message: expect.stringContaining('ENOSPC'),
      hint: expect.stringContaining('HF_HOME'),
    });
  });

  it('says where it asked when nobody answers', async () => {
    const own = settings({ endpoint: 'http://127.0.0.1:9' });
    await expect(pullModel('tiny/glm', { settings: own })).rejects.toMatchObject({
      code: 'GP_HUB_UNAVAILABLE',
      message: expect.stringContaining('http://127.0.0.1:9'),
    });
  });

  it('does not append to a file that another process is fetching', async () => {
    const own = settings();
    const repository = path.join(own.cacheDir, 'models--tiny--glm');
    mkdirSync(repository, { recursive: true });
    writeFileSync(path.join(repository, '.glyphpress-pull'), String(process.ppid));
    await expect(pullModel('tiny/glm', { settings: own })).rejects.toMatchObject({
      message: expect.stringContaining(`Process ${process.ppid} is fetching`),
    });
    // A process that is gone holds nothing.
    writeFileSync(path.join(repository, '.glyphpress-pull'), '4194303');
    await expect(pullModel('tiny/glm', { settings: own })).resolves.toMatchObject({ files: 8 });
  });
});

describe('models on this machine', () => {
  it('are listed with what was compiled, and removed with it', async () => {
    const own = settings();
    const cacheDir = path.join(scratch, 'compiled');
    const { folder, bytes } = await pullModel('tiny/glm', { settings: own });
    const options = { settings: own, cacheDir };
    expect(await listCachedModels(options)).toEqual([
      {
        id: 'tiny/glm',
        revision: 'main',
        commit: COMMIT,
        folder,
        bytes,
        compiled: null,
        problem: null,
      },
    ]);
    const model = await VisionLanguageModel.open(folder, { threads: 1, dtype: 'int4', cacheDir });
    await model.close();
    const [listed] = await listCachedModels(options);
    expect(listed!.compiled!.bytes).toBeGreaterThan(100_000);
    const removed = await removeCachedModel({ id: 'tiny/glm', revision: 'main' }, options);
    expect(removed.bytes).toBe(bytes + COMMIT.length + listed!.compiled!.bytes);
    expect(removed.folders.filter(existsSync)).toEqual([]);
    expect(await listCachedModels(options)).toEqual([]);
    await expect(
      removeCachedModel({ id: 'tiny/glm', revision: 'main' }, options),
    ).rejects.toMatchObject({ code: 'GP_INPUT_NOT_FOUND' });
  });

  it('are listed with what keeps them from being used', async () => {
    const own = settings();
    const { folder } = await pullModel('tiny/glm', { settings: own });
    rmSync(path.join(folder, 'tokenizer.json'));
    const [listed] = await listCachedModels({ settings: own });
    expect(listed!.problem).toMatch(/tokenizer\.json does not exist/);
  });

  it('are found by name only where no folder has it', async () => {
    await expect(locateModel('tiny/unknown', { settings: settings() })).rejects.toMatchObject({
      code: 'GP_CHECKPOINT',
      hint: expect.stringContaining('glyphpress model pull tiny/unknown'),
    });
    expect(await locateModel(TINY_MODEL)).toBe(TINY_MODEL);
    await expect(locateModel('/no/such/model')).rejects.toThrow(/does not exist/);
  });
});

describe('settings', () => {
  it('are those of huggingface_hub', () => {
    expect(hubSettings({ HOME: '/home/x' })).toEqual({
      endpoint: 'https://huggingface.co',
      token: undefined,
      cacheDir: '/home/x/.cache/huggingface/hub',
      offline: false,
    });
    expect(
      hubSettings({
        HF_ENDPOINT: 'https://mirror.example/',
        HF_TOKEN: 'hf_x',
        HF_HOME: '/data/hf',
        HF_HUB_OFFLINE: '1',
      }),
    ).toEqual({
      endpoint: 'https://mirror.example',
      token: 'hf_x',
      cacheDir: '/data/hf/hub',
      offline: true,
    });
    const home = path.join(scratch, 'home');
    mkdirSync(home);
    writeFileSync(path.join(home, 'token'), 'hf_stored\n');
    expect(hubSettings({ HF_HOME: home, HF_HUB_CACHE: '/blobs' })).toMatchObject({
      token: 'hf_stored',
      cacheDir: '/blobs',
    });
  });

  it.each([
    ['zai-org/Glyph', { id: 'zai-org/Glyph', revision: 'main' }],
    ['a/b@refs/pr/1', { id: 'a/b', revision: 'refs/pr/1' }],
    ['a', undefined],
    ['a/b/c', undefined],
    ['../x', undefined],
    ['a/..', undefined],
    ['a/b@../../x', undefined],
    ['a/b@', undefined],
  ])('a name is owner/name[@revision]: %s', (text, model) => {
    expect(parseHubName(text)).toEqual(model);
  });
});
