/**
 * Half precision to and from float32, without native Float16Array (Node 20 has none).
 */

let halfTable: Float32Array | undefined;

/** All 65,536 halves, widened. 256 KiB, made on first use. */
function halves(): Float32Array {
  if (halfTable) return halfTable;
  const table = new Float32Array(65_536);
  for (let bits = 0; bits < 65_536; bits += 1) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const sign = bits & 0x8000 ? -1 : 1;
    table[bits] =
      exponent === 31
        ? fraction === 0
          ? sign * Number.POSITIVE_INFINITY
          : Number.NaN
        : exponent === 0
          ? sign * fraction * 2 ** -24
          : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  halfTable = table;
  return table;
}

/** IEEE half bits → float32, exact. */
export function float16ToFloat32(
  source: Uint16Array,
  target: Float32Array = new Float32Array(source.length),
): Float32Array {
  const table = halves();
  for (let i = 0; i < source.length; i += 1) target[i] = table[source[i]!]!;
  return target;
}

/** The number that the bits of one half stand for. */
export function halfValue(bits: number): number {
  return halves()[bits]!;
}

/** bfloat16 bits → float32, exact: the upper half of the float32 bits. */
export function bfloat16ToFloat32(
  source: Uint16Array,
  target: Float32Array = new Float32Array(source.length),
): Float32Array {
  const bits = new Uint32Array(target.buffer, target.byteOffset, source.length);
  for (let i = 0; i < source.length; i += 1) bits[i] = source[i]! << 16;
  return target;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** float32 → half bits, round to nearest, ties to even; overflow becomes infinity. */
export function float32ToFloat16(
  source: Float32Array,
  target: Uint16Array = new Uint16Array(source.length),
): Uint16Array {
  for (let i = 0; i < source.length; i += 1) target[i] = halfBits(source[i]!);
  return target;
}

/** Bits of the half nearest to one number. */
export function halfBits(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00;
  // 65520 and above round to infinity.
  if (magnitude >= 0x477f_f000) return sign | 0x7c00;
  if (magnitude >= 0x3880_0000) {
    // Normal: move the exponent bias from 127 to 15, then round the 13 bits that fall off.
    const rounded = magnitude - 0x3800_0000 + 0x0fff + ((magnitude >>> 13) & 1);
    return sign | (rounded >>> 13);
  }
  // Subnormal half: a multiple of 2^-24. The scaling is exact, so only the rounding decides.
  return sign | roundHalfToEven(Math.abs(value) * 2 ** 24);
}

/** Python's `round`: halves go to the even neighbour. */
export function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
