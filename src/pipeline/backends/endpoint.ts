/** Where a model server is reached, and with which key. */

import { GlyphpressError } from '../../errors.js';

export interface EndpointOptions {
  /** http or https, with or without `/v1`. */
  baseUrl: string;
  /** Sent as a bearer token. Never appears in errors. */
  apiKey?: string | undefined;
}

/** Shorter keys ("x", "EMPTY") are placeholders for servers without keys, not secrets. */
const SHORTEST_SECRET = 6;

export class Endpoint {
  readonly #base: URL;
  readonly #apiKey: string | undefined;

  /** @throws {GlyphpressError} GP_CONFIG_VALUE for an address or a key that cannot be used */
  constructor({ baseUrl, apiKey }: EndpointOptions) {
    this.#base = normaliseBaseUrl(baseUrl);
    this.#apiKey = readApiKey(apiKey);
  }

  /** Without the query, which may hold secrets. */
  get address(): string {
    return this.#base.origin + this.#base.pathname;
  }

  url(path: string): URL {
    const url = new URL(this.#base);
    url.pathname += path;
    return url;
  }

  get authorization(): Record<string, string> {
    return this.#apiKey === undefined ? {} : { authorization: `Bearer ${this.#apiKey}` };
  }

  /** The text with every copy of the key masked. */
  redact(text: string): string {
    const key = this.#apiKey;
    if (key === undefined || key.length < SHORTEST_SECRET) return text;
    const escaped = JSON.stringify(key).slice(1, -1);
    // PHP and some proxies escape slashes in JSON.
    const forms = [key, encodeURIComponent(key), escaped, key.replaceAll('/', '\\/')];
    return forms.reduce((clean, form) => clean.replaceAll(form, '[key]'), text);
  }
}

/**
 * The address that calls are made under. `http://host:8000`, `…/v1`, `…/v1/` and
 * `…/v1/chat/completions` are the same; `/v1` is added only where no part of the path is a version.
 *
 * @throws {GlyphpressError} GP_CONFIG_VALUE if it is not http or https, or holds a password
 */
export function normaliseBaseUrl(baseUrl: string): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new GlyphpressError('GP_CONFIG_VALUE', {
      message: `Expected the base URL as http:// or https://, got ${url ? url.protocol : 'no URL'}`,
      hint: 'For example http://127.0.0.1:8000/v1.',
      details: { key: 'baseUrl', allowed: 'http or https URL' },
    });
  }
  if (url.username || url.password) {
    throw new GlyphpressError('GP_CONFIG_VALUE', {
      message: 'Expected the base URL without a user name and password, got one with them',
      hint: 'Put the key into GLYPHPRESS_API_KEY instead.',
      details: { key: 'baseUrl', host: url.host },
    });
  }
  url.hash = '';
  const path = url.pathname.replace(/\/+$/, '').replace(/\/chat\/completions$/, '');
  url.pathname = path.split('/').some((part) => /^v\d/.test(part)) ? path : `${path}/v1`;
  return url;
}

/** @throws {GlyphpressError} GP_CONFIG_VALUE, without the key, if no header can hold it */
function readApiKey(apiKey: string | undefined): string | undefined {
  const key = apiKey?.trim();
  if (key === undefined || key === '') return undefined;
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new GlyphpressError('GP_CONFIG_VALUE', {
    message: 'Expected an API key of printable ASCII without spaces, got other characters',
    hint: 'Look for a line break, a space or quotation marks in GLYPHPRESS_API_KEY or OPENAI_API_KEY.',
    details: { key: 'apiKey' },
  });
}
