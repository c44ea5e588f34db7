import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { cacheFolder } from '../cache-folder.js';
import { GlyphpressError } from '../errors.js';
import { readCompressedSource } from '../pipeline/artifacts/compressed-folder.js';
import { ContextLibrary } from '../pipeline/artifacts/context-library.js';
import type { AskResult } from '../pipeline/backends/answer.js';
import { type AskTarget, askModel } from '../pipeline/backends/ask-model.js';
import { askServer } from '../pipeline/backends/ask-server.js';
import { gridOf } from '../pipeline/cells.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { citeFiles } from '../pipeline/citing/cite-files.js';
import type { Inputs } from '../pipeline/inputs/read-inputs.js';
import { askParts } from '../pipeline/parts/ask-parts.js';
import { resultOfParts } from '../pipeline/parts/result-of-parts.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import { isArtifactFolder } from '../store/artifact-folder.js';
import { inspectModel } from '../vlm/index.js';
import { answerNotes } from './answer-notes.js';
import {
  API_KEY_HELP,
  type BackendFlags,
  openAiBackendOf,
  withBackendOptions,
} from './backend-options.js';
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
  type ModelFlags,
  openModel,
  prunePlanOf,
  QUESTION_FIRST_READER_FOLDER,
  READER_FOLDER,
  type SidecarFlags,
  warnIfUntrained,
  withModelOptions,
  withSidecarOption,
} from './model-options.js';
import {
  givesRenderConfig,
  type RenderFlags,
  renderConfigOf,
  wholeNumber,
  withRenderOptions,
} from './options.js';
import {
  PARTS_HELP,
  type PartFlags,
  partNote,
  partsJson,
  partsOf,
  type Reader,
  withPartOptions,
} from './part-options.js';
import { compressProgress, Progress } from './progress.js';
import { warnIfUnreadable } from './readable-rendering.js';
import { givenOptions } from './setting-defaults.js';

interface Flags extends InputFlags, PartFlags, RenderFlags, ModelFlags, BackendFlags, SidecarFlags {
  maxTokens?: number;
  temperature?: number;
  seed?: number;
  questionFirst?: boolean;
  stream?: boolean;
  json?: boolean;
}

export function registerAsk(program: Command): void {
  const ask = withBackendOptions(
    withSidecarOption(
      withModelOptions(
        withRenderOptions(
          program
            .command('ask')
            .description('ask a question about documents or a compressed folder')
            .usage('[options] <input...> <question>')
            .argument(
              '<input...>',
              `${INPUT_ARGUMENT}, or one folder made by compress; the question comes last`,
            )
            .option(
              '--max-tokens <n>',
              'longest answer, in tokens (default: what the model, or the server, has for it)',
              wholeNumber(1, 100_000),
            )
            .option(
              '--temperature <t>',
              'sample instead of taking the likeliest token',
              temperature,
            )
            .option('--seed <n>', 'seed for sampling', wholeNumber(0, 2 ** 32 - 1))
            .option(
              '--question-first',
              'put the question before the pages too; for this question alone, nothing is stored',
            )
            .option('--stream', 'print the answer as it grows')
            .option('--json', 'print answer, report, usage and timings as JSON'),
        ),
      ),
    ),
  )
    .addHelpText(
      'after',
      `${INPUT_HELP}
${PARTS_HELP}

A text is compressed on its first question; later questions with the same settings re-use its context.
With --question-first the pages are read, and V²Drop drops, with the question in mind: --keep then leaves
what the question speaks of, and what follows it. That context serves one question: the text is compressed
for it anew, and what was made is removed. Without --model, a reader that was trained for it answers; how well
another model does is for glyphpress eval curve to say.
The answer is printed alone; how sure the model is and where the answer stands in the text go to stderr,
and with --json into confidence, meanLogProb, calibrated, found and citations.
${API_KEY_HELP}

Examples:
  $ glyphpress ask book.txt "Who wrote the letter?"
  $ glyphpress ask report.pdf annex.docx "Who signed it?"
  $ glyphpress ask docs/ 'src/**/*.ts' "Where are retries counted?"
  $ man tar | glyphpress ask - "Which option lists an archive?"
  $ glyphpress ask https://example.org/terms.html "Who may end it?" --allow-url
  $ glyphpress ask book.epub "Who wrote the letter?" --part-tokens 4000 --parts 3
  $ glyphpress ask report.pdf "What did it cost?" --pages 3-10
  $ glyphpress ask contract.gp "When does it end?" --json
  $ glyphpress ask ledger.txt "What did the pump cost?" --plan lossless --sidecar 200
  $ glyphpress ask book.txt "Who wrote it?" --question-first --keep 0.5 --json
  $ glyphpress ask book.txt "Who wrote it?" --backend openai --base-url http://127.0.0.1:8000/v1 --model zai-org/Glyph`,
    )
    .action(async (words: string[], all: Flags, command: Command) => {
      const sources = words.slice(0, -1);
      const question = words.at(-1)!;
      checkQuestion(sources, question);
      // A compressed folder says itself how it was made.
      const flags = (await isArtifactFolder(sources[0]!)) ? givenOptions<Flags>(command) : all;
      if (flags.questionFirst) await checkQuestionFirst(sources, flags);
      await (flags.backend === 'openai' ? askRemote : askHere)(sources, question, flags);
    });
  withPartOptions(withInputOptions(ask));
}

