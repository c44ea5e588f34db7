/** How much a worker takes on at once; `serve` hands these on to the workers that it starts. */

import { type Command, InvalidArgumentError } from 'commander';
import { STAGES, type Stage } from '../queue/document-record.js';
import { RESERVE_BYTES } from '../service/disk-room.js';
import { DEFAULT_MAX_PARTS, DEFAULT_PAGES_PER_JOB } from '../service/step-tools.js';
import { wholeNumber } from './options.js';

export type Concurrency = Partial<Record<Stage, number>>;

export interface WorkFlags {
  concurrency: Concurrency;
  browsers?: number | undefined;
  pagesPerJob: number;
  maxParts: number;
  quotaMb?: number | undefined;
  reserveMb: number;
}

const MB = 1024 ** 2;

/** Of each tenant; absent for no limit. */
export const quotaBytes = ({ quotaMb }: WorkFlags) =>
  quotaMb === undefined ? undefined : quotaMb * MB;
export const reserveBytes = ({ reserveMb }: WorkFlags) => reserveMb * MB;

export const MAX_CONCURRENCY = 64;

export function withWorkOptions(command: Command): Command {
  return command
    .option(
      '--concurrency <list>',
      'documents at once, of each step (2) or of some (render=2,encode=1); a document of another tenant may pass beside them',
      concurrency,
      {},
    )
    .option('--browsers <n>', 'browsers that draw side by side', wholeNumber(1, 64))
    .option(
      '--pages-per-job <n>',
      'pages of a document that one job encodes',
      wholeNumber(1, 10_000),
      DEFAULT_PAGES_PER_JOB,
    )
    .option(
      '--max-parts <n>',
      'parts that a document larger than its model is read in; more are refused, and 1 refuses all',
      wholeNumber(1, 10_000),
      DEFAULT_MAX_PARTS,
    )
    .option('--quota-mb <n>', 'what a tenant may store', wholeNumber(1, 1e9))
    .option(
      '--reserve-mb <n>',
      'what work leaves free of the disk; documents are refused below twice as much',
      wholeNumber(1, 1e6),
      RESERVE_BYTES / MB,
    );
}

/** The same options for a worker that is started as a child. */
export function workArguments({
  concurrency,
  browsers,
  pagesPerJob,
  maxParts,
  quotaMb,
  reserveMb,
}: WorkFlags): string[] {
  const list = Object.entries(concurrency).map(([stage, count]) => `${stage}=${count}`);
  return [
    ...(list.length > 0 ? ['--concurrency', list.join(',')] : []),
    ...(browsers === undefined ? [] : ['--browsers', String(browsers)]),
    ...['--pages-per-job', String(pagesPerJob)],
    ...['--max-parts', String(maxParts)],
    ...(quotaMb === undefined ? [] : ['--quota-mb', String(quotaMb)]),
    ...['--reserve-mb', String(reserveMb)],
  ];
}

/** @throws {InvalidArgumentError} for anything but `2` or `render=2,encode=1` */
export function concurrency(text: string): Concurrency {
  const count = (value: string) => {
    const number = Number(value);
    if (Number.isInteger(number) && number >= 1 && number <= MAX_CONCURRENCY) return number;
    throw new InvalidArgumentError(`Expected whole numbers from 1 to ${MAX_CONCURRENCY}.`);
  };
  const entries = text.split(',').map((entry) => entry.trim());
  if (entries.length === 1 && !entries[0]!.includes('=')) {
    const all = count(entries[0]!);
    return Object.fromEntries(STAGES.map((stage) => [stage, all]));
  }
  const result: Concurrency = {};
  for (const entry of entries) {
    const [name, value] = entry.split('=') as [string, string | undefined];
    const stage = STAGES.find((known) => known === name.trim());
    if (!stage || value === undefined)
      throw new InvalidArgumentError(`Expected steps of ${STAGES.join(', ')}: render=2,encode=1.`);
    result[stage] = count(value);
  }
  return result;
}
