/** Independent draws: the baseline that every other proposer has to beat. */

import { SeededRandom } from '../eval/seeded-random.js';
import {
  ATTEMPTS,
  type Proposal,
  type ProposalRequest,
  type Proposer,
  type Round,
  SeenPoints,
} from './proposer.js';
import { drawPoint } from './repair.js';

export class RandomProposer implements Proposer {
  readonly name = 'random';

  async propose(request: ProposalRequest): Promise<Round> {
    const seen = new SeenPoints(request.records, request.layers);
    return { proposals: request.ids.flatMap((id) => drawFresh(request, seen, id) ?? []) };
  }
}

/** A point that was not tried; null if none is found. */
export function drawFresh(
  { space, seed }: ProposalRequest,
  seen: SeenPoints,
  id: number,
): Proposal | null {
  const random = new SeededRandom(`${seed}/draw/${id}`);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const point = drawPoint(space, random);
    if (seen.add(point)) return { point, by: 'random', parents: [] };
  }
  return null;
}
