/** What a chaos run does, all of it from one seed: which documents come, which faults strike, when. */

export const FAULTS = [
  'kill-api',
  'kill-worker',
  'kill-browser',
  'kill-redis',
  'pause-redis',
  'pause-worker',
  'full-disk',
  'damage-artifact',
  'restart-api',
] as const;
export type FaultKind = (typeof FAULTS)[number];

export interface ChaosOptions {
  seed: number;
  /** Documents handed in, all of them in flight as soon as they are taken. */
  documents: number;
  faults: number;
  kinds: readonly FaultKind[];
  /** Worker processes of `serve`; one more runs on its own. */
  workers: number;
  /** For all documents to come to an end after the last fault. */
  settleMs: number;
  /** Where the table's figures go as JSON besides the output; null for nowhere. */
  out: string | null;
}

/** From the environment; the defaults take about five minutes on two cores. */
export function chaosOptions(env: NodeJS.ProcessEnv = process.env): ChaosOptions {
  const number = (name: string, otherwise: number) => {
    const value = Number(env[`CHAOS_${name}`] ?? otherwise);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new Error(`CHAOS_${name}: expected a whole number, got ${env[`CHAOS_${name}`]}`);
  };
  const kinds = env.CHAOS_FAULTS_OF?.split(',') ?? [...FAULTS];
  for (const kind of kinds) {
    if (!(FAULTS as readonly string[]).includes(kind))
      throw new Error(`CHAOS_FAULTS_OF: ${kind} is none of ${FAULTS.join(', ')}`);
  }
  return {
    seed: number('SEED', 1),
    documents: number('DOCUMENTS', 100),
    faults: number('FAULTS', 14),
    kinds: kinds as FaultKind[],
    workers: number('WORKERS', 1),
    settleMs: number('SETTLE_SECONDS', 240) * 1000,
    out: env.CHAOS_OUT ?? null,
  };
}

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** Whole, both ends included. */
  between(low: number, high: number): number;
  pick<T>(from: readonly T[]): T;
}

/** Mulberry32: the same seed, the same run as far as the plan goes. */
export function random(seed: number): Random {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return { next, between, pick: (from) => from[between(0, from.length - 1)]! };
}

export interface PlannedFault {
  kind: FaultKind;
  /** After the fault before it came to its end. */
  pauseMs: number;
  /** For faults that last. */
  lastsMs: number;
}

/** Every kind comes before any comes again. */
export function plannedFaults({ faults, kinds }: ChaosOptions, dice: Random): PlannedFault[] {
  const deck: FaultKind[] = [];
  return Array.from({ length: faults }, () => {
    if (deck.length === 0) deck.push(...kinds);
    const [kind] = deck.splice(dice.between(0, deck.length - 1), 1);
    return {
      kind: kind!,
      pauseMs: dice.between(1_500, 6_000),
      lastsMs: dice.between(2_000, 7_000),
    };
  });
}

export interface PlannedDocument {
  name: string;
  body: string;
  mediaType: string;
  /** The text that must come out of it; null where it must fail. */
  text: string | null;
  priority: 'high' | 'normal' | 'low';
  /** What its owner does with it so long after it was taken. */
  fate: { act: 'cancel' | 'delete'; afterMs: number } | null;
}

const WORDS =
  'harbour gate rope north ledger keeper tide signal lamp stone winter bridge crate anchor letter of the a and to'.split(
    ' ',
  );

function prose(dice: Random, count: number): string {
  return Array.from({ length: count }, () => dice.pick(WORDS)).join(' ');
}

export function plannedDocuments({ documents }: ChaosOptions, dice: Random): PlannedDocument[] {
  const shared = Array.from({ length: 3 }, () => prose(dice, 150));
  return Array.from({ length: documents }, (_, n): PlannedDocument => {
    const form = dice.next();
    const luck = dice.next();
    const afterMs = dice.between(0, 20_000);
    const common = {
      name: `document-${n}`,
      mediaType: 'text/plain',
      priority: dice.pick(['high', 'normal', 'normal', 'low'] as const),
      fate:
        luck < 0.1
          ? ({ act: 'cancel', afterMs } as const)
          : luck < 0.18
            ? ({ act: 'delete', afterMs } as const)
            : null,
    };
    if (form < 0.05) return { ...common, body: ' \n ', text: null };
    if (form < 0.1)
      return { ...common, body: `no PDF ${n}`, mediaType: 'application/pdf', text: null };
    if (form < 0.2) {
      const text = prose(dice, 80);
      return {
        ...common,
        body: `<p>${n} ${text}</p>`,
        mediaType: 'text/html',
        text: `${n} ${text}`,
      };
    }
    const text =
      form < 0.3
        ? dice.pick(shared)
        : `${n} ${prose(dice, form < 0.38 ? 1_800 : dice.between(30, 350))}`;
    return { ...common, body: text, text };
  });
}
