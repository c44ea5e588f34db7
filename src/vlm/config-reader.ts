/**
 * Reads fields of a checkpoint's JSON with checks; a wrong field names its file and path.
 */
import { GlyphpressError } from '../errors.js';

export class ConfigReader {
  constructor(
    private readonly raw: Record<string, unknown>,
    private readonly file: string,
    private readonly path = '',
  ) {}

  child(key: string): ConfigReader | undefined {
    const value = this.raw[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'object' || Array.isArray(value))
      throw this.#wrong(key, 'an object', value);
    return new ConfigReader(value as Record<string, unknown>, this.file, `${this.path}${key}.`);
  }

  /** The fields of an object as they are, for somebody else to check. */
  object(key: string): Readonly<Record<string, unknown>> | undefined {
    return this.child(key)?.raw;
  }

  requiredChild(key: string): ConfigReader {
    const child = this.child(key);
    if (!child) throw this.#wrong(key, 'an object', undefined);
    return child;
  }

  number(key: string, fallback?: number): number {
    const value = this.raw[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw this.#wrong(key, 'a number', value);
    return value;
  }

  /** A positive whole number, up to `limit` so that no loop over it runs away. */
  count(key: string, fallback?: number, limit = 2 ** 31): number {
    const value = this.number(key, fallback);
    if (!Number.isSafeInteger(value) || value < 1 || value > limit) {
      throw this.#wrong(key, `a whole number from 1 to ${limit}`, value);
    }
    return value;
  }

  counts(key: string, fallback: readonly number[]): number[] {
    const value = this.raw[key] ?? fallback;
    if (
      !Array.isArray(value) ||
      !value.every((entry) => Number.isSafeInteger(entry) && entry > 0)
    ) {
      throw this.#wrong(key, 'a list of positive whole numbers', value);
    }
    return value;
  }

  /** Whole numbers from 0. */
  indices(key: string, fallback: readonly number[]): number[] {
    const value = this.raw[key] ?? fallback;
    if (
      !Array.isArray(value) ||
      !value.every((entry) => Number.isSafeInteger(entry) && entry >= 0)
    ) {
      throw this.#wrong(key, 'a list of whole numbers', value);
    }
    return value;
  }

  hasObject(key: string): boolean {
    return this.has(key) && typeof this.raw[key] === 'object' && !Array.isArray(this.raw[key]);
  }

  has(key: string): boolean {
    return this.raw[key] !== undefined && this.raw[key] !== null;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.raw[key] ?? fallback;
    if (typeof value !== 'boolean') throw this.#wrong(key, 'true or false', value);
    return value;
  }

  string(key: string, fallback: string): string {
    const value = this.raw[key] ?? fallback;
    if (typeof value !== 'string') throw this.#wrong(key, 'a string', value);
    return value;
  }

  check(holds: boolean, key: string, expected: string): void {
    if (!holds) throw this.#wrong(key, expected, this.raw[key]);
  }

  #wrong(key: string, expected: string, actual: unknown): GlyphpressError {
    const field = `${this.path}${key}`;
    const got = actual === undefined ? 'nothing' : JSON.stringify(actual);
    return new GlyphpressError('GP_CHECKPOINT', {
      message: `${this.file}: expected ${field} to be ${expected}, got ${got}.`,
      hint: 'Use the config.json that belongs to this checkpoint.',
      details: { file: this.file, key: field, expected, actual },
    });
  }
}
