/** The chosen configurations as files that other commands take. */

import { rmSync } from 'node:fs';
import path from 'node:path';
import { makeFolderSync } from '../output-folder.js';
import { writeWholeSync } from '../store/write-whole.js';
import { BEST_FOLDER } from './search-folder.js';
import type { FrontPoint, SearchSummary } from './summary.js';

export interface BestFiles {
  config: string;
  plan: string;
}

/** Relative to the folder of the search. */
function bestFiles({ point }: Pick<FrontPoint, 'point'>): BestFiles {
  return {
    config: path.join(BEST_FOLDER, `${point}.config.json`),
    plan: path.join(BEST_FOLDER, `${point}.plan.json`),
  };
}

export function writeBest(folder: string, front: readonly FrontPoint[]): void {
  const best = path.join(folder, BEST_FOLDER);
  rmSync(best, { recursive: true, force: true });
  makeFolderSync(best);
  for (const one of front) {
    const { config, plan } = bestFiles(one);
    const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
    writeWholeSync(path.join(folder, config), json(one.settings.config));
    writeWholeSync(path.join(folder, plan), json(one.settings.plan));
  }
}

/** The options that use a point of the front. */
export function optionsOf(
  folder: string,
  one: FrontPoint,
  { expand }: Pick<SearchSummary, 'expand'>,
): string {
  const { config, plan } = bestFiles(one);
  const hasPlan = one.settings.plan.encoder || one.settings.plan.decoder.length > 0;
  return [
    `--config ${path.join(folder, config)}`,
    ...(hasPlan ? [`--plan ${path.join(folder, plan)}`] : []),
    ...(one.settings.sidecar > 0 ? [`--sidecar ${one.settings.sidecar}`] : []),
    ...(expand ? [`--expand ${expand.method} --expand-budget ${expand.budget}`] : []),
  ].join(' ');
}
