/** `glyphpress model pull`, `list` and `rm`: models of the hub on this machine. */

import type { Command } from 'commander';
import {
  type CachedModel,
  listCachedModels,
  pullModel,
  removeCachedModel,
  requireHubName,
} from '../vlm/index.js';
import { interruptible } from './interrupt.js';
import { Progress } from './progress.js';

interface JsonFlag {
  json?: boolean;
}

export function registerModelHub(model: Command): void {
  model
    .command('pull')
    .description('fetch a model from the Hugging Face hub')
    .argument('<model>', 'owner/name or owner/name@revision')
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      `
Files go to the hub's usual cache folder, are checked against the hub's checksums, and shared with other
programs. A pull that was cut off goes on where it stopped. Environment: HF_TOKEN for gated models,
HF_ENDPOINT for a mirror, HF_HOME or HF_HUB_CACHE for another folder.

Examples:
  $ glyphpress model pull zai-org/Glyph
  $ glyphpress model pull lightonai/LightOnOCR-1B-1025@main
  $ glyphpress ask book.txt "Who is the narrator?" --model zai-org/Glyph`,
    )
    .action(pull);

  model
    .command('list')
    .description('models of the hub that are on this machine, and what was compiled from them')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ glyphpress model list')
    .action(list);

  model
    .command('rm')
    .description('remove a model of the hub, with what was compiled from it')
    .argument('<model>', 'owner/name')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ glyphpress model rm zai-org/Glyph')
    .action(remove);
}

async function pull(name: string, { json }: JsonFlag): Promise<void> {
  const progress = new Progress();
  try {
    const pulled = await interruptible((signal) =>
      pullModel(name, {
        signal,
        onProgress: (done, total, file) =>
          progress.update({
            stage: file,
            done: Math.round(done / 1e6),
            total: Math.round(total / 1e6),
            unit: 'MB',
            share: total > 0 ? done / total : 1,
          }),
      }),
    );
    progress.stop();
    const { id, commit, files, bytes, cachedBytes, folder } = pulled;
    process.stdout.write(
      json
        ? `${JSON.stringify(pulled)}\n`
        : `${id} at ${commit.slice(0, 12)}: ${files} files, ${megabytes(bytes)}, of which ${megabytes(bytes - cachedBytes)} were fetched\n${folder}\n`,
    );
  } finally {
    progress.stop();
  }
}

async function list({ json }: JsonFlag): Promise<void> {
  const models = await listCachedModels();
  if (json) {
    process.stdout.write(`${JSON.stringify(models)}\n`);
    return;
  }
  const lines = models.map(
    (model) =>
      `${nameOf(model).padEnd(40)} ${megabytes(model.bytes).padStart(10)}  ${noteOf(model)}`,
  );
  process.stdout.write(
    lines.length > 0
      ? `${lines.join('\n')}\n`
      : 'No models. Fetch one: glyphpress model pull owner/name\n',
  );
}

async function remove(name: string, { json }: JsonFlag): Promise<void> {
  const removed = await removeCachedModel(requireHubName(name));
  process.stdout.write(
    json
      ? `${JSON.stringify(removed)}\n`
      : `removed ${megabytes(removed.bytes)}: ${removed.folders.join(', ')}\n`,
  );
}

function nameOf({ id, revision }: CachedModel): string {
  return revision === 'main' ? id : `${id}@${revision}`;
}

function noteOf({ problem, compiled }: CachedModel): string {
  if (problem) return `cannot be used: ${problem}`;
  return compiled ? `compiled: ${megabytes(compiled.bytes)}` : '';
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
