/** What is known of the accuracy of named plans: figures of a pruning curve, kept beside a model. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CurveReport, MeasuredPlan } from './curve-report.js';

/** In a model's folder. */
export const PLANS_FILE = 'plans.json';

export interface PlanRecord {
  version: 1;
  model: CurveReport['model'];
  settings: Record<string, unknown>;
  plans: Record<string, MeasuredPlan>;
}

export interface FoundRecord extends PlanRecord {
  file: string;
}

export function planRecord({ model, settings, plans }: CurveReport): PlanRecord {
  return { version: 1, model, settings, plans };
}

/**
 * The figures for a model: those in its folder, else those of a report, and only if they were measured
 * with these very weights.
 *
 * @param reports files that may hold the report of a curve
 * @returns null if there are no measurements; an unreadable file counts as missing
 */
export function measuredPlans(
  modelDir: string,
  checkpointHash: string,
  reports: readonly string[],
): FoundRecord | null {
  for (const file of [path.join(modelDir, PLANS_FILE), ...reports]) {
    const record = readRecord(file);
    if (record?.model.checkpointHash === checkpointHash) return { ...record, file };
  }
  return null;
}

function readRecord(file: string): PlanRecord | null {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as Partial<PlanRecord>;
    const isRecord =
      record.version === 1 &&
      typeof record.model?.checkpointHash === 'string' &&
      typeof record.plans === 'object' &&
      record.plans !== null &&
      Object.values(record.plans).every(({ accuracy }) => typeof accuracy === 'number');
    return isRecord ? (record as PlanRecord) : null;
  } catch {
    return null;
  }
}
