/**
 * How alike two texts are: 2·M/T, M the characters in matching blocks, T the characters of both.
 *
 * Source: MRCR (openai/mrcr on Hugging Face, `grade`): 0 unless the answer starts with the string that
 * was to be prepended; then Python's `difflib.SequenceMatcher(None, answer, reference).ratio()`
 * (Ratcliff and Obershelp), with its rule that characters which make up more than 1 % of a reference
 * of 200 characters and more start no block.
 */
export function sequenceMatch(answer: string, reference: string, prefix = ''): number {
  if (!answer.startsWith(prefix)) return 0;
  const expected = reference.startsWith(prefix) ? reference.slice(prefix.length) : reference;
  return similarity(answer.slice(prefix.length), expected);
}

/** By code points, as Python counts. Cost: up to O(n²) time for very repetitive texts, O(n) memory. */
export function similarity(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  if (left.length + right.length === 0) return 1;
  return (2 * matchingCharacters(left, right)) / (left.length + right.length);
}

interface Block {
  a: number;
  b: number;
  size: number;
}

function matchingCharacters(a: readonly string[], b: readonly string[]): number {
  const places = placesOf(b);
  const open: [aLow: number, aHigh: number, bLow: number, bHigh: number][] = [
    [0, a.length, 0, b.length],
  ];
  let matched = 0;
  while (open.length > 0) {
    const [aLow, aHigh, bLow, bHigh] = open.pop()!;
    const block = longestMatch(a, b, places, aLow, aHigh, bLow, bHigh);
    if (block.size === 0) continue;
    matched += block.size;
    if (aLow < block.a && bLow < block.b) open.push([aLow, block.a, bLow, block.b]);
    const [aEnd, bEnd] = [block.a + block.size, block.b + block.size];
    if (aEnd < aHigh && bEnd < bHigh) open.push([aEnd, aHigh, bEnd, bHigh]);
  }
  return matched;
}

/** Where each character of b stands; popular ones are left out. */
function placesOf(b: readonly string[]): Map<string, number[]> {
  const places = new Map<string, number[]>();
  b.forEach((character, j) => {
    const known = places.get(character);
    if (known) known.push(j);
    else places.set(character, [j]);
  });
  if (b.length >= 200) {
    const maxOccurrences = Math.floor(b.length / 100) + 1;
    for (const [character, at] of places) if (at.length > maxOccurrences) places.delete(character);
  }
  return places;
}

/** The longest block within the limits, the first in a, then in b; popular characters may extend it. */
function longestMatch(
  a: readonly string[],
  b: readonly string[],
  places: ReadonlyMap<string, readonly number[]>,
  aLow: number,
  aHigh: number,
  bLow: number,
  bHigh: number,
): Block {
  const best: Block = { a: aLow, b: bLow, size: 0 };
  let lengths = new Map<number, number>();
  for (let i = aLow; i < aHigh; i++) {
    const next = new Map<number, number>();
    for (const j of places.get(a[i]!) ?? []) {
      if (j < bLow) continue;
      if (j >= bHigh) break;
      const size = (lengths.get(j - 1) ?? 0) + 1;
      next.set(j, size);
      if (size > best.size) {
        best.a = i - size + 1;
        best.b = j - size + 1;
        best.size = size;
      }
    }
    lengths = next;
  }
  while (best.a > aLow && best.b > bLow && a[best.a - 1] === b[best.b - 1]) {
    best.a--;
    best.b--;
    best.size++;
  }
  while (
    best.a + best.size < aHigh &&
    best.b + best.size < bHigh &&
    a[best.a + best.size] === b[best.b + best.size]
  ) {
    best.size++;
  }
  return best;
}
