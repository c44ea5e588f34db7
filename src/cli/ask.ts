import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { cacheFolder } from '../cache-folder.js';
import { GlyphpressError } from '../errors.js';
import { DEFAULT_MODEL } from '../package-file.js';
import {
  type CompressedSource,
  pagesInFolder,
  placeInFolder,
  readCompressedSource,
  typesOf,
} from '../pipeline/artifacts/compressed-folder.js';
import { ContextLibrary } from '../pipeline/artifacts/context-library.js';
import { pagesKey, textKey } from '../pipeline/artifacts/keys.js';
import { keepPages } from '../pipeline/artifacts/stored-pages.js';
import { type AskResult, askResult } from '../pipeline/ask-result.js';
import type { AskOptions, Backend, ReadingSettings } from '../pipeline/backend.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import { ServerBackend } from '../pipeline/backends/server.js';
import { TextBackend } from '../pipeline/backends/text.js';
import { gridOf, type PageSize } from '../pipeline/cells.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { citeFiles } from '../pipeline/citing/cite-files.js';
import type { Inputs } from '../pipeline/inputs/read-inputs.js';
import { askParts } from '../pipeline/parts/ask-parts.js';
import { resultOfParts } from '../pipeline/parts/result-of-parts.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { ReportSoFar } from '../pipeline/report.js';
import { asksForSettings } from '../pipeline/settings.js';
import { countTextTokens } from '../pipeline/text-tokens.js';
import { isArtifactFolder } from '../store/artifact-folder.js';
import { keyName } from '../store/artifact-key.js';
import { inspectModel } from '../vlm/index.js';
import { answerNotes } from './answer-notes.js';
import { askPassages, type PassagesFirst, passagesFirst } from './ask-passages.js';
import {
  API_KEY_HELP,
  type BackendFlags,
  openAiBackendOf,
  withBackendOptions,
} from './backend-options.js';
import { keepCacheBounded } from './cache-bound.js';
import {
  assertExpandsHere,
  type ExpandFlags,
  expandingBackend,
  withExpandOptions,
} from './expand-options.js';
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
import { givesRenderConfig, type RenderFlags, wholeNumber, withRenderOptions } from './options.js';
import {
  localReader,
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

const NOTHING_DROPPED = { decoder: [] };

/** A server tells nothing of its model. */
const NO_MODEL = { layers: 0, rendering: null, vision: null };

interface Flags
  extends InputFlags,
    PartFlags,
    RenderFlags,
    ModelFlags,
    BackendFlags,
    SidecarFlags,
    ExpandFlags {
  maxTokens?: number;
  temperature?: number;
  seed?: number;
  questionFirst?: boolean;
  as: 'pages' | 'text';
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
            .addOption(
              new Option('--as <form>', 'how the model reads: pages, or plain text, unrendered')
                .choices(['pages', 'text'])
                .default('pages'),
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

A text is compressed on the first question that reads its pages; later ones with the same settings re-use its
context. A model that reads passages alone (--expand) gets pages only for questions without any.
With --question-first the pages are read, and V²Drop drops, with the question in mind: --keep then leaves
what the question speaks of, and what follows it. That context serves one question: the text is compressed
for it anew, and what was made is removed. How well a model does so is for glyphpress eval curve to say.
The answer is printed alone; how sure the model is and where the answer stands in the text go to stderr,
and with --json into confidence, meanLogProb, calibrated, doubtful, found and citations.
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
  $ glyphpress ask book.txt "Who wrote it?" --as text --model SmolLM2-135M-Instruct.Q4_1.gguf
  $ glyphpress ask ledger.txt "What did the pump cost?" --expand lexical --expand-budget 200
  $ glyphpress ask ledger.txt "How much was paid for the pump?" --expand semantic
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
  withPartOptions(withInputOptions(withExpandOptions(ask)));
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
  assertExpandsHere(flags);
  const start = performance.now();
  const target = await openTarget(sources, flags);
  const extractMs = performance.now() - start;
  const { compressed } = target;
  // Another model has other types; this one, those that its context was made with.
  const types = compressed && flags.model === undefined ? typesOf(compressed) : {};
  const model = await openModel(flags.model ?? modelOf(compressed) ?? DEFAULT_MODEL, {
    ...types,
    ...flags,
  });
  try {
    warnIfUntrained(model.info);
    const wanted = {
      ...askedSettings(flags),
      ...(flags.questionFirst && { questionFirst: question }),
    };
    const settings = settingsFor(model.info, wanted, storedSettings(compressed));
    const countTokens = (text: string) => model.countTokens(text);
    if (flags.as === 'text') {
      await askAndPrint(target, question, flags, {
        backend: expandingBackend(new TextBackend(model), flags, countTokens),
        settings: { ...settings, plan: flags.plan || flags.keep ? settings.plan : NOTHING_DROPPED },
        reader: null,
        extractMs,
      });
      return;
    }
    if (givesRenderConfig(flags)) warnIfUnreadable(model.info, settings.renderConfig);
    const asksForOther =
      flags.model !== undefined ||
      flags.dtype !== undefined ||
      flags.kvDtype !== undefined ||
      asksForSettings(wanted);
    const library = new ContextLibrary(cacheFolder());
    const backend = new LocalBackend(model, {
      contexts: compressed ? placeInFolder(compressed, asksForOther, library) : library,
      browsers: flags.browsers,
    });
    const asking = {
      backend: expandingBackend(backend, flags, countTokens, model.info),
      settings,
      passages: passagesFirst(backend, settings, flags),
      reader: localReader(model, settings),
      extractMs,
    };
    await askAndPrint(target, question, flags, asking);
  } finally {
    await model.close();
  }
}

async function askRemote(sources: readonly string[], question: string, flags: Flags) {
  if (flags.as === 'text') {
    throw new GlyphpressError('GP_USAGE', {
      message: '--as text needs a model that runs here; a server is sent pages',
      hint: 'Leave out --as, or use --backend onnx.',
    });
  }
  const start = performance.now();
  const client = openAiBackendOf(flags);
  const target = await openTarget(sources, flags);
  const extractMs = performance.now() - start;
  const { compressed } = target;
  const drawing = { chromium: chromiumOptions, browsers: flags.browsers };
  const kept = keepPages((document, config) => {
    const key = pagesKey(textKey(document), config);
    return { folder: path.join(cacheFolder(), 'pages', keyName(key)), key };
  }, drawing);
  const backend = new ServerBackend(client, {
    openPages: compressed ? pagesInFolder(compressed, kept) : kept,
  });
  const { plan: _, ...stored } = storedSettings(compressed);
  const settings = settingsFor(NO_MODEL, askedSettings(flags), stored);
  const { renderConfig } = settings;
  const cellsOf = (page: PageSize) => gridOf(page, renderConfig.visualTokenPx);
  const reader = { renderConfig, cellsOf, cellsId: 'GLM-4V', context: null };
  const asked = expandingBackend(backend, flags, countTextTokens);
  await askAndPrint(target, question, flags, { backend: asked, settings, reader, extractMs });
}

interface Asking {
  backend: Backend;
  settings: ReadingSettings;
  /** How it is asked before there are pages; absent or null where they are to be read. */
  passages?: PassagesFirst | null;
  /** What decides in how many parts a document is asked; null asks it as a whole. */
  reader: Reader | null;
  extractMs: number;
}

interface AskHooks {
  signal: AbortSignal;
  progress: Progress;
  /** Goes before the stage in the line of progress. */
  label?: string;
  onText: ((text: string) => void) | undefined;
}

/** One document, or one part of it. */
async function askOne(
  document: SourceDocument,
  question: string,
  flags: Flags,
  { backend, settings, extractMs }: Asking,
  { signal, progress, label, onText }: AskHooks,
): Promise<AskResult> {
  const start = performance.now();
  const onProgress = compressProgress(progress, label);
  const opened = await backend.open(document, settings, { extractMs, signal, onProgress });
  try {
    const loadMs = extractMs + performance.now() - start;
    progress.stop();
    if (opened.rebuiltBecause) process.stderr.write(`made again: ${opened.rebuiltBecause}\n`);
    const answer = await opened.ask(question, askOptionsOf(flags, { signal, onText }));
    return askResult(opened, answer, { loadMs, questionFirst: flags.questionFirst ?? false });
  } finally {
    await opened.close();
  }
}

function askOptionsOf(
  { maxTokens, temperature, seed }: Flags,
  { signal, onText }: Pick<AskHooks, 'signal' | 'onText'>,
): AskOptions {
  return {
    maxNewTokens: maxTokens,
    citations: true,
    signal,
    onText,
    ...(temperature !== undefined && { temperature }),
    ...(seed !== undefined && { seed }),
  };
}

/** By passages alone, where that is enough; else as a whole, or part by part where it does not fit. */
async function askAndPrint(
  target: OpenedTarget,
  question: string,
  flags: Flags,
  asking: Asking,
): Promise<void> {
  const { document, compressed } = target;
  const progress = new Progress();
  const grows = flags.stream
    ? (text: string) => {
        progress.stop();
        streamer(flags)(text);
      }
    : undefined;
  await interruptible(async (signal) => {
    const reader = compressed ? null : asking.reader;
    if (!reader) assertNoPiece(flags);
    if (asking.passages && !namesPieces(flags)) {
      const options = askOptionsOf(flags, { signal, onText: grows });
      const { passages, extractMs } = asking;
      const answered = await askPassages(document, question, passages, options, extractMs);
      if (answered) return printAnswer(flags, answered, target);
    }
    const plan = reader && (await partsOf(document, flags, reader, signal));
    if (!plan) {
      const hooks = { signal, progress, onText: grows };
      printAnswer(flags, await askOne(document, question, flags, asking, hooks), target);
    } else {
      const answers = await askParts(document, plan.parts, question, flags.parts, (part, place) =>
        askOne(part, question, flags, asking, {
          signal,
          progress,
          label: place.isOnly ? '' : partName(place),
          // Which answer is the best one is known in the end only.
          onText: place.isOnly ? grows : undefined,
        }),
      );
      const isStreamed = answers.ranked.length === 1;
      const result = resultOfParts(answers, document.id);
      printAnswer({ ...flags, stream: (flags.stream ?? false) && isStreamed }, result, target, {
        parts: partsJson(plan, answers),
        note: plan.parts.length > 1 ? partNote(plan, answers.ranked[0]!.part) : '',
      });
    }
    await keepCacheBounded();
  }).finally(() => progress.stop());
}

const partName = ({ number, of }: { number: number; of: number }) => `part ${number} of ${of}, `;

function namesPieces({ pages, from, to, parts, partTokens }: Flags): boolean {
  const isWhole = !pages && from === undefined && to === undefined;
  // The setting of a compressed folder may be absent.
  return !isWhole || partTokens !== undefined || (parts ?? 'all') !== 'all';
}

/** @throws {GlyphpressError} GP_USAGE */
function assertNoPiece({ pages, from, to, partTokens }: Flags): void {
  if (!pages && from === undefined && to === undefined && partTokens === undefined) return;
  throw new GlyphpressError('GP_USAGE', {
    message: 'A compressed folder, or a document read as text, is asked as a whole',
    hint: 'Leave out --pages, --from, --to and --part-tokens, or have the document itself read as pages.',
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

/** What is asked: documents, or a folder that compress made. */
interface OpenedTarget {
  document: SourceDocument;
  /** Null for documents. */
  compressed: CompressedSource | null;
  /** What the document was made of; null for a compressed folder. */
  inputs: Inputs | null;
}

async function openTarget(sources: readonly string[], flags: Flags): Promise<OpenedTarget> {
  const [target] = sources;
  if (sources.length === 1 && target !== undefined && (await isArtifactFolder(target))) {
    const compressed = await readCompressedSource(target);
    return { document: compressed.document, compressed, inputs: null };
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
function modelOf(compressed: OpenedTarget['compressed']): string | null {
  if (!compressed || existsSync(compressed.body.modelDir)) return compressed?.body.modelDir ?? null;
  const here = inspectModel(DEFAULT_MODEL, undefined, compressed.key.dtype);
  if (here.checkpointHash === compressed.key.checkpoint) return DEFAULT_MODEL;
  throw new GlyphpressError('GP_CHECKPOINT', {
    message: `The model that ${compressed.folder} was made with is gone: ${compressed.body.modelDir}`,
    hint: 'Name where it is now with --model, or another model to compress the document for.',
    details: { folder: compressed.folder, modelDir: compressed.body.modelDir },
  });
}

function storedSettings(compressed: CompressedSource | null): Partial<ReadingSettings> {
  if (!compressed) return {};
  const { renderConfig, plan, sidecar } = compressed.body;
  return { renderConfig, plan, ...(sidecar && { sidecar: sidecar.budget }) };
}

function streamer(flags: Flags): (text: string) => void {
  // With --json the answer is part of the object; what grows goes to stderr.
  const out = flags.json ? process.stderr : process.stdout;
  return (text) => out.write(text);
}

function printAnswer(
  flags: Flags,
  answered: AskResult<ReportSoFar>,
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
