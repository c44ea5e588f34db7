"""Documents written for training, with slots and what people ask about them (`written/*.txt`; the format: `written/README.md`).

    python -m reader.questions.written FILE...        checks files, and shows a document of each with --show
    python -m reader.questions.written --export FILE  writes each document once, with its questions for values (JSON)
"""

import argparse
import json
import random
import re
import string
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from .fact import Turn, sentence
from .generated import COMPANIES, FIRST, KINDS, LAST, MONTHS, PLACES
from .names import MEN, MORE_COMPANIES, MORE_LAST, MORE_PLACES, STREETS, WOMEN
from .phrasings import NOT_FOUND

FOLDER = Path(__file__).parent / "written"
OPTIONAL_SHARE = 2 / 3
SENTENCE = re.compile(r"[^\n]+?(?:[.!?](?= |$)|$) ?", re.MULTILINE)
WORDS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
TAG = re.compile(r"\[(!?)([a-z][\w-]*)\] ")
WAYS = re.compile(r"\{~ ?((?:[^{}]|\{\{|\}\}|\{[^{}~]*\})*)\}")
SLOT = re.compile(r"\{\{|\}\}|\{([A-Za-z]\w*)(?:\.(first|last|words))?\}")


@dataclass
class Question:
    wordings: list[str]
    answers: list[str]
    value: str
    tag: str = ""
    """"x": only where the paragraphs [x] are; "!x": only where they are not"""
    absent: bool = False


@dataclass
class Written:
    name: str
    slots: list[tuple[list[str], str]]
    """names and the type they are drawn from, in order"""
    text: str = ""
    questions: list[Question] = field(default_factory=list)


class WrittenError(ValueError):
    """A file is not in the format: says which document and line."""


