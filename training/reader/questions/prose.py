"""Rules over sentences: definitions, who, when, why, how many, what is allowed, yes and no."""

import re
from collections.abc import Iterator

from .fact import Fact, as_clause, in_one_line

SENTENCE = re.compile(r"(?<![^\s(\"'])[A-Z`\"'][^\n]*?(?:\.|!|\?)(?=\s|$)(?! [a-z])")
AUXILIARY = "is|are|was|were|can|cannot|should|must|will|may|has|have|does|do"
SUBJECT = r"(?P<subject>[A-Z`\"'][^,;:]{1,58}?)"
PRONOUN = re.compile(r"(?i)^(it|they|he|she|this|that|these|those|there|which|who|what|you|we|i|if|when|as|in|on|for|but|and|so|note|see|however|also|then|thus|here|one|by|with|to|from|since|although|because|while|after|before|all|both|such|at|not|only|or|nor|yet|once|unless|another|e\.g|i\.e|notice|suppose|consider|remember|imagine|make sure|let)\b")
VERB_FORMS = {"has": "have", "have": "have", "contains": "contain", "contain": "contain", "takes": "take", "take": "take", "supports": "support", "support": "support", "accepts": "accept",
    "requires": "require", "require": "require", "provides": "provide", "provide": "provide", "uses": "use", "use": "use", "needs": "need", "need": "need", "returns": "return", "allows": "allow",
    "includes": "include", "include": "include", "holds": "hold", "defines": "define", "lists": "list", "reads": "read", "offers": "offer", "receives": "receive"}
NUMBER = r"(?P<number>\d[\d,.]*\d|\d|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|hundred)"


# Part of a clause, or a heading that ran into the sentence: no subject.
CLAUSE_WORDS = re.compile(r"(?i)\b(that|which|where|who|when|whether|if|you|we|i|because|while|so|to|not|then|is|are|was|were|be|will|can|may|must|should|do|does)\b")
VERB_FIRST = re.compile(r"^[A-Z][a-z]+(?:s|e|ed) (?:an?|the|this|all|any|whether|your|each|if)\b")
VAGUE = re.compile(r"(?i)^(?:the |an? |this |all |each )?(?:above|below|following|first|second|third|last|former|latter|latest|other|others|rest|result|value|default|reason|problem|same|example|examples|idea|answer|of course|please|instead|otherwise|therefore|furthermore|finally|sometimes|usually|normally|currently|similarly|again)\b(?: |$)")


def named(subject: str) -> bool:
    """Whether a question can name it without its context."""
    if re.search(r"[A-Za-z] (?:The|A|An|This|If|In) ", subject):  # a heading before its sentence
        return False
    if PRONOUN.match(subject) or CLAUSE_WORDS.search(subject) or VERB_FIRST.match(subject):
        return False
    if VAGUE.match(subject) and len(subject.split()) < 4:
        return False
    return 2 < len(subject) < 60 and subject.count("(") == subject.count(")") and subject.count("`") % 2 == 0


def mid(subject: str) -> str:
    """In the middle of a sentence: "The server" -> "the server", names stay."""
    return as_clause(subject) if re.match(r"(The|This|A|An|Each|Every|All|Most|Some) ", subject) else subject


def sentences(text: str) -> Iterator[tuple[int, int, str]]:
    for found in SENTENCE.finditer(text):
        said = in_one_line(found.group())
        if 25 < len(said) < 260:
            yield found.start(), found.end(), said


