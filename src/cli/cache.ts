/** `glyphpress cache`: what is stored for later questions, and how it goes. */

import { type Command, InvalidArgumentError } from 'commander';
import { cacheFolder } from '../cache-folder.js';
import {
  BOUNDED_KINDS,
  CACHE_KINDS,
  type CacheEntry,
  type CacheKind,
  listCache,
  pruneCache,
} from '../store/cache-entries.js';
import { bytesOption, bytesText, spanOption, spanText } from './amounts.js';
import { cacheBound } from './cache-bound.js';

const KINDS = Object.keys(CACHE_KINDS) as CacheKind[];

interface PruneFlags {
  maxBytes?: number;
  olderThan?: number;
  kinds: CacheKind[];
  dryRun?: boolean;
  json?: boolean;
}

export function registerCache(program: Command): void {
  const cache = program
    .command('cache')
    .description('what is stored for later questions: list it, remove what is old')
    .addHelpText(
      'after',
      `
After each compression the contexts and pages that were used longest ago go until the rest keeps to the bound:
5 GB, or what GLYPHPRESS_CACHE_MAX_BYTES or cacheMaxBytes in glyphpress.config.json says (for example 20GB;
0 keeps nothing but the last one). Folders that compress -o made are yours and never touched.`,
    );

  cache
    .command('ls')
    .description('list what is stored, the last used first')
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ glyphpress cache ls
  $ glyphpress cache ls --json | jq '.entries[] | select(.kind == "contexts")'`,
    )
    .action(async ({ json }: { json?: boolean }) => {
      const folder = cacheFolder();
      const entries = (await listCache(folder)).reverse();
      const bound = cacheBound();
      process.stdout.write(
        json
          ? `${JSON.stringify({ folder, bound, bytes: bytesOf(entries), entries })}\n`
          : listText(folder, bound, entries),
      );
    });

  cache
    .command('prune')
    .description('remove what was used longest ago')
    .option('--max-bytes <size>', 'until the rest takes no more, for example 2GB', bytesOption)
    .option('--older-than <span>', 'what was not used for so long, for example 30d', spanOption)
    .option('--kinds <list>', `of ${KINDS.join(',')}`, kindList, [...BOUNDED_KINDS])
    .option('--dry-run', 'only say what would go')
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      `
What was used within the last minute stays, since another process may be reading it.

Examples:
  $ glyphpress cache prune                        # down to the bound
  $ glyphpress cache prune --older-than 30d
  $ glyphpress cache prune --max-bytes 0 --kinds contexts,pages,evals --dry-run`,
    )
    .action(async (flags: PruneFlags) => {
      const { maxBytes, olderThan: olderThanMs, kinds, dryRun } = flags;
      const isBound = maxBytes === undefined && olderThanMs === undefined;
      const removed = await pruneCache(cacheFolder(), {
        kinds,
        maxBytes: isBound ? cacheBound() : maxBytes,
        olderThanMs,
        dryRun,
      });
      const bytes = bytesOf(removed);
      const verb = dryRun ? 'would remove' : 'removed';
      process.stdout.write(
        flags.json
          ? `${JSON.stringify({ removed, bytes, dryRun: dryRun ?? false })}\n`
          : `${removed.map((entry) => `${rowOf(entry)}\n`).join('')}${verb} ${countText(removed.length)}, ${bytesText(bytes)}\n`,
      );
    });
}

function listText(folder: string, bound: number, entries: readonly CacheEntry[]): string {
  const bounded = bytesOf(entries.filter(({ kind }) => BOUNDED_KINDS.includes(kind)));
  return [
    ...entries.map(rowOf),
    `${countText(entries.length)}, ${bytesText(bytesOf(entries))} in ${folder}`,
    `contexts and pages take ${bytesText(bounded)} of ${bytesText(bound)}`,
    '',
  ].join('\n');
}

function rowOf({ kind, name, bytes, usedAtMs }: CacheEntry): string {
  const idle = `used ${spanText(Math.max(0, Date.now() - usedAtMs))} ago`;
  return [kind.padEnd(12), name, bytesText(bytes).padStart(10), idle].join('  ');
}

const bytesOf = (entries: readonly CacheEntry[]) =>
  entries.reduce((sum, { bytes }) => sum + bytes, 0);

const countText = (count: number) => `${count} ${count === 1 ? 'entry' : 'entries'}`;

function kindList(text: string): CacheKind[] {
  const names = text.split(',').map((name) => name.trim());
  const known = names.filter((name): name is CacheKind => Object.hasOwn(CACHE_KINDS, name));
  if (known.length === names.length) return [...new Set(known)];
  throw new InvalidArgumentError(`Expected a list of ${KINDS.join(',')}.`);
}
