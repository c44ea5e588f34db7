import path from 'node:path';
import type { Command } from 'commander';
import { cacheFolder } from '../cache-folder.js';
import { DEFAULT_MODEL } from '../package-file.js';
import { assertNoOtherDocument } from '../pipeline/artifacts/compressed-folder.js';
import { ContextLibrary } from '../pipeline/artifacts/context-library.js';
import { contextKey, textKey } from '../pipeline/artifacts/keys.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import { keepCacheBounded } from './cache-bound.js';
import {
  INPUT_ARGUMENT,
  INPUT_HELP,
  type InputFlags,
  inputsJson,
  openInputs,
  withInputOptions,
} from './input-options.js';
import { interruptible } from './interrupt.js';
import {
  askedSettings,
  type ModelFlags,
  openModel,
  type SidecarFlags,
  settingsFor,
  warnIfUntrained,
  withModelOptions,
  withSidecarOption,
} from './model-options.js';
import { givesRenderConfig, type RenderFlags, withRenderOptions } from './options.js';
import {
  localReader,
  type PieceFlags,
  partsOf,
  pieceDocument,
  withPieceOptions,
} from './part-options.js';
import { compressProgress, Progress } from './progress.js';
import { warnIfUnreadable } from './readable-rendering.js';
import { reportText } from './report-text.js';

interface Flags extends InputFlags, PieceFlags, RenderFlags, ModelFlags, SidecarFlags {
  out: string;
  force?: boolean;
  json?: boolean;
}

export function registerCompress(program: Command): void {
  const command = withSidecarOption(
    withModelOptions(
      withRenderOptions(
        program
          .command('compress')
          .description('turn documents into a compressed context that can be asked many times')
          .argument('<input...>', INPUT_ARGUMENT)
          .requiredOption('-o, --out <dir>', 'folder for pages, report and context')
          .option('--force', 'replace a folder that holds another compressed document')
          .option('--json', 'print the report as JSON'),
      ),
    ),
  )
    .addHelpText(
      'after',
      `${INPUT_HELP}

A folder that already holds the same document with the same settings is kept as it is; with other settings
it is made again. One that holds another document is replaced with --force only.

Examples:
  $ glyphpress compress contract.txt -o contract.gp
  $ glyphpress compress contract.txt -o contract.gp --config glyph-96 --keep 0.5
  $ glyphpress compress contract.txt -o contract.gp --plan lossless --sidecar 200
  $ glyphpress compress report.pdf -o annex.gp --pages 30-42
  $ glyphpress compress docs 'src/**/*.ts' -o project.gp
  $ pdftotext scan.pdf - | glyphpress compress - -o scan.gp
  $ glyphpress ask contract.gp "Who may end the contract?"`,
    )
    .action(async (sources: string[], flags: Flags) => {
      const progress = new Progress();
      const start = performance.now();
      const inputs = await interruptible((signal) =>
        openInputs(sources, flags, { signal, progress }),
      ).finally(() => progress.stop());
      const extractMs = performance.now() - start;
      const model = await openModel(flags.model ?? DEFAULT_MODEL, flags);
      try {
        warnIfUntrained(model.info);
        const settings = settingsFor(model.info, askedSettings(flags));
        if (givesRenderConfig(flags)) warnIfUnreadable(model.info, settings.renderConfig);
        const reader = localReader(model, settings);
        const parts = await interruptible((signal) =>
          partsOf(inputs.document, flags, reader, signal),
        );
        const document = pieceDocument(inputs.document, parts);
        if (!flags.force) await assertNoOtherDocument(flags.out, document);
        const backend = new LocalBackend(model, {
          contexts: { locate: () => flags.out },
          browsers: flags.browsers,
        });
        const { report, cached, rebuiltBecause } = await interruptible(async (signal) => {
          const onProgress = compressProgress(progress);
          const opened = await backend.open(document, settings, { extractMs, signal, onProgress });
          await opened.close();
          return opened;
        });
        progress.stop();
        // A question about the file itself finds this folder.
        await new ContextLibrary(cacheFolder())
          .remember(contextKey(textKey(document), settings, model.info), flags.out)
          .catch((error: Error) =>
            process.stderr.write(
              `warning: not noted for later questions about the file: ${error.message}\n`,
            ),
          );
        await keepCacheBounded();
        if (rebuiltBecause) process.stderr.write(`made again: ${rebuiltBecause}\n`);
        process.stdout.write(
          flags.json
            ? `${JSON.stringify({ ...report, ...inputsJson(inputs) })}\n`
            : `${reportText(report)}\n${cached ? 'kept as it was: ' : 'written to '}${path.join(flags.out, '')}\n`,
        );
      } finally {
        progress.stop();
        await model.close();
      }
    });
  withPieceOptions(withInputOptions(command));
}