DEFINITION = re.compile(rf"^{SUBJECT} (?:is|are) (?P<value>(?:an?|the) [^.;:]{{12,140}}?)[.;:]")
YEAR = re.compile(r"\b(?:1[0-9]|20)\d\d\b")
BY = re.compile(rf"^{SUBJECT} (?:was|were|has been|is) (?:originally |first )?(?P<verb>written|created|developed|designed|founded|invented|published|introduced|built|discovered|made|maintained|started|released|composed|edited|proposed|named|appointed|elected|killed|given|sent|caused) by (?P<value>(?:the )?[A-Z][\w'-]+(?:,? (?:and |of |the |de |von |van )?[A-Z](?:\.|[\w'-]+)){{0,5}})")
IN_YEAR = re.compile(rf"^{SUBJECT} (?P<aux>was|were|is|has been) (?P<rest>[a-z]+ed\b[^,.;()]{{0,60}}?|born|written|built|begun|made|founded|held|sent|sold|won[^,.;()]{{0,40}}?),? (?:in|on|since) (?P<value>(?:(?:January|February|March|April|May|June|July|August|September|October|November|December)[ ,]+)?(?:\d{{1,2}},? )?(?:1[0-9]|20)\d\d)\b")
BECAUSE = re.compile(rf"^{SUBJECT} (?P<aux>{AUXILIARY}) (?P<rest>[^,.;]{{4,90}}?),? because (?!of )(?P<value>[^.;]{{10,140}})[.;]")
SIMPLE = re.compile(rf"^{SUBJECT} (?P<aux>is|are|was|were|can|should|must|will) (?P<rest>(?!not\b|no\b|never\b|the\b|a\b|an\b|only\b)[^,.;:()]{{6,80}})\.$")
NEGATED = re.compile(rf"^{SUBJECT} (?P<aux>is|are|was|were|can|should|must|will) ?not (?P<rest>[^,.;:()]{{6,80}})\.$")
COUNT = re.compile(rf"^{SUBJECT} (?P<verbs>{'|'.join(VERB_FORMS)}) (?:at least |at most |up to |exactly |only |about )?{NUMBER} (?P<noun>(?:[a-z-]+ )?[a-z-]+s)\b")
PERMITTED = re.compile(r"(?:^|\b)[Yy]ou (?:may|can|are allowed to|are permitted to|are free to) (?!not\b|be\b|also\b|only\b|either\b|have\b|want\b|see\b|need\b|try\b|instead\b)(?P<value>[a-z][^.;:()]{8,110}?)(?=[.;:](?:\s|$)|,? (?:provided|if|as long|under|subject|unless|but)\b)")
FORBIDDEN = re.compile(r"(?:^|\b)[Yy]ou (?P<modal>may not|must not|cannot|can not|should not) (?!be\b)(?P<value>[a-z][^.;:()]{8,110}?)(?=[.;:](?:\s|$))")
DUTY = re.compile(r"(?:^|\b)[Yy]ou must (?!not\b|be\b|also\b|have\b)(?P<value>[a-z][^.;:()]{8,110}?)(?=[.;:](?:\s|$))")
DEFAULT = re.compile(r"(?:^|\b)(?:[Tt]he )?default (?:value )?(?:for|of) (?P<name>(?:the )?[\w./`'\"-]+(?: [\w-]+)?) is (?P<value>[\w./`'\"$~+-]*[\w'\"](?: (?:seconds?|minutes?|hours?|days?|bytes|[kKMG]B|ms|percent))?)(?=[.,;)]*(?:\s|$))")


def clause_ok(value: str) -> bool:
    return value.count('"') % 2 == 0 and not value.endswith((" the", " a", " of", " to", " and", " or", " in"))


def prose_facts(text: str) -> Iterator[Fact]:
    for start, end, said in sentences(text):
        yield from of_sentence(said, start, end)


def of_sentence(said: str, start: int, end: int) -> Iterator[Fact]:
    fact = lambda relation, slots, value: Fact(relation, slots | {"value": value}, start, end, value)  # noqa: E731
    aux = " is " in said or " are " in said or " was " in said or " were " in said
    if aux and (m := DEFINITION.match(said)) and named(m["subject"]) and clause_ok(m["value"]):
        yield fact("definition", {"name": mid(m["subject"])}, m["value"])
    if " by " in said and (m := BY.match(said)) and named(m["subject"]):
        yield fact("who_did", {"object": mid(m["subject"]), "verb": m["verb"]}, m["value"])
    if aux and YEAR.search(said) and (m := IN_YEAR.match(said)) and named(m["subject"]):
        yield fact("when", {"subject": mid(m["subject"]), "aux": m["aux"].split()[0], "rest": ("been " if m["aux"] == "has been" else "") + m["rest"]}, m["value"])
    if " because " in said and (m := BECAUSE.match(said)) and named(m["subject"]) and clause_ok(m["value"]):
        yield fact("why", {"subject": mid(m["subject"]), "aux": m["aux"], "rest": m["rest"]}, m["value"])
    if (m := COUNT.match(said)) and named(m["subject"]):
        plural = m["verbs"] == VERB_FORMS[m["verbs"]]
        slots = {"subject": mid(m["subject"]), "do": "do" if plural else "does", "verb": VERB_FORMS[m["verbs"]], "verbs": m["verbs"], "noun": m["noun"]}
        yield fact("how_many", slots, m["number"])
    if "not " in said and (m := NEGATED.match(said)) and named(m["subject"]):
        yield Fact("no", {"subject": mid(m["subject"]), "aux": m["aux"], "Aux": m["aux"].capitalize(), "rest": m["rest"]}, start, end, "No")
    elif (m := SIMPLE.match(said)) and named(m["subject"]):
        yield Fact("yes", {"subject": mid(m["subject"]), "aux": m["aux"], "Aux": m["aux"].capitalize(), "rest": m["rest"]}, start, end, "Yes")
    if (m := PERMITTED.search(said)) and clause_ok(m["value"]):
        yield Fact("may", {"clause": m["value"], "value": m["value"]}, start, end, "Yes")
    if (m := FORBIDDEN.search(said)) and clause_ok(m["value"]):
        yield Fact("may_not", {"clause": m["value"], "modal": m["modal"], "value": m["value"]}, start, end, "No")
    if (m := DUTY.search(said)) and clause_ok(m["value"]):
        yield Fact("must", {"clause": m["value"], "value": m["value"]}, start, end, "Yes")
    if m := DEFAULT.search(said):
        yield fact("default", {"name": m["name"]}, m["value"])
