import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { QUESTION_FIRST_READER_FOLDER } from '../../../src/cli/model-options.js';
import { madeUpHaystack } from '../../../src/eval/haystack.js';
import { SeededRandom } from '../../../src/eval/seeded-random.js';
import { LocalBackend } from '../../../src/pipeline/backends/local.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import { type PrunePlan, questionFirstPlan, randomTwin } from '../../../src/prune/index.js';
import { parseRenderConfig } from '../../../src/render/index.js';
import { VisionLanguageModel } from '../../../src/vlm/index.js';
import { sharedFolder } from '../../support/folders.js';

const FACTS = [
  ['What is the access code of the north gate?', '7F2A91'],
  ['What is the badge number of Clara?', '482913'],
] as const;
/** Of the visual tokens, a fifth goes on into the upper half of the decoder. */
const PLAN = questionFirstPlan(0.6, 4);

const prose = madeUpHaystack(new SeededRandom('a page of prose'), 7_000).map(({ text }) => text);
prose.splice(20, 0, `The access code of the north gate is ${FACTS[0][1]}.`);
prose.splice(90, 0, `The badge number of Clara is ${FACTS[1][1]}.`);
const document = decodeDocument(Buffer.from(prose.join(' ')), 'prose.txt');

const scratch = sharedFolder();
let model: VisionLanguageModel;
beforeAll(async () => {
  model = await VisionLanguageModel.open(QUESTION_FIRST_READER_FOLDER, {
    cacheDir: path.join(scratch, 'cache'),
    threads: 1,
  });
});
afterAll(() => model?.close());

async function ask(question: string, plan: PrunePlan) {
  const renderConfig = parseRenderConfig(model.info.rendering);
  const backend = new LocalBackend(model, { browsers: 1 });
  const opened = await backend.open(document, { renderConfig, plan, questionFirst: question });
  const { report } = opened;
  const { answer } = await opened.ask(question, { maxNewTokens: 60 });
  await opened.close();
  return { answer, report };
}

it('the reader keeps what the question speaks of, and drops most of the rest', async () => {
  expect(PLAN.decoder).toMatchObject([{ layer: 2, keepRatio: 0.2, method: 'v2drop' }]);
  for (const [question, value] of FACTS) {
    const { answer, report } = await ask(question, PLAN);
    expect(answer).toContain(value);
    expect(report.finalTokens).toBeLessThan(0.3 * report.visualTokens);
    // As many by chance.
    expect((await ask(question, randomTwin(PLAN))).answer).not.toContain(value);
  }
});
