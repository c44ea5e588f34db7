/**
 * NSGA-II: parents are chosen from the best trials by rank and room, crossed axis by axis, and
 * mutated. Of each litter the child is tried that promises the largest gain ({@link Prospects}).
 *
 * Source: Deb et al. (2002), see {@link nonDominatedFronts}; with an archive of all trials in place
 * of a fixed population, as trials are dear and none is forgotten.
 */

import { SeededRandom } from '../eval/seeded-random.js';
import { moveValue } from './domain.js';
import type { AxisValue, Point } from './point.js';
import {
  type Proposal,
  type ProposalRequest,
  type Proposer,
  type Round,
  SeenPoints,
} from './proposer.js';
import { Prospects } from './prospects.js';
import { drawFresh } from './random-proposer.js';
import { repairPoint } from './repair.js';
import { isUsable, ranking } from './selection.js';
import type { Space } from './space.js';
import type { TrialRecord } from './trial.js';

/** Parents come from this many of the best trials. */
const POOL = 20;
/** Axes that a mutation changes in the mean. */
const MUTATIONS = 2;
/** One child in this number is a fresh random draw, so that values that no parent has can still be found. */
const FRESH_ONE_IN = 10;
/** Two children in three have two parents. */
const CROSSED = 2 / 3;
/** Children of which the most promising is tried: guessing is cheap, pages are dear. */
const LITTER = 16;

export class EvolutionProposer implements Proposer {
  readonly name = 'evolution';

  /** @param questionsInAll about all train texts: a trial that was asked fewer counts with its doubts */
  constructor(private readonly questionsInAll: number) {}

  async propose(request: ProposalRequest): Promise<Round> {
    const seen = new SeenPoints(request.records, request.layers);
    return { proposals: this.children(request, seen, request.ids) };
  }

  /** Fewer than asked for where nothing new is found: the space is used up. */
  children(request: ProposalRequest, seen: SeenPoints, ids: readonly number[]): Proposal[] {
    const pool = this.pool(request.records);
    const prospects = new Prospects(request.space, request.records, request.minRatio);
    return ids.flatMap((id) => this.#child(request, pool, prospects, seen, id) ?? []);
  }

  /** Possible parents, the best first. */
  pool(records: readonly TrialRecord[]): TrialRecord[] {
    return ranking(records, this.questionsInAll)
      .map((i) => records[i]!)
      .filter((record) => isUsable(record) && record.trial.outside !== true)
      .slice(0, POOL);
  }

  #child(
    request: ProposalRequest,
    pool: readonly TrialRecord[],
    prospects: Prospects,
    seen: SeenPoints,
    id: number,
  ): Proposal | null {
    const { space, seed } = request;
    const random = new SeededRandom(`${seed}/child/${id}`);
    if (pool.length === 0 || random.below(FRESH_ONE_IN) === 0) return drawFresh(request, seen, id);
    let best: { proposal: Proposal; worth: number } | null = null;
    for (let born = 0; born < LITTER; born++) {
      const proposal = this.#offspring(space, pool, random);
      if (!proposal || seen.has(proposal.point)) continue;
      const worth = prospects.worth(proposal.point);
      if (!best || worth > best.worth) best = { proposal, worth };
    }
    if (!best) return drawFresh(request, seen, id);
    seen.add(best.proposal.point);
    prospects.expect(best.proposal.point);
    return best.proposal;
  }

  #offspring(space: Space, pool: readonly TrialRecord[], random: SeededRandom): Proposal | null {
    const parents = [tournament(pool, random)];
    if (random.below(3) < 3 * CROSSED) parents.push(tournament(pool, random));
    const [first, second = first] = parents.map(({ trial }) => trial.point);
    const { point } = repairPoint(mutate(cross(first!, second!, random), space, random), space);
    const ids = [...new Set(parents.map(({ trial }) => trial.id))];
    return point && { point, by: this.name, parents: ids };
  }
}

/** Of two at random, the one that stands higher in the pool. */
function tournament(pool: readonly TrialRecord[], random: SeededRandom): TrialRecord {
  return pool[Math.min(random.below(pool.length), random.below(pool.length))]!;
}

/** Uniform: each axis comes from either parent. */
function cross(a: Point, b: Point, random: SeededRandom): Point {
  return Object.fromEntries(
    Object.entries(a).map(([axis, value]) => [
      axis,
      random.below(2) === 0 ? value : (b[axis] ?? value),
    ]),
  );
}

/** At least one axis moves; others with a chance that makes {@link MUTATIONS} in the mean. */
function mutate(point: Point, space: Space, random: SeededRandom): Point {
  const { free } = space;
  if (free.length === 0) return point;
  const mutated: Record<string, AxisValue> = { ...point };
  const sure = random.pick(free);
  for (const axis of free) {
    if (axis !== sure && random.below(free.length) >= MUTATIONS - 1) continue;
    mutated[axis] = moveValue(space.domain(axis), mutated[axis]!, random);
  }
  return mutated;
}
