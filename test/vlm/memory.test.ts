import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { Engine } from '../../src/vlm/engine.js';
import { checkDevice } from '../../src/vlm/runtime.js';
import { Golden, maxAbsDifference, TINY } from './golden.js';
import { goldenPrompt } from './prompts.js';

const cacheDir = mkdtempSync(join(tmpdir(), 'glyphpress-memory-'));
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

const QUESTIONS = 200;
const MB = 1024 ** 2;

describe('a model that is asked again and again', () => {
  it.each(['fp32', 'int4'])(
    'in %s stays as large as it was, whatever the lengths',
    async (dtype) => {
      const engine = await Engine.open(TINY, { threads: 1, dtype, cacheDir });
      const { prefix } = await goldenPrompt(engine, new Golden('one'));
      const select = async () => new Int32Array(0);
      const { handle } = await engine.prefill(prefix, [], { select });
      const sizes: number[] = [];
      for (let n = 0; n < QUESTIONS; n += 1) {
        // 200 lengths from 1 to 399, short and long in turn.
        const length = 1 + ((n * 131) % QUESTIONS) * 2;
        const answer = await engine.generate(
          handle,
          {
            tokenIds: Array.from({ length }, (_, token) => (token * 7 + n) % 200),
            position: prefix.next,
            maxNewTokens: 2,
            sampling: {},
          },
          () => {},
        );
        expect(answer).toBeDefined();
        sizes.push(process.memoryUsage.rss());
      }
      await engine.close();
      // The first questions grow the arena to its working size; measured after them: 3 MB (2026-11).
      const settled = Math.max(...sizes.slice(0, QUESTIONS / 4));
      const end = Math.max(...sizes.slice(-QUESTIONS / 4));
      expect(end - settled).toBeLessThan(20 * MB);
    },
  );
});

describe('a session', () => {
  it('keeps no memory patterns: one for every length would be kept for good', async () => {
    // In ONNX Runtime 1.30 their growth drowns in that of the heap on a model this small (800 runs of 200
    // shapes: 19 MB with them, 20 without), so what is held here is the setting.
    const create = vi.spyOn(InferenceSession, 'create');
    try {
      const engine = await Engine.open(TINY, { threads: 1, cacheDir });
      const { prefix } = await goldenPrompt(engine, new Golden('one'));
      const { handle } = await engine.prefill(prefix, [], {
        select: async () => new Int32Array(0),
      });
      const request = { tokenIds: [1], position: prefix.next, maxNewTokens: 1, sampling: {} };
      await engine.generate(handle, request, () => {});
      await engine.close();
      // Tower, layers for one row and for several, head.
      const options = create.mock.calls.map((call) => call[1 as 0] as unknown);
      expect(options).toHaveLength(4);
      for (const each of options) expect(each).toMatchObject({ enableMemPattern: false });
    } finally {
      create.mockRestore();
    }
  });
});

describe('a large model', () => {
  it('does not keep its tower beside its layers, and answers what it would with it', async () => {
    const open = async (largeBytes?: number) => {
      const create = vi.spyOn(InferenceSession, 'create');
      const engine = await Engine.open(TINY, {
        threads: 1,
        ...(largeBytes === 0 && { largeBytes }),
      });
      try {
        const golden = new Golden('one');
        const { prefix } = await goldenPrompt(engine, golden);
        const select = async () => new Int32Array(0);
        const { caches } = await engine.prefill(prefix, [], { select });
        const again = await goldenPrompt(engine, golden);
        expect(again.prefix.features).toEqual(prefix.features);
        const keys = caches.at(-1)!.toContext().keys as Float32Array;
        return { sessions: create.mock.calls.length, keys };
      } finally {
        await engine.close();
        create.mockRestore();
      }
    };
    const [small, large] = [await open(), await open(0)];
    // The tower and the layers; of a large model, the tower once more for the next page.
    expect([small.sessions, large.sessions]).toEqual([2, 3]);
    expect(maxAbsDifference(large.keys, small.keys)).toBeLessThanOrEqual(1e-4);
  });
});

describe('a device', () => {
  it('that the binary was not built for is refused by name', async () => {
    expect(() => checkDevice('cpu', [])).not.toThrow();
    expect(() => checkDevice('webgpu', ['cpu', 'webgpu'])).not.toThrow();
    expect(() => checkDevice('coreml', ['cpu', 'webgpu'])).toThrow(
      expect.objectContaining({
        code: 'GP_MODEL_DEVICE',
        message: expect.stringMatching(
          /coreml: this machine's ONNX Runtime was built for cpu, webgpu/,
        ),
        hint: expect.stringContaining('--device cpu'),
      }),
    );
    expect(() => checkDevice('tpu', ['cpu'])).toThrow(/tpu/);
    await expect(Engine.open(TINY, { device: 'dml' })).rejects.toMatchObject({
      code: process.platform === 'win32' ? expect.any(String) : 'GP_MODEL_DEVICE',
    });
  });
});
