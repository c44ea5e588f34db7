/** WebAssembly as bytes: the instructions that the row kernel needs, and the frame of a module. */

/** Instructions are bytes; nested lists are flattened when the module is put together. */
export type Code = readonly (number | Code)[];

export const V128 = 0x7b;
export const I32 = 0x7f;
export const EMPTY = 0x40;

export const get = (local: number): Code => [0x20, local];
export const set = (local: number, value: Code): Code => [value, 0x21, local];
export const i32 = (value: number): Code => [0x41, signed(value)];
export const add = (a: Code, b: Code): Code => [a, b, 0x6a];
export const advance = (local: number, by: Code): Code => set(local, add(get(local), by));
/** Repeats while local a < local b. */
export const repeatWhileBelow = (a: number, b: number, body: Code): Code => [
  [0x03, EMPTY, body],
  [get(a), get(b), 0x49, 0x0d, 0, 0x0b],
];
const simd = (opcode: number): Code => [0xfd, unsigned(opcode)];
/** 16 bytes at an address that is a multiple of 16, or of 8. */
export const load = (address: Code, offset = 0): Code => [address, simd(0x00), 3, unsigned(offset)];
/** Two float32 → two float64 */
export const loadWidened = (address: Code, offset: number): Code => [
  [address, simd(0x5d), 3, unsigned(offset)],
  simd(0x5f),
];
export const loadFloat64 = (address: Code, offset = 0): Code => [
  address,
  0x2b,
  3,
  unsigned(offset),
];
export const storeFloat64 = (address: Code, value: Code, offset = 0): Code => [
  [address, value],
  [0x39, 3, unsigned(offset)],
];
export const addFloat64 = (a: Code, b: Code): Code => [a, b, 0xa0];
export const float64x2 = {
  add: (a: Code, b: Code): Code => [a, b, simd(0xf0)],
  multiply: (a: Code, b: Code): Code => [a, b, simd(0xf2)],
  lane: (a: Code, lane: number): Code => [a, simd(0x21), lane],
};
export const float32x4 = {
  add: (a: Code, b: Code): Code => [a, b, simd(0xe4)],
  multiply: (a: Code, b: Code): Code => [a, b, simd(0xe6)],
  /** One lane as float64. */
  lane: (a: Code, lane: number): Code => [a, simd(0x1f), lane, 0xbb],
};
export const zero: Code = [simd(0x0c), Array(16).fill(0)];

/**
 * A module that exports functions and its memory, of one page.
 *
 * @param functions their parameters are all i32, and they return nothing
 */
export function moduleOf(
  functions: readonly (readonly [name: string, parameters: number, body: Code])[],
): Uint8Array<ArrayBuffer> {
  const exported = (name: string, kind: number, index: number): Code => [
    [name.length, [...name].map((letter) => letter.charCodeAt(0))],
    [kind, index],
  ];
  const sections: [id: number, content: Code][] = [
    [1, list(functions.map(([, count]) => [0x60, count, Array(count).fill(I32), 0]))],
    [3, list(functions.map((_, n) => [n]))],
    [5, list([[0, 1]])],
    [7, list([exported('memory', 2, 0), ...functions.map(([name], n) => exported(name, 0, n))])],
    [10, list(functions.map(([, , body]) => body))],
  ];
  return Uint8Array.from(
    flatten([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      sections.map(([id, content]) => [id, sized(content)]),
    ]),
  );
}

export function functionBody(
  locals: readonly (readonly [count: number, type: number])[],
  code: Code,
) {
  return sized([list(locals), code, 0x0b]);
}

const list = (items: readonly Code[]): Code => [items.length, items];
const sized = (content: Code): Code => {
  const bytes = flatten(content);
  return [unsigned(bytes.length), bytes];
};
const flatten = (code: Code): number[] =>
  code.flatMap((part) => (typeof part === 'number' ? [part] : flatten(part)));

/** LEB128 */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const done = value >= -64 && value < 64;
  return done ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}
