#!/usr/bin/env node
/**
 * Writes the model card of a reader, README.md of its folder, from what was measured:
 *
 *     node scripts/model-card.mjs models/reader docs/results/natural.json docs/results/natural-passages.json
 *
 * The reports are those of `glyphpress eval --suite natural --json`, for this reader: of pages, and with
 * `--expand lexical`, which says how its answers from text are judged.
 *
 * Uses Node's built-in modules only.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));

/**
 * @param {string} folder of the model
 * @param {string} reportFile JSON of the natural suite
 * @param {string} passagesFile JSON of the natural suite with passages
 * @returns {string} Markdown
 */
export function modelCard(folder, reportFile, passagesFile) {
  const config = readJson(join(folder, 'config.json'));
  const report = readJson(reportFile);
  const { text_config: text, vision_config: vision, glyphpress = {} } = config;
  const command = ['npx glyphpress eval --suite natural', ...flagsOf(report)].join(' ');
  return [
    FRONT_MATTER,
    `# The glyphpress reader`,
    '',
    `Reads pages of text that glyphpress draws, and answers questions about them in plain words. ${parameters(text, vision)} parameters: SmolLM2-135M-Instruct as decoder (${text.num_hidden_layers} layers, ${text.hidden_size} wide, up to ${text.max_position_embeddings.toLocaleString('en')} positions), behind a Pixtral tower of ${vision.num_hidden_layers} layers that was trained from nothing, in the architecture \`${config.architectures[0]}\`. Where the text does not answer, it says "Not found: the document does not say."`,
    '',
    `It is a very small model. It knows English, makes mistakes that a larger one would not, and does not calculate.${pagesKept(report.natural)} ${reading(glyphpress.render)}`,
    '',
    '## Figures',
    '',
    `${report.natural.rows[0].pages.questions} questions of people about ${report.natural.documents} real documents${lengths(report.settings)}, greedy answers, the weights of this folder${report.failed > 0 ? `; ${report.failed} could not be asked, since the document has more tokens than the model has positions` : ''}:`,
    '',
    '```sh',
    command,
    '```',
    '',
    ...figures(report),
    '',
    `*Pages* is this model on pages, *text* the same weights reading the text itself, *kept* pages ÷ text over what was asked both ways. The text has ${ratio(report)} as many tokens (o200k_base) as its pages have visual ones. What the rules of "right" are: docs/evaluation.md.`,
    '',
    ...confidence(report.natural, readJson(passagesFile).natural, glyphpress),
    '',
    '## Files',
    '',
    ...files(folder),
    '',
    "Decoder in four bits (symmetric, blocks of 32, as it was trained), embedding, head and the blocks of the tower in eight, the rest in halves; docs/models.md has the layout, which is glyphpress's own. transformers loads what `training/reader/export.py` writes, before it is quantised.",
    '',
    '## How it was made',
    '',
    'training/README.md says how, with which documents, and how to do it again; docs/results/reader.md has the learning curves and what failed.',
    '',
    '## Licence',
    '',
    'Apache-2.0 (LICENSE). The decoder, its embedding and its tokenizer are those of SmolLM2-135M-Instruct by Hugging Face (HuggingFaceTB), Apache-2.0; what was changed is said in NOTICE.',
    '',
  ].join('\n');
}

const FRONT_MATTER = `---
license: apache-2.0
language: en
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
pipeline_tag: image-text-to-text
---
`;

/** Embedding counted once: the head is tied to it. */
function parameters(text, vision) {
  const { hidden_size: width, intermediate_size: inner } = text;
  const kv = (text.num_key_value_heads / text.num_attention_heads) * width;
  const layer = 2 * width * width + 2 * width * kv + 3 * width * inner + 2 * width;
  const tower = vision.hidden_size;
  const block = 4 * tower * tower + 3 * tower * vision.intermediate_size + 2 * tower;
  const patches = 3 * vision.patch_size ** 2 * tower;
  const projector = 4 * tower * tower + tower * width + width * width;
  const all =
    text.vocab_size * width +
    text.num_hidden_layers * layer +
    vision.num_hidden_layers * block +
    patches +
    projector;
  return `${Math.round(all / 1e6)} M`;
}

