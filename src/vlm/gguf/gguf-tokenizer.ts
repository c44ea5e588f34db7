/**
 * The tokenizer of a GGUF file as `tokenizer.json` and `tokenizer_config.json`.
 *
 * Source of the pre-tokenizers: llama.cpp, src/llama-vocab.cpp (llm_tokenizer_bpe), and the
 * tokenizer.json files that those names were made from.
 */
import { GlyphpressError } from '../../errors.js';
import type { GgufFile } from './gguf-file.js';

const CONTROL = 3;
const USER_DEFINED = 4;

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };

const splitBy = (regex: string) => ({
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false },
    { ...BYTE_LEVEL, use_regex: false },
  ],
});

const LLAMA3_WORDS =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const QWEN2_WORDS = LLAMA3_WORDS.replace('\\p{N}{1,3}', '\\p{N}');

/** How text is cut into words before merging, by `tokenizer.ggml.pre`. */
const PRE_TOKENIZERS: Readonly<Record<string, unknown>> = {
  'gpt-2': { ...BYTE_LEVEL, use_regex: true },
  default: { ...BYTE_LEVEL, use_regex: true },
  smollm: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      { ...BYTE_LEVEL, use_regex: true },
    ],
  },
  'llama-bpe': splitBy(LLAMA3_WORDS),
  qwen2: splitBy(QWEN2_WORDS),
};

export interface TokenizerFiles {
  tokenizerJson: Record<string, unknown>;
  tokenizerConfig: Record<string, unknown>;
  /** Ids at any of which an answer ends. */
  eosTokenIds: number[];
}

/** @throws GP_CHECKPOINT for a tokenizer that is not byte-level BPE, or of an unknown pre-tokenizer */
export function tokenizerOf(file: GgufFile): TokenizerFiles {
  const model = file.string('tokenizer.ggml.model');
  if (model !== 'gpt2') {
    throw unsupported(
      file,
      `has a tokenizer of the kind "${model}"; byte-level BPE ("gpt2") is read`,
    );
  }
  const pre = file.string('tokenizer.ggml.pre', 'default');
  const preTokenizer = PRE_TOKENIZERS[pre];
  if (!preTokenizer) {
    throw unsupported(
      file,
      `cuts words by the rule "${pre}"; ${Object.keys(PRE_TOKENIZERS).join(', ')} are known`,
    );
  }
  const tokens = file.list('tokenizer.ggml.tokens').map(String);
  const types = file.metadata.has('tokenizer.ggml.token_type')
    ? file.list('tokenizer.ggml.token_type').map(Number)
    : [];
  const added = tokens.flatMap((content, id) => {
    const type = types[id];
    if (type !== CONTROL && type !== USER_DEFINED) return [];
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    return [{ id, content, ...flags, special: type === CONTROL }];
  });
  const tokenAt = (key: string) => (file.metadata.has(key) ? tokens[file.number(key)] : undefined);
  const bos = tokenAt('tokenizer.ggml.bos_token_id');
  const eos = tokenAt('tokenizer.ggml.eos_token_id');
  const pad = tokenAt('tokenizer.ggml.padding_token_id');
  return {
    tokenizerJson: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: pre === 'qwen2' ? { type: 'NFC' } : null,
      pre_tokenizer: preTokenizer,
      post_processor: null,
      decoder: { ...BYTE_LEVEL, use_regex: true },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: pre === 'llama-bpe',
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: file.list('tokenizer.ggml.merges').map(String),
      },
    },
    tokenizerConfig: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      clean_up_tokenization_spaces: false,
      ...(bos !== undefined && { bos_token: bos }),
      ...(eos !== undefined && { eos_token: eos }),
      ...(pad !== undefined && { pad_token: pad }),
    },
    eosTokenIds: ['eos', 'eot', 'eom']
      .map((name) => `tokenizer.ggml.${name}_token_id`)
      .filter((key) => file.metadata.has(key))
      .map((key) => file.number(key)),
  };
}

function unsupported(file: GgufFile, problem: string): GlyphpressError {
  return new GlyphpressError('GP_CHECKPOINT', {
    message: `${file.path} ${problem}.`,
    hint: 'Use the safetensors upload of the model, which has its tokenizer.json.',
    details: { file: file.path },
  });
}
