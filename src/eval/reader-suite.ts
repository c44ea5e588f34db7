/** The figures that the reader is judged by: how it reads at three densities, and how it finds. */

import type { RenderConfig } from '../render/index.js';
import type { DraftSetting } from './draft.js';
import { type Haystack, madeUpHaystack, randomHaystack } from './haystack.js';
import type { EvalPlan, Headline } from './plan.js';
import type { MeasurePage, SuiteSetting } from './suites.js';
import type { EvalDocument, EvalQuestion } from './task.js';
import { makeLookUp } from './tasks/look-up.js';
import { makeTranscription } from './tasks/transcription.js';

/** Documents of each part at one sample; a document of 8 pages costs as much as eight. */
const TEXTS_PER_DENSITY = 3;
const SHORT_LOOK_UPS = 6;
const LONG_LOOK_UPS = 2;
const HEX_LOOK_UPS = 6;
const PASSAGES = 2;

/** The densities as departures from the rendering that the reader was trained on. */
export function densities(
  config: RenderConfig,
): Record<'wide' | 'trained' | 'dense', RenderConfig> {
  return {
    // Three rows of text become two.
    wide: { ...config, lineHeightPt: config.lineHeightPt * 1.5 },
    trained: config,
    // Four letters where three stood.
    dense: { ...config, fontSizePt: config.fontSizePt * 0.75 },
  };
}

/** Asks for the whole text besides, as the legibility probe reads it. */
function withProbe(document: EvalDocument): EvalDocument {
  const question: EvalQuestion = {
    id: `${document.id}/probe`,
    kind: 'probe',
    question: '',
    by: 'probe',
    expected: [document.text],
    metric: 'characterErrorRate',
    maxNewTokens: 0,
  };
  return { ...document, questions: [question, ...document.questions] };
}

/**
 * @param setting `pages` are the lengths of the look-ups (1 and 8 in the published table); `samples`
 *   multiplies all counts
 */
export async function planReaderSuite(
  setting: SuiteSetting,
  measure: MeasurePage,
): Promise<EvalPlan> {
  const renderings = densities(setting.config);
  const { haystack = madeUpHaystack, seed, depths, style, samples } = setting;
  const documents: EvalDocument[] = [];
  const headlines: Headline[] = [];

  const add = async (
    group: string,
    rendering: keyof typeof renderings,
    text: Haystack,
    pages: number,
    count: number,
    make: (setting: DraftSetting) => EvalDocument,
  ) => {
    const characters = pages * (await measure(renderings[rendering], text));
    const shared = { seed, group, rendering, pages, characters, depths, haystack: text, style };
    for (let i = 0; i < count * samples; i++)
      documents.push(make({ ...shared, id: `${group}/${i + 1}` }));
  };

  for (const [label, text] of [
    ['prose', haystack],
    ['random characters', randomHaystack],
  ] as const) {
    for (const rendering of ['wide', 'trained', 'dense'] as const) {
      const group = `${label}, ${rendering}`;
      await add(group, rendering, text, 1, TEXTS_PER_DENSITY, (draft) =>
        setting.hasProbe
          ? withProbe(makeTranscription(draft, PASSAGES))
          : makeTranscription(draft, PASSAGES),
      );
      if (setting.hasProbe) {
        headlines.push({
          label: `characters misread (probe), ${label}`,
          group,
          kind: 'probe',
          measure: 'characterErrorRate',
        });
      }
      headlines.push({
        label: `character error rate of answers, ${label}`,
        group,
        kind: 'transcribe',
        measure: 'characterErrorRate',
      });
    }
  }
  for (const pages of setting.pages) {
    const group = `look-up, ${pages} ${pages === 1 ? 'page' : 'pages'}`;
    const count = pages <= 2 ? SHORT_LOOK_UPS : LONG_LOOK_UPS;
    await add(group, 'trained', haystack, pages, count, (draft) =>
      makeLookUp(draft, { absent: depths.length }),
    );
    const row = (label: string, kind: string, measure: Headline['measure']) =>
      headlines.push({ label, group, kind, measure });
    row('single look-up', 'lookup', 'score');
    row('absent recognised', 'absent', 'score');
    row('false "not found"', 'lookup', 'saidNotFound');
  }
  const shortest = Math.min(...setting.pages);
  await add('12-hex', 'trained', haystack, shortest, HEX_LOOK_UPS, (draft) =>
    makeLookUp(draft, { kind: 'hex', value: 'hex' }),
  );
  headlines.push({ label: '12-hex exact', group: '12-hex', kind: 'hex', measure: 'score' });
  return { suite: 'reader', renderings, documents, headlines };
}
