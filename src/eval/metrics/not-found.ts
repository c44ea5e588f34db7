/**
 * Does the answer say that the text does not hold what was asked for? The reader says "not found";
 * other models say it in other words. Only the beginning counts: an answer that ends in doubt still
 * gave one.
 */
export function saysNotFound(answer: string): boolean {
  const start = answer.trim().toLowerCase().replace(/[’`]/g, "'").slice(0, 160);
  return SAYINGS.some((saying) => saying.test(start));
}

const SAYINGS = [
  /^["'*]*not found\b/,
  /^(it |this |that )?(is|was) not (found|mentioned|stated|given|provided|specified|in the (text|document))\b/,
  /\b(is|are|was|were) (not|never) (found|mentioned|stated|given|provided|specified|included|present)\b/,
  /\b(isn't|aren't|wasn't) (found|mentioned|stated|given|provided|specified|included|present)\b/,
  /\b(does not|doesn't|do not|don't) (say|mention|state|give|provide|specify|contain|include)\b/,
  /^["'*]*(there is )?no (such )?(information|mention|answer|record)\b/,
];
