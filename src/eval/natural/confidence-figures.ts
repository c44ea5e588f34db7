/** How true the confidence of answers is, and how well it tells right ones from wrong ones. */

import {
  type Calibrations,
  type ConfidenceCurve,
  confidenceOf,
  curveFor,
} from '../../vlm/index.js';
import { type Reliability, reliabilityOf } from '../calibrate.js';
import type { Interval } from '../interval.js';
import type { Asked } from '../report.js';
import { SeededRandom } from '../seeded-random.js';
import { TEXT_GROUP } from './natural-plan.js';

export interface ConfidenceFigures extends Reliability {
  answers: number;
  /** Whether a curve of the model made all of these chances. */
  calibrated: boolean;
  /** Bootstraps over documents, 95 %. That of the error is biased upwards: few answers in a bin are off by chance. */
  intervals: { expectedCalibrationError: Interval; areaUnderRoc: Interval | null };
}

const RESAMPLES = 1_000;

/** Each answer is judged as `ask` judges it. @returns null where no answer's tokens are known */
export function confidenceFigures(
  asked: readonly Asked[],
  calibrations: Calibrations | null,
): ConfidenceFigures | null {
  const judged = asked.flatMap((one) => {
    const { document, result } = one;
    if (!result || 'error' in result || !result.logProb) return [];
    const { logProb, evidence, score } = result;
    const { confidence, calibrated } = confidenceOf(logProb, curveOf(one, calibrations), evidence);
    return [{ document: document.id, chance: confidence!, calibrated, right: score.value === 1 }];
  });
  if (judged.length === 0) return null;
  const documents = [...new Set(judged.map(({ document }) => document))].map((id) =>
    judged.filter(({ document }) => document === id),
  );
  const random = new SeededRandom('natural confidence');
  const again = Array.from({ length: RESAMPLES }, () =>
    reliabilityOf(documents.flatMap(() => random.pick(documents))),
  );
  const areas = again.map(({ areaUnderRoc }) => areaUnderRoc).filter((area) => area !== null);
  return {
    answers: judged.length,
    calibrated: judged.every(({ calibrated }) => calibrated),
    intervals: {
      expectedCalibrationError: intervalOf(again.map((one) => one.expectedCalibrationError)),
      areaUnderRoc: areas.length === 0 ? null : intervalOf(areas),
    },
    ...reliabilityOf(judged),
  };
}

/** A question without passages was read from the pages, whatever the others were read from. */
function curveOf(
  { document, result }: Asked,
  calibrations: Calibrations | null,
): ConfidenceCurve | null {
  if (!calibrations) return null;
  const isAlone = result && 'account' in result && result.account.passages === 'alone';
  return curveFor(calibrations, document.group === TEXT_GROUP || isAlone ? 'text' : 'pages');
}

function intervalOf(values: readonly number[]): Interval {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round((sorted.length - 1) * share)]!;
  return { low: at(0.025), high: at(0.975) };
}