/** @throws {GlyphpressError} GP_USAGE */
function checkQuestion(sources: readonly string[], question: string): void {
  if (sources.length === 0) {
    throw new GlyphpressError('GP_USAGE', {
      message: "missing required argument 'question'",
      hint: 'Give what is read, then the question: glyphpress ask book.txt "Who wrote it?"',
    });
  }
  if (question.trim() === '') {
    throw new GlyphpressError('GP_USAGE', {
      message: 'The question is empty',
      hint: 'Ask something.',
    });
  }
}

async function askHere(sources: readonly string[], question: string, flags: Flags) {
  const start = performance.now();
  const { inputs, ...asked } = await openTarget(sources, flags);
  const extractMs = performance.now() - start;
  const { compressed } = asked;
  const reader = flags.questionFirst ? QUESTION_FIRST_READER_FOLDER : READER_FOLDER;
  const model = await openModel(flags.model ?? modelOf(compressed) ?? reader, flags);
  const progress = new Progress();
  try {
    warnIfUntrained(model.info);
    const renderConfig = givesRenderConfig(flags)
      ? renderConfigOf(flags, model.info.rendering)
      : null;
    if (renderConfig) warnIfUnreadable(model.info, renderConfig);
    const reader = {
      renderConfig: renderConfig ?? renderConfigOf(flags, model.info.rendering),
      cellsOf: (page: { widthPx: number; heightPx: number }) => model.visualTokenGrid(page),
      cellsId: model.info.checkpointHash,
      context: {
        maxPositions: model.info.maxPositions,
        plan: prunePlanOf(flags, model.info.layers) ?? { decoder: [] },
        sidecar: flags.sidecar ?? 0,
      },
    };
    const askOne: AskOne = (document, { signal, onProgress, onText }) =>
      askModel({ ...asked, document }, question, model, {
        renderConfig,
        defaultConfig: () => renderConfigOf(flags, model.info.rendering),
        plan: prunePlanOf(flags, model.info.layers),
        sidecar: flags.sidecar ?? null,
        questionFirst: flags.questionFirst ?? false,
        modelIsGiven: flags.model !== undefined,
        library: new ContextLibrary(cacheFolder()),
        chromium: chromiumOptions,
        browsers: flags.browsers,
        extractMs,
        signal,
        onProgress,
        onReady: (rebuiltBecause) => {
          progress.stop();
          if (rebuiltBecause) process.stderr.write(`made again: ${rebuiltBecause}\n`);
        },
        onText,
        generate: {
          ...(flags.maxTokens !== undefined && { maxNewTokens: flags.maxTokens }),
          ...(flags.temperature !== undefined && { temperature: flags.temperature }),
          ...(flags.seed !== undefined && { seed: flags.seed }),
        },
      });
    await askAndPrint({ ...asked, inputs }, question, flags, { reader, askOne, progress });
  } finally {
    progress.stop();
    await model.close();
  }
}

async function askRemote(sources: readonly string[], question: string, flags: Flags) {
  const start = performance.now();
  const backend = openAiBackendOf(flags);
  const { inputs, document, compressed } = await openTarget(sources, flags);
  const progress = new Progress();
  const renderConfig =
    compressed && !givesRenderConfig(flags) ? compressed.body.renderConfig : renderConfigOf(flags);
  try {
    const reader = { renderConfig, cellsOf: gridOf, cellsId: 'GLM-4V', context: null };
    const extractMs = performance.now() - start;
    const askOne: AskOne = (part, { signal, onProgress, onText }) =>
      askServer(part, renderConfig, question, backend, {
        model: backend.model,
        compressed,
        chromium: chromiumOptions,
        browsers: flags.browsers,
        extractMs,
        maxNewTokens: flags.maxTokens,
        sidecar: flags.sidecar ?? compressed?.body.sidecar?.budget ?? 0,
        signal,
        pagesFolder: (name) => path.join(cacheFolder(), 'pages', name),
        onProgress,
        onText,
        ...(flags.temperature !== undefined && { temperature: flags.temperature }),
      });
    await askAndPrint({ document, compressed, inputs }, question, flags, {
      reader,
      askOne,
      progress,
    });
  } finally {
    progress.stop();
  }
}

/** One document, or one part of it, to its reader. */
type AskOne = (
  document: SourceDocument,
  hooks: {
    signal: AbortSignal;
    onProgress: ReturnType<typeof compressProgress>;
    onText: ((text: string) => void) | undefined;
  },
) => Promise<AskResult>;