def parse(source: str, where: str = "") -> list[Written]:
    """Raises WrittenError."""
    documents = []
    for block in re.split(r"^=== ", source, flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        parts = re.split(r"^---\s*$", rest, flags=re.MULTILINE)
        if len(parts) != 3:
            raise WrittenError(f"{where} {name}: expected slots, text and questions between two lines ---, got {len(parts)} parts")
        documents.append(Written(name.strip(), slots_of(parts[0], f"{where} {name}"), parts[1].strip("\n"), questions_of(parts[2], f"{where} {name}")))
    return documents


def slots_of(source: str, where: str) -> list[tuple[list[str], str]]:
    slots = []
    for line in source.strip().split("\n"):
        if not line.strip():
            continue
        found = re.fullmatch(r"@ *(\w+(?: *& *\w+)*) *= *(.+)", line.strip())
        if not found:
            raise WrittenError(f"{where}: expected '@ name = type', got {line!r}")
        slots.append(([n.strip() for n in found[1].split("&")], found[2].strip()))
    return slots


def questions_of(source: str, where: str) -> list[Question]:
    questions: list[Question] = []
    for line in source.strip().split("\n"):
        if not line.strip():
            continue
        found = re.fullmatch(r"([QNAV])(?:\[(!?[a-z][\w-]*)\])?: *(.+)", line.strip())
        if not found:
            raise WrittenError(f"{where}: expected Q:, A:, V: or N:, got {line!r}")
        what, tag, said = found[1], found[2] or "", [s.strip() for s in found[3].split(" | ")]
        if what in "QN":
            questions.append(Question(said, [], "", tag, what == "N"))
        elif not questions or questions[-1].absent:
            raise WrittenError(f"{where}: {line!r} follows no question")
        elif what == "A":
            questions[-1].answers += said
        else:
            questions[-1].value = found[3].strip()
    for question in questions:
        if not question.absent and not question.answers:
            raise WrittenError(f"{where}: no answer to {question.wordings[0]!r}")
    return questions


def in_words(n: int) -> str:
    if n < 20:
        return WORDS[n]
    if n < 100:
        return TENS[n // 10 - 2] + (f"-{WORDS[n % 10]}" if n % 10 else "")
    return str(n)


class Drawn:
    """The slots of one document, drawn."""

    def __init__(self, rng: random.Random, slots: list[tuple[list[str], str]]):
        self.rng, self.values = rng, {}
        self.numbers: dict[str, float] = {}
        self.used: set[str] = set()
        for names, kind in slots:
            self.define(names, kind)

    def define(self, names: list[str], kind: str) -> None:
        if " | " in kind:
            options = [[part.strip() for part in option.split(" & ")] if len(names) > 1 else [option.strip()] for option in kind.split(" | ")]
            chosen = self.rng.choice(options)
            if len(chosen) != len(names):
                raise WrittenError(f"{' & '.join(names)}: expected {len(names)} parts, got {chosen}")
            for name, value in zip(names, chosen, strict=True):
                self.values[name] = self.fill(value)
                if re.fullmatch(r"-?\d+(\.\d+)?", value):
                    self.numbers[name] = float(value) if "." in value else int(value)
            return
        word, *rest = kind.split()
        for _ in range(100):
            value = self.draw(names[0], word, rest)
            if value not in self.used or word in ("calc", "weekday", "month"):
                break
        self.used.add(value)
        if word in ("person", "man", "woman"):
            self.used |= set(value.split())
        self.values[names[0]] = value

    def draw(self, name: str, word: str, rest: list[str]) -> str:
        r = self.rng
        pick = lambda alphabet, n: "".join(r.choices(alphabet, k=n))  # noqa: E731
        if word in ("person", "man", "woman"):
            firsts = {"man": MEN, "woman": WOMEN, "person": FIRST + MEN + WOMEN}[word]
            while True:
                first, last = r.choice(firsts), r.choice(LAST + MORE_LAST)
                if first not in self.used and last not in self.used:
                    return f"{first} {last}"
        if word in ("number", "year"):
            n = r.randint(int(rest[0]), int(rest[1]))
            self.numbers[name] = n
            return str(n)
        if word == "decimal":
            n = round(r.uniform(float(rest[0]), float(rest[1])), 1)
            self.numbers[name] = n
            return str(n)
        if word == "money":
            n = r.randint(int(rest[0]), int(rest[1]))
            return r.choice((f"{n:,} euros", f"£{n:,}", f"${n:,}", f"EUR {n:,}", f"£{n:,}.{r.randint(1, 99):02d}", f"${n:,}.{r.randint(1, 99):02d}"))
        if word == "calc":
            n = eval(" ".join(rest), {"__builtins__": {}, "round": round, "max": max, "min": min, "abs": abs}, dict(self.numbers))
            n = int(n) if isinstance(n, float) and n == int(n) else n
            self.numbers[name] = n
            return str(n)
        if word in ("date", "day"):
            day, month = r.randint(1, 28), r.randrange(12)
            if word == "day":
                return f"{day} {MONTHS[month]}"
            year = r.randint(*(int(y) for y in rest)) if rest else r.randint(1960, 2026)
            return r.choice((f"{day} {MONTHS[month]} {year}", f"{day} {MONTHS[month]} {year}", f"{MONTHS[month]} {day}, {year}", f"{year}-{month + 1:02d}-{day:02d}"))
        simple = {
            "first": lambda: r.choice(FIRST + MEN + WOMEN),
            "last": lambda: r.choice(LAST + MORE_LAST),
            "place": lambda: r.choice(PLACES + MORE_PLACES),
            "street": lambda: f"{r.randint(1, 180)} {r.choice(STREETS)}",
            "company": lambda: f"{r.choice(COMPANIES + MORE_COMPANIES)} {r.choice(KINDS)}",
            "weekday": lambda: r.choice(DAYS),
            "month": lambda: r.choice(MONTHS),
            "time": lambda: f"{r.randint(6, 22)}:{r.choice(('00', '15', '30', '45', '10', '20', '50'))}",
            "phone": lambda: r.choice((f"0{pick(string.digits, 3)} {pick(string.digits, 6)}", f"+44 {pick(string.digits, 4)} {pick(string.digits, 6)}", f"{pick(string.digits, 3)}-{pick(string.digits, 4)}")),
            "email": lambda: f"{r.choice(FIRST).lower()}.{r.choice(LAST).lower()}@{r.choice(MORE_COMPANIES).lower().replace(' ', '')}.{r.choice(('example', 'test'))}",
            "url": lambda: f"https://{r.choice(MORE_COMPANIES).lower().replace(' ', '')}.example/{r.choice(('docs', 'forms', 'help', 'v2', 'book', 'status'))}",
            "code": lambda: r.choice((f"{pick(string.ascii_uppercase, 2)}-{pick(string.digits, 4)}", pick(string.digits, r.randint(4, 8)), f"{pick(string.ascii_uppercase, 3)}{pick(string.digits, 3)}", f"{pick(string.ascii_uppercase + string.digits, 4)}-{pick(string.ascii_uppercase + string.digits, 4)}", f"{pick(string.digits, 2)}/{pick(string.digits, 4)}-{pick(string.ascii_uppercase, 1)}")),
            "hex": lambda: pick("0123456789abcdef", int(rest[0]) if rest else r.choice((7, 8, 12))),
            "version": lambda: f"{r.randint(0, 12)}.{r.randint(0, 30)}.{r.randint(0, 20)}",
            "ip": lambda: f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}",
            "path": lambda: f"/{r.choice(('etc', 'var/lib', 'srv', 'opt', 'usr/local/share'))}/{r.choice(MORE_COMPANIES).lower().replace(' ', '-')}/{r.choice(('main.conf', 'data', 'state.db', 'cache', 'config.yml', 'keys'))}",
        }
        if word not in simple:
            raise WrittenError(f"{name}: no type {word!r} (one choice alone is no choice: write 'a | b')")
        return simple[word]()

    def fill(self, text: str) -> str:
        """Slots, and {{ and }} as braces. Raises WrittenError for a slot that is not defined."""

        def value(found: re.Match) -> str:
            name, part = found[1], found[2]
            if name is None:
                return found[0][0]
            if name not in self.values:
                raise WrittenError(f"no slot {name!r}")
            whole = self.values[name]
            if part == "first":
                return whole.split()[0]
            if part == "last":
                return whole.split()[-1]
            return in_words(int(self.numbers[name])) if part == "words" else whole

        return SLOT.sub(value, text)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def render(rng: random.Random, written: Written) -> tuple[str, list[Turn]]:
    """One version of a document: its text, and a turn for each question. Raises WrittenError."""
    try:
        drawn = Drawn(rng, written.slots)
        tags = {tag: rng.random() < OPTIONAL_SHARE for tag in sorted({found[1] for found in TAG.findall(written.text)})}
        there = lambda tag: not tag or tags.get(tag.lstrip("!"), False) != tag.startswith("!")  # noqa: E731
        lines = []
        for paragraph in written.text.split("\n"):
            found = TAG.match(paragraph)
            if found is None:
                lines.append(paragraph)
            elif there(found[1] + found[2]):
                lines.append(paragraph[found.end() :])
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
        text = WAYS.sub(lambda found: rng.choice([way.strip() for way in found[1].split(" | ")]), text)
        turns = []
        for question in written.questions:
            for tag in {question.tag.lstrip("!")} - {""}:
                if tag not in tags:
                    raise WrittenError(f"no paragraph [{tag}] for {question.wordings[0]!r}")
            asked = sentence(drawn.fill(rng.choice(question.wordings)))
            if question.absent or not there(question.tag):
                turns.append(Turn(asked, NOT_FOUND, "Not found", "absent"))
            else:
                answer = sentence(drawn.fill(rng.choice(question.answers)))
                turns.append(Turn(asked, answer, value_in(answer, drawn.fill(question.value)), f"written-{written.name}"))
        return drawn.fill(text), turns
    except WrittenError as error:
        raise WrittenError(f"{written.name}: {error}") from None


def value_in(answer: str, values: str) -> str:
    """The one of the values that the answer gives; the answer itself where there are none."""
    options = values.split(" | ")
    return next((value for value in options if value.lower() in answer.lower()), options[0]) or answer


def without_evidence(rng: random.Random, text: str, turns: list[Turn]) -> tuple[str, list[Turn]]:
    """The text less the one sentence that gives an answer, whose question is not answered any more.

    What is left of the questions are those whose words stand in the text still: of the others nobody knows.
    """
    for turn in rng.sample(turns, len(turns)):
        places = [found for found in SENTENCE.finditer(text) if turn.value.lower() in found[0].lower()]
        if turn.relation == "absent" or len(turn.value) < 2 or len(places) != 1 or len(places[0][0]) > len(text) / 2:
            continue
        rest = (text[: places[0].start()] + text[places[0].end() :]).strip("\n")
        others = [t for t in turns if t is not turn and t.relation != "absent" and len(t.value) > 2 and t.value.lower() in rest.lower()]
        return rest, [Turn(turn.question, NOT_FOUND, "Not found", "absent"), *others]
    return text, turns


HELD_OUT_EVERY = 20


@lru_cache(2)
def written_documents(held_out: bool) -> list[Written]:
    """Of the documents in the folder, every twentieth is held out."""
    documents = [document for path in sorted(FOLDER.glob("*.txt")) for document in parse(path.read_text(encoding="utf-8"), path.name)]
    return [document for i, document in enumerate(documents) if (i % HELD_OUT_EVERY == HELD_OUT_EVERY // 2) == held_out]


def problems(written: Written, tries: int = 30) -> list[str]:
    """What is wrong with a document: slots that are not defined, values that the text or the answer lacks."""
    found: dict[str, int] = {}
    for i in range(tries):
        try:
            text, turns = render(random.Random(i), written)
        except (WrittenError, NameError, SyntaxError, ValueError, IndexError, TypeError) as error:
            return [f"{written.name}: {error}"]
        if re.search(r"\{~", text):
            found[f"a brace is left in the text: {re.search(r'.{0,20}{~.{0,20}', text)[0]!r}"] = 1
        plain = " ".join(text.split()).lower()
        for turn in turns:
            value = " ".join(turn.value.split()).lower()
            if turn.relation == "absent" or value in ("yes", "no"):
                continue
            if value not in turn.answer.lower():
                found[f"the answer to {turn.question!r} lacks its value {turn.value!r}"] = 1
            elif value != turn.answer.lower() and value not in plain and not value.rstrip(".") in plain:
                key = f"note: the text does not say {turn.value!r} as such ({turn.question!r})"
                found[key] = found.get(key, 0) + 1
    return [f"{written.name}: {problem}" for problem in list(found)[:6]]


def export(path: Path) -> None:
    """Each document as one draw under its own name, and what it is asked for that stands in it as written."""
    documents = []
    for written in written_documents(held_out=False) + written_documents(held_out=True):
        text, turns = render(random.Random(written.name), written)
        asked = [{"question": t.question, "value": t.value} for t in turns if t.value and t.value in text]
        documents.append({"text": text, "questions": asked})
    path.write_text(json.dumps(documents, ensure_ascii=False), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", default=sorted(FOLDER.glob("*.txt")))
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--export", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.export:
        return export(args.export)
    documents = questions = 0
    for path in args.files:
        try:
            parsed = parse(path.read_text(encoding="utf-8"), path.name)
        except WrittenError as error:
            print(error)
            continue
        for document in parsed:
            documents, questions = documents + 1, questions + len(document.questions)
            for problem in problems(document):
                print(f"{path.name} {problem}")
        if args.show and parsed:
            text, turns = render(random.Random(), random.choice(parsed))
            print(text, *(f"- {t.question}\n  {t.answer}  [{t.value}]" for t in turns), sep="\n")
    print(f"{documents} documents, {questions} questions")


if __name__ == "__main__":
    main()
