/** `glyphpress search apply`: a rendering that a search found becomes the default. */

import path from 'node:path';
import type { Command } from 'commander';
import { GlyphpressError } from '../errors.js';
import { type FrontPoint, optionsOf, readSummary, type SearchSummary } from '../search/index.js';
import { appliedFile, applyRendering, resetRenderings } from './applied-rendering.js';
import { wholeNumber } from './options.js';

interface Flags {
  point: number;
  reset?: boolean;
  json?: boolean;
}

export function registerApply(search: Command): void {
  search
    .command('apply')
    .description('make a rendering that a search found the default')
    .argument('[run]', 'folder of the search')
    .option(
      '--point <k>',
      'which of its front, as the report numbers them',
      wholeNumber(1, 1_000),
      1,
    )
    .option('--reset', 'take it back: the defaults again')
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      `
From then on, commands that are not given --config draw with it, wherever they would have drawn with what
the search's model is usually drawn with. A prune plan and a sidecar change what is kept, not how it looks:
they are asked for with --plan and --sidecar, as printed.

Examples:
  $ glyphpress search apply run --point 2
  $ glyphpress search apply --reset`,
    )
    .action((run: string | undefined, flags: Flags) => {
      const result = flags.reset ? reset() : apply(run, flags.point);
      process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${result.message}\n`);
    });
}

function reset() {
  const message = resetRenderings()
    ? 'the defaults hold again'
    : 'nothing was applied: the defaults hold';
  return { applied: null, message };
}

function apply(run: string | undefined, number: number) {
  if (run === undefined) {
    throw new GlyphpressError('GP_USAGE', {
      message: 'search apply needs the folder of a search',
      hint: 'For example: glyphpress search apply run --point 1.',
    });
  }
  const summary = readSummary(run);
  const { front, defaultConfig } = summary;
  const point = front.find((one) => one.point === number);
  if (!point) {
    throw new GlyphpressError('GP_USAGE', {
      message: `The front of ${run} has no point ${number}; it has ${front.length}`,
      hint: `${path.join(run, 'report.html')} shows them.`,
      details: { run, point: number, points: front.length },
    });
  }
  applyRendering(defaultConfig, {
    config: point.settings.config,
    from: `${path.resolve(run)} #${number}`,
  });
  return { applied: point.settings.config, message: messageOf(run, point, summary) };
}

function messageOf(run: string, point: FrontPoint, summary: SearchSummary): string {
  const [, ...others] = optionsOf(path.resolve(run), point, summary).split(/ (?=--)/);
  const figure = point.heldOut;
  return [
    `point ${point.point} is the default rendering now: ${((figure?.accuracy ?? 0) * 100).toFixed(0)} % at ${figure?.stackedRatio.toFixed(2)}× on held-out texts`,
    ...(others.length > 0 ? [`that was measured with ${others.join(' ')}`] : []),
    `kept in ${appliedFile()}; glyphpress search apply --reset takes it back`,
  ].join('\n');
}
