/** Options of the commands that may ask a model server instead of a model here. */

import { type Command, Option } from 'commander';
import { GlyphpressError } from '../errors.js';
import type { ImageDetail } from '../pipeline/backends/chat-request.js';
import { OpenAiBackend } from '../pipeline/backends/openai.js';
import type { ModelFlags } from './model-options.js';
import { wholeNumber } from './options.js';

export interface BackendFlags {
  backend: 'onnx' | 'openai';
  baseUrl?: string;
  timeout: number;
  detail?: ImageDetail;
  keepThinking?: boolean;
  bare?: boolean;
}

export function withBackendOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--backend <kind>', 'onnx runs a model here; openai sends the pages to a server')
        .choices(['onnx', 'openai'])
        .default('onnx'),
    )
    .option('--base-url <url>', 'server of the openai backend; --model names its model')
    .option('--timeout <s>', 'patience with that server, in seconds', wholeNumber(1, 86_400), 600)
    .addOption(
      new Option('--detail <level>', 'resolution that the server reads pages with').choices([
        'low',
        'high',
        'auto',
      ]),
    )
    .option('--keep-thinking', 'print the <think> block of a reasoning model, too')
    .option('--bare', 'send the server pages and question alone: no instructions, no page numbers');
}

export const API_KEY_HELP =
  'The openai backend reads its key from GLYPHPRESS_API_KEY, else OPENAI_API_KEY.';

/** @throws {GlyphpressError} GP_USAGE if the flags do not make sense for a server */
export function openAiBackendOf(
  flags: BackendFlags & ModelFlags,
  env = process.env,
): OpenAiBackend {
  if (!flags.baseUrl || !flags.model) {
    throw new GlyphpressError('GP_USAGE', {
      message: '--backend openai needs --base-url and --model',
      hint: 'For example --base-url http://127.0.0.1:8000/v1 --model zai-org/Glyph.',
    });
  }
  if (flags.plan !== undefined || flags.keep !== undefined) {
    throw new GlyphpressError('GP_USAGE', {
      message: '--backend openai cannot prune: the server takes whole pages',
      hint: 'Leave out --plan and --keep, or use --backend onnx.',
    });
  }
  // An empty variable is one that is not set.
  const apiKey = env.GLYPHPRESS_API_KEY || env.OPENAI_API_KEY;
  return new OpenAiBackend({
    baseUrl: flags.baseUrl,
    model: flags.model,
    timeoutMs: flags.timeout * 1000,
    apiKey,
    detail: flags.detail,
    keepThinking: flags.keepThinking,
    ...(flags.bare && { instructions: null, pageNumbers: false }),
  });
}