/** As a whole, or part by part where it does not fit. */
async function askAndPrint(
  target: OpenedTarget,
  question: string,
  flags: Flags,
  { reader, askOne, progress }: { reader: Reader; askOne: AskOne; progress: Progress },
): Promise<void> {
  const { document, compressed } = target;
  const grows = flags.stream
    ? (text: string) => {
        progress.stop();
        streamer(flags)(text);
      }
    : undefined;
  await interruptible(async (signal) => {
    if (compressed) assertNoPiece(flags);
    const plan = compressed ? null : await partsOf(document, flags, reader, signal);
    if (!plan) {
      const onProgress = compressProgress(progress);
      const result = await askOne(document, { signal, onProgress, onText: grows });
      progress.stop();
      printAnswer(flags, result, target);
    } else {
      const answers = await askParts(document, plan.parts, question, flags.parts, (part, place) =>
        askOne(part, {
          signal,
          onProgress: compressProgress(progress, place.isOnly ? '' : partName(place)),
          // Which answer is the best one is known in the end only.
          onText: place.isOnly ? grows : undefined,
        }),
      );
      progress.stop();
      const isStreamed = answers.ranked.length === 1;
      const result = resultOfParts(answers, document.id);
      printAnswer({ ...flags, stream: (flags.stream ?? false) && isStreamed }, result, target, {
        parts: partsJson(plan, answers),
        note: plan.parts.length > 1 ? partNote(plan, answers.ranked[0]!.part) : '',
      });
    }
    await keepCacheBounded();
  });
}

const partName = ({ number, of }: { number: number; of: number }) => `part ${number} of ${of}, `;

/** @throws {GlyphpressError} GP_USAGE */
function assertNoPiece({ pages, from, to, partTokens }: Flags): void {
  if (!pages && from === undefined && to === undefined && partTokens === undefined) return;
  throw new GlyphpressError('GP_USAGE', {
    message: 'A compressed folder is asked as a whole',
    hint: 'Leave out --pages, --from, --to and --part-tokens, or give the document itself.',
  });
}

/** @throws {GlyphpressError} GP_USAGE where pages cannot be read for one question */
async function checkQuestionFirst(sources: readonly string[], { backend }: Flags): Promise<void> {
  if (backend === 'openai') {
    throw new GlyphpressError('GP_USAGE', {
      message:
        '--question-first needs a model that runs here; a server orders its prompt by itself',
      hint: 'Leave out --question-first, or use --backend onnx.',
    });
  }
  const [target = ''] = sources;
  if (await isArtifactFolder(target)) {
    throw new GlyphpressError('GP_USAGE', {
      message: `--question-first reads a text for one question; ${target} is a folder for any`,
      hint: 'Leave out --question-first, or give the text itself.',
      details: { folder: target },
    });
  }
}

interface OpenedTarget extends AskTarget {
  /** What the document was made of; null for a compressed folder. */
  inputs: Inputs | null;
}

async function openTarget(sources: readonly string[], flags: Flags): Promise<OpenedTarget> {
  const [target] = sources;
  if (sources.length === 1 && target !== undefined && (await isArtifactFolder(target))) {
    const compressed = await readCompressedSource(target);
    return {
      document: compressed.document,
      compressed: { ...compressed, folder: target },
      inputs: null,
    };
  }
  const progress = new Progress();
  const inputs = await interruptible((signal) =>
    openInputs(sources, flags, { signal, progress }),
  ).finally(() => progress.stop());
  return { document: inputs.document, compressed: null, inputs };
}

/**
 * The model that a compressed folder was made with. Where it is no longer in its place, the reader
 * that ships here may be the same one.
 */
function modelOf(compressed: AskTarget['compressed']): string | null {
  if (!compressed || existsSync(compressed.body.modelDir)) return compressed?.body.modelDir ?? null;
  if (inspectModel(READER_FOLDER).checkpointHash === compressed.key.checkpoint)
    return READER_FOLDER;
  throw new GlyphpressError('GP_CHECKPOINT', {
    message: `The model that ${compressed.folder} was made with is gone: ${compressed.body.modelDir}`,
    hint: 'Name where it is now with --model, or another model to compress the document for.',
    details: { folder: compressed.folder, modelDir: compressed.body.modelDir },
  });
}

function streamer(flags: Flags): (text: string) => void {
  if (!flags.stream) return () => {};
  // With --json the answer is part of the object; what grows goes to stderr.
  const out = flags.json ? process.stderr : process.stdout;
  return (text) => out.write(text);
}

function printAnswer(
  flags: Flags,
  answered: AskResult,
  { document, inputs }: Pick<OpenedTarget, 'document' | 'inputs'>,
  parted: { parts: unknown; note: string } | null = null,
): void {
  const result = { ...answered, citations: citeFiles(answered.citations, document.files) };
  if (flags.stream) (flags.json ? process.stderr : process.stdout).write('\n');
  else if (!flags.json) process.stdout.write(`${result.answer}\n`);
  if (flags.json)
    process.stdout.write(
      `${JSON.stringify({ ...result, ...(inputs && inputsJson(inputs)), ...(parted && { parts: parted.parts }) })}\n`,
    );
  else {
    const notes = [answerNotes(result), parted?.note ?? '']
      .filter((note) => note !== '')
      .join(' | ');
    if (notes !== '') process.stderr.write(`${notes}\n`);
  }
}

function temperature(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 2)) throw new InvalidArgumentError('Expected a number from 0 to 2.');
  return value;
}
