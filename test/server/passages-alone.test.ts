/** The service with a model that reads passages without the pages: what is asked, counted and told. */

import path from 'node:path';
import { expect, it } from 'vitest';
import { ModelRegistry } from '../../src/service/models.js';
import { temporaryFolder } from '../support/folders.js';
import { testServer } from '../support/http.js';
import { passagesAloneModel } from '../support/models.js';
import { words } from '../support/rendering.js';
import { cleanUpAtEnd, TINY_NAME, testRedis } from '../support/service.js';

const cleanUp = cleanUpAtEnd();

it('counts passages that were read alone as all that was read', async () => {
  const folder = passagesAloneModel(path.join(temporaryFolder(), TINY_NAME));
  const models = () => new ModelRegistry([folder], { threads: 1 });
  const redis = await testRedis(cleanUp);
  const server = await testServer(redis, cleanUp, { models: models() }, { models: models() });
  const text = `${words(200)}\nThe gate is shut at nine.\n`;
  const { id } = await server.finished((await server.submit(text)).id);
  const ask = async (glyphpress: object = {}) => {
    const response = await server.fetch('/v1/chat/completions', {
      json: {
        model: TINY_NAME,
        max_tokens: 4,
        messages: [{ role: 'user', content: 'Which gate is shut?' }],
        glyphpress: { document_ids: [id], ...glyphpress },
      },
    });
    expect(response.status).toBe(200);
    return response.json();
  };
  const pages = await ask({ expand: 'off' });
  expect(pages.glyphpress).not.toHaveProperty('passages');
  // Nobody said that passages are to be read: this model does so by itself.
  const { usage, glyphpress } = await ask({ expand_budget: 600 });
  expect(glyphpress.passages).toBe('alone');
  const cost = usage.glyphpress;
  expect(cost.expanded_tokens).toBeGreaterThan(0);
  expect(cost.context_tokens).toBe(cost.expanded_tokens);
  expect(cost.stacked_ratio).toBeCloseTo(cost.text_tokens / cost.expanded_tokens);
  expect(usage.prompt_tokens_details.cached_tokens).toBe(0);
  expect(cost.text_prompt_tokens).toBe(
    cost.text_tokens + usage.prompt_tokens - cost.expanded_tokens,
  );
  const metrics = await (await server.fetch('/metrics')).text();
  const read = (kind: string) =>
    Number(new RegExp(`glyphpress_tokens_total\\{kind="${kind}"\\} (\\d+)`).exec(metrics)?.[1]);
  expect(read('context')).toBe(pages.usage.prompt_tokens_details.cached_tokens);
  expect(read('question')).toBe(usage.prompt_tokens + pages.usage.prompt_tokens - read('context'));
});
