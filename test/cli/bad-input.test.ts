import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CATALOGUE } from '../../src/errors.js';
import { CONTEXT_FORM } from '../../src/pipeline/artifacts/stored-context.js';
import { writeArtifact } from '../../src/store/artifact-folder.js';
import { glyphpress } from '../support/cli.js';
import { namesIn, sharedFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';

const folder = sharedFolder();
const at = (name: string) => path.join(folder, name);
function put(name: string, content: string | Buffer): string {
  writeFileSync(at(name), content);
  return at(name);
}

const good = put('good.txt', 'The north gate is shut.');
const empty = put('empty.txt', '');
const latin = put('latin.txt', Buffer.from('caf\xe9 noir', 'latin1'));
const plan = put('plan.json', '{"decoder":[{"layer":1,"keepRatio":0.5,"method":"v2drop"}]}');
const badPlan = put('bad-plan.json', '{"decoder":[{"layer":1,"keepRatio":1.5,"method":"v2drop"}]}');
const deepPlan = put(
  'deep-plan.json',
  '{"decoder":[{"layer":99,"keepRatio":0.5,"method":"v2drop"}]}',
);
const notJson = put('not.json', '{"decoder": [');
const odd = put('odd.json', '{"font-sise": 9}');
mkdirSync(at('mine'));
put('mine/thesis.txt', 'mine');
mkdirSync(at('no-model'));
await writeArtifact(at('used.gp'), CONTEXT_FORM, { document: 'other' }, async () => ({
  documentId: 'doc_other',
}));

const TINY = ['--model', TINY_MODEL];
const out = at('out');
/** Nothing here gets as far as drawing. */
const env = { GLYPHPRESS_CACHE: at('cache'), GLYPHPRESS_CHROME: '/nonexistent/chrome' };

const cases: [what: string, args: string[], code: string, message: RegExp][] = [
  ['a missing file', ['ask', at('none.txt'), 'Who?', ...TINY], 'GP_INPUT_NOT_FOUND', /none\.txt/],
  ['a missing file', ['compress', at('none.txt'), '-o', out], 'GP_INPUT_NOT_FOUND', /none\.txt/],
  ['a missing file', ['render', at('none.txt'), '-o', out], 'GP_INPUT_NOT_FOUND', /none\.txt/],
  ['a path through a file', ['ask', `${good}/x`, 'Who?'], 'GP_INPUT_UNREADABLE', /ENOTDIR/],
  ['a folder without text', ['render', at('no-model'), '-o', out], 'GP_INPUT_EMPTY', /no text in/],
  ['a pattern for nothing', ['ask', at('*.md'), 'Who?'], 'GP_INPUT_NOT_FOUND', /Nothing matches/],
  ['an address, unasked', ['ask', 'https://example.org', 'Who?'], 'GP_USAGE', /is a URL/],
  ['a question alone', ['ask', 'Who?'], 'GP_USAGE', /question/],
  ['a device for a text', ['render', '/dev/zero', '-o', out], 'GP_INPUT_UNREADABLE', /no regular/],
  ['an empty folder', ['ask', at('no-model'), 'Who?'], 'GP_INPUT_EMPTY', /no text in/],
  ['an empty file', ['ask', empty, 'Who?', ...TINY], 'GP_INPUT_EMPTY', /holds no text/],
  ['an empty file', ['render', empty, '-o', out], 'GP_INPUT_EMPTY', /holds no text/],
  [
    'bytes that are not in the stated encoding',
    ['ask', latin, 'Who?', '--encoding', 'utf-8'],
    'GP_INPUT_ENCODING',
    /byte 3 is 0xe9/,
  ],
  [
    'bytes that are not UTF-16',
    ['render', good, '-o', out, '--encoding', 'utf-16be'],
    'GP_INPUT_ENCODING',
    /utf-16be/,
  ],
  [
    'an unknown config key',
    ['ask', good, 'Who?', '--set', 'font-sise=9'],
    'GP_CONFIG_UNKNOWN_KEY',
    /font-sise/,
  ],
  [
    'an unknown key in a file',
    ['render', good, '-o', out, '--config', odd],
    'GP_CONFIG_UNKNOWN_KEY',
    /font-sise/,
  ],
  ['a config value', ['render', good, '-o', out, '--set', 'dpi=-1'], 'GP_CONFIG_VALUE', /dpi/],
  [
    'a config that is no JSON',
    ['render', good, '-o', out, '--config', notJson],
    'GP_CONFIG_SYNTAX',
    /not\.json/,
  ],
  [
    'a missing config',
    ['render', good, '-o', out, '--config', at('x.json')],
    'GP_INPUT_NOT_FOUND',
    /x\.json/,
  ],
  [
    'a ratio in a plan',
    ['ask', good, 'Who?', '--plan', badPlan, ...TINY],
    'GP_PRUNE_PLAN',
    /decoder\[0\]\.keepRatio/,
  ],
  [
    'a layer in a plan',
    ['ask', good, 'Who?', '--plan', deepPlan, ...TINY],
    'GP_PRUNE_PLAN',
    /layer < 4/,
  ],
  [
    'a plan that is no JSON',
    ['compress', good, '-o', out, '--plan', notJson, ...TINY],
    'GP_PRUNE_PLAN',
    /JSON/,
  ],
  [
    'a missing plan',
    ['ask', good, 'Who?', '--plan', at('x.json'), ...TINY],
    'GP_INPUT_NOT_FOUND',
    /x\.json/,
  ],
  [
    'a folder for a plan',
    ['ask', good, 'Who?', '--plan', folder, ...TINY],
    'GP_INPUT_UNREADABLE',
    /plan/,
  ],
  [
    'a plan and a share',
    ['ask', good, 'Who?', '--plan', plan, '--keep', '0.5', ...TINY],
    'GP_USAGE',
    /--plan and --keep/,
  ],
  ['a missing model', ['ask', good, 'Who?', '--model', at('x')], 'GP_CHECKPOINT', /does not exist/],
  [
    'a folder without a model',
    ['ask', good, 'Who?', '--model', at('no-model')],
    'GP_CHECKPOINT',
    /config\.json/,
  ],
  ['a missing model', ['model', 'inspect', at('x')], 'GP_CHECKPOINT', /does not exist/],
  ['an empty question', ['ask', good, ' '], 'GP_USAGE', /question is empty/],
  [
    'a folder of others',
    ['compress', good, '-o', at('mine'), ...TINY],
    'GP_OUTPUT_EXISTS',
    /thesis\.txt/,
  ],
  [
    'a file for a folder',
    ['compress', good, '-o', plan, ...TINY],
    'GP_OUTPUT_EXISTS',
    /plan\.json/,
  ],
  [
    'a place for no folder',
    ['compress', good, '-o', '/proc/x/y', ...TINY],
    'GP_OUTPUT_UNWRITABLE',
    /\/proc\/x/,
  ],
  [
    'a place for no folder',
    ['eval', 'curve', '--markdown', '/proc/x/curve.md', ...TINY],
    'GP_OUTPUT_UNWRITABLE',
    /\/proc\/x/,
  ],
  [
    'another compressed document',
    ['compress', good, '-o', at('used.gp'), ...TINY],
    'GP_OUTPUT_EXISTS',
    /another compressed document \(doc_other\)/,
  ],
  ['no browser', ['compress', good, '-o', out, ...TINY], 'GP_BROWSER_NOT_FOUND', /nonexistent/],
  ['a share above 1', ['ask', good, 'Who?', '--keep', '1.5'], 'GP_USAGE', /--keep/],
  ['a word for a number', ['render', good, '-o', out, '--from', 'two'], 'GP_USAGE', /--from/],
  [
    'pages backwards',
    ['render', good, '-o', out, '--from', '3', '--to', '2'],
    'GP_USAGE',
    /--from 3/,
  ],
  ['an unknown option', ['ask', good, 'Who?', '--kep', '0.5'], 'GP_USAGE', /--kep/],
  ['an unknown command', ['aks', good], 'GP_USAGE', /aks/],
  ['a missing argument', ['ask', good], 'GP_USAGE', /question/],
  ['no output folder', ['render', good], 'GP_USAGE', /--out/],
  [
    'a server without address',
    ['ask', good, 'Who?', '--backend', 'openai'],
    'GP_USAGE',
    /--base-url/,
  ],
  [
    'pruning behind a server',
    [
      'ask',
      good,
      'Who?',
      '--backend',
      'openai',
      '--base-url',
      'http://127.0.0.1:9',
      '--model',
      'm',
      '--keep',
      '0.5',
    ],
    'GP_USAGE',
    /cannot prune/,
  ],
];

describe('what cannot work', () => {
  it.concurrent.each(cases)('is a clear error: %s, %j', async (_, args, code, message) => {
    const { code: exit, stdout, stderr } = await glyphpress([...args, '--json'], { env });
    const { error, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({});
    expect(error).toEqual({
      code,
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/\S/),
      retryable: ERROR_CATALOGUE[code as keyof typeof ERROR_CATALOGUE].retryable,
      details: expect.any(Object),
    });
    expect(exit).toBe(code === 'GP_USAGE' ? 2 : 1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at .*:\d+/m);
    if (code !== 'GP_USAGE') expect(stderr).toContain(`error ${code}: `);
  });

  // The cases above share the folder and run side by side, so it is looked at when all are done.
  it('leaves nothing behind', () => {
    expect(namesIn(folder).filter((name) => /^out|partial/.test(name))).toEqual([]);
  });

  it('says it on stderr only, without --json', async () => {
    for (const [, args, code] of [cases[0]!, cases[8]!]) {
      const { code: exit, stdout, stderr } = await glyphpress(args, { env });
      expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' });
      expect(stderr).toMatch(new RegExp(`^error ${code}: .+\\n {2}\\S.+\\n$`));
    }
  });
});
