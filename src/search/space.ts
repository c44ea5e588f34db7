/** The axes of one search: all of them, or what a space file leaves of them. */

import { readFileSync } from 'node:fs';
import { GlyphpressError } from '../errors.js';
import type { SeededRandom } from '../eval/seeded-random.js';
import { parseRenderConfig } from '../render/index.js';
import { AXES, type Axis } from './axes.js';
import { between, clampValue, type Domain, drawValue, valuesOf } from './domain.js';
import type { AxisValue, Point } from './point.js';

/** Axes whose values are those of a config key: a space file may name values that the list lacks. */
const OPEN_AXES: Readonly<Record<string, string>> = {
  page: 'page-size',
  dpi: 'dpi',
  'margin-x': 'margin-x',
  'margin-y': 'margin-y',
  'font-size': 'font-size',
  'space-before': 'space-before',
  'space-after': 'space-after',
  'horizontal-scale': 'horizontal-scale',
  border: 'border-width',
  'newline-markup': 'newline-markup',
  columns: 'columns',
  'column-gap': 'column-gap',
};

export class Space {
  /** @param canPrune false leaves the axes of the plan at their default values: a server takes whole pages */
  constructor(
    readonly axes: Readonly<Record<string, Axis>> = AXES,
    canPrune = true,
  ) {
    if (canPrune) return;
    this.axes = Object.fromEntries(
      Object.entries(axes).map(([name, axis]) => [
        name,
        axis.part === 'plan' ? { ...axis, domain: fixed(axis.defaultValue) } : axis,
      ]),
    );
  }

  domain(axis: string): Domain {
    return this.axes[axis]!.domain;
  }

  /** Axes with more than one value. */
  get free(): string[] {
    return Object.keys(this.axes).filter((name) => valuesOf(this.domain(name)).length > 1);
  }

  /** A value for every axis; nothing says yet that they go together. */
  draw(random: SeededRandom): Point {
    return Object.fromEntries(
      Object.entries(this.axes).map(([name, { domain }]) => [name, drawValue(domain, random)]),
    );
  }

  /**
   * The values of `raw` that an axis takes, numbers brought to the nearest value; axes that are
   * missing or beyond help stay at their default value, or the first that the space leaves.
   */
  clamp(raw: Readonly<Record<string, unknown>>): Point {
    return Object.fromEntries(
      Object.entries(this.axes).map(([name, { domain, defaultValue }]) => [
        name,
        clampValue(domain, raw[name]) ?? clampValue(domain, defaultValue) ?? valuesOf(domain)[0]!,
      ]),
    );
  }
}

const fixed = (value: AxisValue): Domain => ({
  bands: [{ weight: 1, values: [value] }],
  ordered: false,
});

/**
 * @param json `{ "axes": { AXIS: value | [values] | { "min": n, "max": n } } }`
 * @throws {GlyphpressError} GP_SEARCH_SPACE naming axis, value and what is allowed
 */
export function parseSpace(json: unknown, options: { canPrune: boolean }): Space {
  const { axes, ...rest } = isRecord(json) ? json : {};
  if (!isRecord(axes) || Object.keys(rest).length > 0) {
    throw spaceError(
      'Expected a space as {"axes": {…}} and nothing beside it',
      'For example {"axes": {"dpi": 72, "font-size": [8, 9], "margin-x": {"min": 0, "max": 6}}}.',
      { keys: isRecord(json) ? Object.keys(json) : typeof json },
    );
  }
  const narrowed = { ...AXES };
  for (const [name, wanted] of Object.entries(axes)) {
    if (!Object.hasOwn(AXES, name)) {
      throw spaceError(
        `Unknown axis "${name}" in the space`,
        `Known axes: ${Object.keys(AXES).join(', ')}.`,
        { axis: name },
      );
    }
    narrowed[name] = { ...AXES[name]!, domain: narrow(name, AXES[name]!.domain, wanted) };
  }
  return new Space(narrowed, options.canPrune);
}

/** @throws {GlyphpressError} GP_INPUT_NOT_FOUND, GP_CONFIG_SYNTAX, GP_SEARCH_SPACE */
export function loadSpace(file: string, options: { canPrune: boolean }): Space {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `No space file "${file}"`,
      hint: 'Give a JSON file that narrows or fixes axes, see docs/search.md.',
      details: { file },
      cause,
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new GlyphpressError('GP_CONFIG_SYNTAX', {
      message: `${file} is not valid JSON: ${(cause as Error).message}`,
      hint: 'Compare with the example of docs/search.md.',
      details: { file },
      cause,
    });
  }
  return parseSpace(json, options);
}

function narrow(name: string, domain: Domain, wanted: unknown): Domain {
  if (isRecord(wanted)) {
    const { min = -Infinity, max = Infinity, ...rest } = wanted;
    const isRange = typeof min === 'number' && typeof max === 'number';
    const left = isRange && Object.keys(rest).length === 0 && domain.ordered;
    const narrowed = left ? between(domain, min, max) : null;
    if (narrowed) return narrowed;
    throw notAllowed(name, domain, wanted);
  }
  const values = Array.isArray(wanted) ? wanted : [wanted];
  if (values.length === 0) throw notAllowed(name, domain, wanted);
  const taken = values.map((value) => {
    const near = clampValue(domain, value);
    if (near === value) return near;
    if (Object.hasOwn(OPEN_AXES, name) && isConfigValue(OPEN_AXES[name]!, value)) return value;
    throw notAllowed(name, domain, value);
  });
  return {
    bands: [{ weight: 1, values: [...new Set(taken)] as AxisValue[] }],
    ordered: domain.ordered,
  };
}

/** Whether a config takes this value for the key; conflicts with other keys are another matter. */
function isConfigValue(key: string, value: unknown): value is AxisValue {
  try {
    parseRenderConfig({ [key]: value });
    return typeof value === 'string' || typeof value === 'number';
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    return code === 'GP_CONFIG_CONFLICT' && typeof value === 'number';
  }
}

function notAllowed(name: string, domain: Domain, value: unknown): GlyphpressError {
  const all = valuesOf(domain);
  const shown = all.length > 12 ? [...all.slice(0, 6), '…', ...all.slice(-3)] : all;
  const range = domain.ordered ? ', or {"min": n, "max": n} around some of them' : '';
  return spaceError(
    `Axis "${name}" of the space is ${JSON.stringify(value)}; allowed: one or several of ${shown.map((one) => JSON.stringify(one)).join(', ')}${range}`,
    `${name}: ${AXES[name]!.about}.`,
    { axis: name, value },
  );
}

export function spaceError(
  message: string,
  hint: string,
  details: Record<string, unknown> = {},
): GlyphpressError {
  return new GlyphpressError('GP_SEARCH_SPACE', { message, hint, details });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
