/**
 * The checkpoint's own tokenizer: text to ids, and ids back to text piece by piece.
 */
import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import { GlyphpressError } from '../errors.js';

interface AddedToken {
  id: number;
  content: string;
  special: boolean;
}

export class Tokenizer {
  readonly #hub: HubTokenizer;
  readonly #added: readonly AddedToken[];
  readonly #addedById: ReadonlyMap<number, AddedToken>;
  /** Reads the same vocabulary but takes no added token for what it says. Made when first needed. */
  #literal: HubTokenizer | undefined;

  constructor(
    private readonly json: Record<string, unknown>,
    private readonly config: Record<string, unknown>,
    private readonly file: string,
  ) {
    if (!usesByteLevel(json.decoder)) {
      throw this.#broken('has no ByteLevel decoder; only byte-level tokenizers are supported');
    }
    try {
      this.#hub = new HubTokenizer(json, config);
    } catch (cause) {
      throw this.#broken(`cannot be used: ${(cause as Error).message}`, cause);
    }
    this.#added = (json.added_tokens as AddedToken[] | undefined) ?? [];
    this.#addedById = new Map(this.#added.map((token) => [token.id, token]));
  }

  /** Number of entries, added tokens included. */
  get vocabularySize(): number {
    return this.#hub.get_vocab(true).size;
  }

  /** Ids of a prompt text in which added tokens such as `<|user|>` mean themselves. */
  encode(text: string): number[] {
    return this.#hub.encode(text, { add_special_tokens: false }).ids;
  }

  /** Ids of somebody's words: what looks like an added token is spelt out as ordinary text. */
  encodeLiteral(text: string): number[] {
    if (!this.containsAddedToken(text)) return this.encode(text);
    this.#literal ??= new HubTokenizer({ ...this.json, added_tokens: [] }, this.config);
    return this.#literal.encode(text, { add_special_tokens: false }).ids;
  }

  containsAddedToken(text: string): boolean {
    return this.#added.some(({ content }) => text.includes(content));
  }

  /** Where the last added token before `end` ends, or 0. Text may be cut there without changing its ids. */
  lastAddedTokenEnd(text: string, end: number): number {
    let last = 0;
    for (const { content } of this.#added) {
      const start = text.lastIndexOf(content, end - content.length);
      if (start >= 0 && start + content.length <= end)
        last = Math.max(last, start + content.length);
    }
    return last;
  }

  tokenId(token: string): number | undefined {
    return this.#hub.token_to_id(token);
  }

  decode(ids: readonly number[]): string {
    const stream = this.stream();
    return ids.map((id) => stream.push(id)).join('') + stream.end();
  }

  stream(): DetokenizerStream {
    return new DetokenizerStream((id) => this.#bytesOf(id));
  }

  /** The bytes a token stands for; none for special tokens and ids without a token. */
  #bytesOf(id: number): Uint8Array {
    const added = this.#addedById.get(id);
    if (added) return added.special ? new Uint8Array(0) : new TextEncoder().encode(added.content);
    const token = this.#hub.id_to_token(id);
    return token === undefined ? new Uint8Array(0) : byteLevelBytes(token);
  }

  #broken(problem: string, cause?: unknown): GlyphpressError {
    return new GlyphpressError('GP_CHECKPOINT', {
      message: `${this.file} ${problem}.`,
      hint: 'Use the tokenizer.json that belongs to this checkpoint.',
      details: { file: this.file },
      cause,
    });
  }
}

/** Turns tokens into text as they come, holding back bytes until they make whole characters. */
export class DetokenizerStream {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(private readonly bytesOf: (id: number) => Uint8Array) {}

  push(id: number): string {
    return this.#decoder.decode(this.bytesOf(id), { stream: true });
  }

  /** What was held back; a character that never got its last byte comes out as U+FFFD. */
  end(): string {
    return this.#decoder.decode();
  }
}

function usesByteLevel(decoder: unknown): boolean {
  if (typeof decoder !== 'object' || decoder === null) return false;
  const { type, decoders } = decoder as { type?: string; decoders?: unknown[] };
  return type === 'ByteLevel' || (type === 'Sequence' && (decoders ?? []).some(usesByteLevel));
}

let byteOfCharacter: Map<string, number> | undefined;

/** GPT-2's printable characters back to the bytes they stand for; other characters are themselves. */
function byteLevelBytes(token: string): Uint8Array {
  byteOfCharacter ??= byteLevelAlphabet();
  const bytes: number[] = [];
  for (const character of token) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) bytes.push(...new TextEncoder().encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

function byteLevelAlphabet(): Map<string, number> {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const alphabet = new Map<string, number>();
  let extra = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    alphabet.set(String.fromCodePoint(isPrintable(byte) ? byte : 256 + extra++), byte);
  }
  return alphabet;
}