function reading(render) {
  if (!render) return 'It was trained on many typographies.';
  const { 'font-family': family, 'font-size': size, 'line-height': pitch } = render;
  return `It was trained on many typographies, and reads ${family} at ${size} px and ${pitch} px a line unless told otherwise.`;
}

/** Said before the figures where pages lose more than half. */
function pagesKept({ rows }) {
  const kept = rows[0].kept?.value ?? null;
  return kept === null || kept >= 0.5
    ? ''
    : ` **It does not read pages well yet**: of what it answers from the text itself, it answers ${percent(kept)} from pages.`;
}

function flagsOf({ settings }) {
  return [
    ...(settings.pages === undefined ? [] : [`--pages ${settings.pages.join(',')}`]),
    ...(settings.documents === undefined ? [] : [`--documents ${settings.documents}`]),
    ...(settings.questionsOfEach === 5 ? [] : [`--samples ${settings.questionsOfEach}`]),
    ...(settings.seed === 1 ? [] : [`--seed ${settings.seed}`]),
    '--json',
  ];
}

const lengths = ({ pages }) =>
  pages === undefined ? '' : ` of ${pages.join(' or ')} ${`${pages}` === '1' ? 'page' : 'pages'}`;

const HEADINGS = ['', 'pages', '95 % interval', 'text', '95 % interval', 'kept', 'questions'];

function figures({ natural }) {
  const rows = natural.rows.filter(({ section }) => ['all', 'length', 'pages'].includes(section));
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [
    line(HEADINGS),
    line(['---', ...HEADINGS.slice(1).map(() => '---:')]),
    ...rows.map(({ section, label, pages, text, kept }) =>
      line([
        section === 'all' ? label : `answered by the text, ${label}`,
        percent(pages.value),
        interval(pages),
        percent(text?.value ?? null),
        interval(text),
        percent(kept?.value ?? null),
        pages.questions,
      ]),
    ),
  ];
}

function confidence(ofPages, ofPassages, { calibration, text_calibration: ofText }) {
  const { pages } = ofPages.confidence;
  const { text } = ofPassages.confidence;
  return [
    ...(pages ? [confidenceLine('pages', pages, calibration)] : []),
    ...(text ? [confidenceLine('text', text, ofText ?? calibration)] : []),
  ];
}

function confidenceLine(read, figures, calibration) {
  const { answers, expectedCalibrationError: error, areaUnderRoc: roc } = figures;
  const curve = !calibration
    ? 'without a curve'
    : calibration.method === 'evidence'
      ? `by a curve over tokens and evidence that was fitted on ${calibration.questions} other questions`
      : `by a curve that was fitted on ${calibration.questions} other questions about the documents of one and two pages`;
  return `Confidence of answers on ${read} (${curve}): calibration error ${error.toFixed(3)}, area under the ROC curve ${roc === null ? 'not known' : roc.toFixed(3)}, of ${answers} answers.`;
}

function files(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.safetensors'))
    .sort()
    .map((name) => `- \`${name}\`: ${(statSync(join(folder, name)).size / 1e6).toFixed(1)} MB`);
}

const ratio = ({ renderings }) => `${renderings[0].renderRatio.toFixed(2)} times`;

const percent = (value) => (value === null ? '–' : `${(value * 100).toFixed(1)} %`);

const interval = (figure) =>
  !figure || figure.value === null
    ? '–'
    : `${(figure.low * 100).toFixed(1)} – ${(figure.high * 100).toFixed(1)}`;

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [folder, report, passages] = process.argv.slice(2);
  if (!folder || !report || !passages) {
    process.stderr.write(
      'usage: node scripts/model-card.mjs MODEL_FOLDER REPORT.json REPORT_WITH_PASSAGES.json\n',
    );
    process.exit(2);
  }
  const file = join(resolve(folder), 'README.md');
  writeFileSync(file, modelCard(resolve(folder), resolve(report), resolve(passages)));
  process.stdout.write(`${relative(root, file)} written\n`);
}
