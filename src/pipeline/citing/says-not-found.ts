/**
 * Does the answer say that the text does not hold what was asked for? Readers say "Not found: the document
 * does not say." or "The X of Y is not found."; other models say it in other words. Only the beginning
 * counts: an answer that ends in doubt still gave one.
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

const VERBS =
  '(found|mentioned|stated|given|provided|specified|included|present|listed|indicated|said|disclosed|recorded|answered)';
/** What a text may be called by one who was asked about it. */
const SOURCE =
  '(?:text|document|page|passage|context|source|file|excerpt|article|letter|e-?mail|message|thread|manual|guide|leaflet|report|minutes|contract|agreement|lease|licen[cs]e|policy|recipe|story|interview|bulletin|notice|newsletter|catalogue|catalog|list|table|log|config|configuration|script|code|readme|changelog|specification|spec|notebook|faq|author|writer)s?';
/** Nothing more follows but where it is missing. */
const PLACE = `(?:in|on|within) (?:the|this|that|these|any)\\b[^.,;:!?]{0,60}|by (?:the|this|that) ${SOURCE}`;
const ENDS = `(?: (?:anywhere|here|there|explicitly|directly))?(?: (?:${PLACE}))?(?=[.,;:!?"'*)]|$)`;
const IS_NOT = "(?:(?:is|are|was|were) (?:not|never|nowhere)|isn't|aren't|wasn't|weren't)";
const CANNOT = "(?:could not|couldn't|cannot|can't|can not|am unable to|was unable to)";
const DOES_NOT = "(?:does not|doesn't|do not|don't|did not|didn't)";

const SAYINGS = [
  /^["'*]*(not|nowhere) (found|mentioned|stated|given|provided|specified|listed|indicated|said|disclosed|recorded|in the (text|document))\b/,
  /^["'*]*(unknown|n\/a|unanswerable)[.!]?["'*]*$/,
  /^["'*]*none (is |was )?(given|mentioned|stated|specified|listed)\b/,
  /^(it |this |that )?(is|was) not (found|mentioned|stated|given|provided|specified|in the (text|document))\b/,
  new RegExp(`\\b(?<!\\b(?:what|which|whatever|whoever) )${IS_NOT} ${VERBS}${ENDS}`),
  new RegExp(
    `\\b${IS_NOT}(?: anywhere)? (?:in|on|part of) (?:the|this|that) (?:\\w+ )?${SOURCE}\\b`,
  ),
  new RegExp(`\\b${DOES_NOT} (say|mention|state|specify|tell|indicate|disclose)\\b`),
  new RegExp(`\\b(?:${SOURCE}|it) ${DOES_NOT} (give|provide|contain|include|name|list|answer)\\b`),
  new RegExp(
    `\\b(?:${SOURCE}|it) (?:says|said|mentions|states|contains|gives|tells us) nothing\\b|\\bnothing (?:is|was) (?:said|mentioned|stated|given)\\b`,
  ),
  new RegExp(
    `\\b(?:${SOURCE}|it) (?:is silent|gives no|has no information|contains no (?:information|mention|details?|answer)|makes no mention|provides no)\\b`,
  ),
  /\b(i|we) (do not|don't|did not|didn't) (know|see|find)\b/,
  new RegExp(`\\b(?:i|we) ${CANNOT} (?:find|see|locate|tell|determine|know|answer|say)\\b`),
  /\b(cannot|can't|could not|couldn't) be (found|determined|answered|inferred|told)\b/,
  /^["'*]*(there (is|are|was|were) )?no (such |further |specific )?(information|mention|answer|record|details?)\b/,
  new RegExp(`^["'*]*no [^.,;:]{1,60} (?:is|are|was|were) ${VERBS}${ENDS}`),
  new RegExp(
    `\\bthere(?: is|'s| are| was| were) (?:no|nothing)\\b[^.;:]{0,80}\\b(?:in|on|within) (?:the|this|that) ${SOURCE}\\b`,
  ),
  /^["'*]*there(?: is|'s) nothing (?:about|on|said)\b/,
];
