import { describe, expect, it } from 'vitest';
import { failure, json, KEY, serve } from './model-server.js';

describe('listModels', () => {
  it('names the models', async () => {
    const { backend, seen } = await serve(
      json(200, { object: 'list', data: [{ id: 'zai-org/Glyph' }, { id: 'b' }] }),
    );
    expect(await backend().listModels()).toEqual(['zai-org/Glyph', 'b']);
    expect(seen[0]).toMatchObject({ method: 'GET', url: '/v1/models' });
    expect(seen[0]!.headers.authorization).toBe(`Bearer ${KEY}`);
  });

  it.each(['{}', '[]', '{"data":[{}]}', '{"data":[null]}', 'welcome'])(
    'refuses %s',
    async (body) => {
      const { backend } = await serve(json(200, body));
      expect((await failure(backend().listModels())).code).toBe('GP_BACKEND_RESPONSE');
    },
  );

  it('retries and refuses as ask does', async () => {
    const busy = await serve(json(503, ''), json(200, { data: [] }));
    expect(await busy.backend().listModels()).toEqual([]);
    const locked = await serve(json(401, ''));
    expect((await failure(locked.backend().listModels())).hint).toContain('GLYPHPRESS_API_KEY');
  });
});
