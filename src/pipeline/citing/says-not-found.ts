/**
 * Does the answer say that the text does not hold what was asked for? The reader says "The X of Y is
 * not found."; other models say it in other words. Only the beginning counts: an answer that ends in
 * doubt still gave one.
 */
export function saysNotFound(answer: string): boolean {
  const said = answer.trim().toLowerCase().replace(/[’`]/g, "'");
  const start = said.slice(0, 160);
  return isAbsenceSentence(said) || SAYINGS.some((saying) => saying.test(start));
}

/** One sentence, however long its subject is, that ends so. "What is not found is lost" says something else. */
function isAbsenceSentence(said: string): boolean {
  const subject = /^["'*]*([^\n]{1,600}?) is not found[.!]?["'*]*$/.exec(said)?.[1];
  if (subject === undefined || /[.!?:]\s/.test(subject)) return false;
  return !/\b(what|which|whatever|whoever|who)$/.test(subject);
}

const VERBS = '(found|mentioned|stated|given|provided|specified|included|present)';
/** Nothing more follows but where it is missing. */
const PLACE =
  '(?:in|on|within) (?:the|this|that|these|any)\\b[^.,;:!?]{0,60}|by (?:the|this|that) (?:text|document|page|passage|context|source)s?';
const ENDS = `(?: (?:anywhere|here|there|explicitly))?(?: (?:${PLACE}))?(?=[.,;:!?"'*)]|$)`;

const SAYINGS = [
  /^["'*]*not found\b/,
  /^(it |this |that )?(is|was) not (found|mentioned|stated|given|provided|specified|in the (text|document))\b/,
  new RegExp(
    `\\b(?<!\\b(?:what|which|whatever|whoever) )(is|are|was|were) (not|never) ${VERBS}${ENDS}`,
  ),
  new RegExp(`\\b(isn't|aren't|wasn't) ${VERBS}${ENDS}`),
  /\b(does not|doesn't|do not|don't) (say|mention|state|give|provide|specify|contain|include)\b/,
  /^["'*]*(there is )?no (such )?(information|mention|answer|record)\b/,
];
