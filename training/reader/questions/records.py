"""Rules over lines that have a form: fields, options, lists, dictionaries, changelogs, code, JSON, copyright notices."""

import json
import re
from collections.abc import Iterator

from .fact import Fact, as_clause, in_one_line

FIELD = re.compile(r"^(?P<key>[A-Z][A-Za-z][A-Za-z -]{1,28}?) ?[:=] {0,12}(?P<value>\S[^\n]{0,80}?)[ ]*$", re.M)
SETTING = re.compile(r"^[ ]*(?P<key>[a-z][\w.-]{2,30}) ?[=:] ?(?P<value>[\w./:@\"'+-][^\n#{}()]{0,50}?),?[ ]*$", re.M)
NOT_KEYS = {"note", "example", "examples", "see also", "warning", "tip", "caution", "usage", "options", "todo", "fix", "http", "https", "description", "important", "default", "a", "q"}
NOT_LISTS = {"download the ebook", "see also", "navigation", "topics", "comments", "table of contents", "contents"}
OPTION = re.compile(r"^ {0,12}(?P<option>(?:-{1,2}[\w?][\w-]*(?:[ =]\[?<?[\w-]+>?\]?)?(?:, ?)?){1,3})(?:\n {4,}| {2,})(?P<text>[A-Za-z][^\n]{8,}(?:\n {6,}(?! *-)[^\n]+)*)", re.M)
IMPERATIVE = re.compile(r"(?i)^(?:Print|Show|Set|Use|Read|Write|Display|List|Enable|Disable|Ignore|Force|Include|Exclude|Create|Remove|Add|Output|Specify|Run|Make|Allow|Only|Delete|Sort|Suppress|Skip|Treat|Turn|Start|Stop|Keep|Check|Copy|Change|Select|Generate|Search|Send|Save|Load|Return|Get|Find|Open|Close|Convert|Compute|Parse|Limit|Update|Verify|Extract|Merge|Follow|Return|Remove|Append|Test|Compare|Format|Insert|Replace|Register)\b")
BULLET = re.compile(r"(?:^|\n)(?P<head>[A-Z#][^\n]{3,60}?)[:\n]\n*(?P<items>(?:[ ]{0,6}[-*+] [^\n]{2,70}(?:\n|$)){2,8})")
CHANGE = re.compile(r"^(?:#+ |\*\*|v|Version |version |Release |Changes in )?\[?v?(?P<version>\d+\.\d+(?:\.\d+)*[\w.-]*)\]?(?:\([^)\n]*\))?[ ,:*-]*\(?(?P<date>\d{4}-\d\d-\d\d|\d{1,2} [A-Z][a-z]+ \d{4}|[A-Z][a-z]{2,8} \d{1,2},? \d{4})?\)?[^\n]{0,30}\n+(?P<body>(?:(?!#+ \[?v?\d|\[?v?\d+\.\d+)[^\n]*\n){1,6})", re.M)
DEBIAN_CHANGE = re.compile(r"^(?P<name>[a-z][\w+.-]+) \((?P<version>[^)]+)\) [^\n]*\n\n(?P<body>(?: [^\n]*\n|\n)+?) -- (?P<who>[^<\n]+) <[^>]*>  (?P<date>\w{3}, [^\n+-]+?\d{4})", re.M)
COPYRIGHT = re.compile(r"[Cc]opyright:?(?: \([Cc]\)| \u00a9)? (?P<years>\d{4}(?: ?[-,] ?\d{2,4})*),? (?:by )?(?P<who>[A-Z][\w.,'& -]{3,50}?)(?= ?[<.\n(]|, (?:All|Inc\.$)|$)", re.M)
AUTHOR = re.compile(r"(?:[Ww]ritten|[Pp]orted|[Cc]reated) by (?P<who>[A-Z][\w'-]+(?: [A-Z](?:\.|[\w'-]+)){1,3}(?:(?:,| and|, and) [A-Z][\w'-]+(?: [A-Z](?:\.|[\w'-]+)){1,3}){0,3})")
LICENCE = re.compile(r"\b(?P<value>(?:MIT|ISC|Apache|BSD|Mozilla Public|GNU (?:Lesser |Affero )?General Public|zlib|Artistic|Python Software Foundation|PostgreSQL|X11|Boost Software) [Ll]icense(?:,? (?:[Vv]ersion |v)\d(?:\.\d)?)?)")
MAN_NAME = re.compile(r"^NAME\n\s+(?P<name>[\w.+:-]+)(?:,[^-\n]*)? -{1,2} (?P<value>[^\n]{8,110}(?:\n +[^\n]{3,80})?)", re.M)
INSTALL = re.compile(r"\b(?P<value>(?:npm install|npm i|pip install|apt-get install|apt install|yarn add|cargo install)(?: --?[\w-]+)* (?P<name>[@\w/.-]+))")
HEADING = re.compile(r"\A#* ?(?P<title>[^\n]{3,60})\n+(?:={3,}\n+|-{3,}\n+)?(?P<value>[A-Z][^\n]{30,180}?\.)(?=\s)")
FUNCTION = re.compile(r'^ *(?:async )?def (?P<name>[a-zA-Z]\w+)\((?P<args>[^()]*)\)[^\n]*:\n\s+[rR]?"""(?P<doc>[A-Z][^\n"]{10,110}?)(?:\.|"""|\n)', re.M)
CONSTANT = re.compile(r"^(?P<name>[A-Z][A-Z0-9_]{3,30}) = (?P<value>[\w.'\"/-][^\n#(){}\[\]]{0,40}?)[ ]*$", re.M)
DEFINED = re.compile(r"^[ ]*#define (?P<name>[A-Z][A-Z0-9_]{3,30})\s+(?P<value>[\w.\"-]+)", re.M)


def fact(found: re.Match, relation: str, slots: dict[str, str], value: str, whole: bool = False) -> Fact:
    return Fact(relation, slots | {"value": value}, found.start(), found.end(), value, whole)


def field_facts(text: str) -> Iterator[Fact]:
    found = [m for m in [*FIELD.finditer(text), *SETTING.finditer(text)] if m["key"].strip().lower() not in NOT_KEYS]
    keys = [m["key"] for m in found]
    starts, ends = {m.start() for m in found}, {m.end() for m in found}
    for m in found:
        # One line alone is often prose with a colon; a key that comes twice has no one answer.
        after = text.find("\n", m.end()) + 1
        if not (after in starts or m.start() - 1 in ends):
            continue
        if keys.count(m["key"]) == 1 and len(m["value"]) > 1 and not m["value"].startswith(("|", "{")):
            key = m["key"].strip() if m["key"].strip().isupper() or re.search(r"[._]", m["key"]) else as_clause(m["key"])
            yield fact(m, "field", {"key": key}, m["value"].rstrip(",.").strip("\"'"))


def first_sentence(text: str) -> str:
    said = in_one_line(text)
    return re.split(r"(?<=[a-z0-9)'\"])\.(?:\s|$)", said)[0].rstrip(".:;")


def option_facts(text: str) -> Iterator[Fact]:
    for m in OPTION.finditer(text):
        option = in_one_line(m["option"]).rstrip(", ")
        does = first_sentence(m["text"])
        if not 10 < len(does) < 150:
            continue
        name = option.split(", ")[-1]
        yield fact(m, "option_does", {"option": name if len(name) < 30 else option}, as_clause(does))
        if IMPERATIVE.match(does) and len(does) < 90:
            yield fact(m, "option_for", {"clause": as_clause(does)}, name)


def list_facts(text: str) -> Iterator[Fact]:
    for m in BULLET.finditer(text):
        head = m["head"].strip("# :*").strip()
        items = [re.sub(r"^[ ]*[-*+] ", "", item).strip().rstrip(".,;") for item in m["items"].strip("\n").split("\n")]
        if items[0] in ("Prev", "Previous", "Next", "Up") or any(len(item) > 60 for item in items) or len(head) < 3 or head.lower() in NOT_LISTS or len(", ".join(items)) > 220:
            continue
        name = as_clause(head)
        said = items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
        yield fact(m, "list", {"name": name}, said)
        yield fact(m, "list_count", {"name": name}, str(len(items)))


def change_facts(text: str) -> Iterator[Fact]:
    first = True
    for m in CHANGE.finditer(text):
        body = re.findall(r"^\s*[-*+] ([^\n]{12,110})$", m["body"], re.M)
        if m["date"]:
            yield fact(m, "version_date", {"name": m["version"]}, m["date"])
            yield fact(m, "date_version", {"given": m["date"]}, m["version"])
        if body:
            yield fact(m, "changed_in", {"name": m["version"]}, body[0].rstrip("."))
            yield fact(m, "change_version", {"given": body[0].rstrip(".")}, m["version"])
        if first and (body or m["date"]):
            yield fact(m, "latest", {}, m["version"], whole=True)
        first = False
    for m in DEBIAN_CHANGE.finditer(text):
        yield fact(m, "version_date", {"name": m["version"]}, m["date"].strip())
        yield fact(m, "maintainer_of", {"name": m["version"]}, m["who"].strip())
        body = re.findall(r"^\s+\* ([^\n]{12,110})$", m["body"], re.M)
        if body:
            yield fact(m, "changed_in", {"name": m["version"]}, body[0].rstrip("."))
            yield fact(m, "change_version", {"given": body[0].rstrip(".")}, m["version"])


def notice_facts(text: str) -> Iterator[Fact]:
    holders = list(COPYRIGHT.finditer(text))
    for m in holders:
        who = m["who"].strip(" ,")
        if len(holders) == 1:
            yield fact(m, "copyright", {}, who, whole=True)
        if sum(h["who"] == m["who"] for h in holders) == 1:
            yield fact(m, "copyright_year", {"name": who}, m["years"])
    if len(written := list(AUTHOR.finditer(text))) == 1:
        title = MAN_NAME.search(text)
        yield fact(written[0], "author", {"name": title["name"] if title else "this text"}, written[0]["who"], whole=True)
    if len({m["value"] for m in LICENCE.finditer(text)}) == 1:
        yield fact(LICENCE.search(text), "licence", {}, LICENCE.search(text)["value"])
    if m := MAN_NAME.search(text):
        said = in_one_line(m["value"]).rstrip(".")
        yield fact(m, "command_is", {"name": m["name"]}, said)
        yield fact(m, "about", {}, f"It is about {m['name']}: {said}")
    elif (m := HEADING.search(text)) and not re.search(r"[|<>{}=]", m["value"]):
        yield fact(m, "about", {}, in_one_line(m["value"]).rstrip("."))
    for m in INSTALL.finditer(text):
        yield fact(m, "install", {"name": m["name"]}, m["value"])


def code_facts(text: str) -> Iterator[Fact]:
    names = [m["name"] for m in FUNCTION.finditer(text)]
    for m in FUNCTION.finditer(text):
        if names.count(m["name"]) > 1:
            continue
        does = as_clause(m["doc"])
        yield fact(m, "function_does", {"name": m["name"]}, does)
        if IMPERATIVE.match(m["doc"]):
            yield fact(m, "function_for", {"clause": does}, m["name"])
        args = [a for a in re.split(r",\s*", in_one_line(m["args"])) if a and a not in ("self", "cls", "*", "/")]
        if 0 < len(args) < 6 and "[" not in m["args"]:
            yield fact(m, "arguments", {"name": m["name"]}, ", ".join(args))
        for arg in args:
            if "=" in arg and ":" not in arg:
                name, default = arg.split("=", 1)
                yield fact(m, "default", {"name": f"{name} in {m['name']}"}, default)
    for m in [*CONSTANT.finditer(text), *DEFINED.finditer(text)]:
        yield fact(m, "constant", {"name": m["name"]}, m["value"])


def dictionary_facts(text: str) -> Iterator[Fact]:
    for m in re.finditer(r"^(?P<name>[A-Za-z][\w .'/-]{2,30})\n+\s+(?P<body>[^\n]+(?:\n\s+[^\n]+){0,3})", text, re.M):
        body = re.sub(r"^(<[^>]*>|\([^)]*\)|\[[^\]]*\]|/[^/]*/|\d\.|n\.|adj\.|vt?\.|[,.: ])+", "", in_one_line(m["body"])).strip()
        said = re.split(r"(?<=[a-z)])[.;](?:\s|$)", body)[0]
        if 15 < len(said) < 150 and said[0].isalpha():
            yield fact(m, "means", {"name": m["name"].strip()}, said)


def json_facts(text: str) -> Iterator[Fact]:
    try:
        data = json.loads(text)
    except ValueError:
        return
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool) and 0 < len(str(value)) < 90:
            shown = json.dumps(value, ensure_ascii=False)
            at = text.find(f'"{key}"')
            if at >= 0 and text.count(f'"{key}"') == 1:
                yield Fact("field", {"key": key, "value": str(value)}, at, at + len(key) + len(shown) + 6, str(value))
        if isinstance(value, dict):
            for name, inner in list(value.items())[:40]:
                if isinstance(inner, str | int | float) and not isinstance(inner, bool) and 0 < len(str(inner)) < 70 and text.count(f'"{name}"') == 1:
                    at = text.find(f'"{name}"')
                    single = key[:-1] if key.endswith("s") else key
                    yield Fact("field_of", {"key": single, "name": name, "value": str(inner)}, at, at + len(name) + len(str(inner)) + 8, str(inner))


def record_facts(text: str, kind: str) -> Iterator[Fact]:
    yield from field_facts(text)
    yield from option_facts(text)
    yield from list_facts(text)
    yield from notice_facts(text)
    if kind == "changelog":
        yield from change_facts(text)
    if kind == "code":
        yield from code_facts(text)
    if kind == "dictionary":
        yield from dictionary_facts(text)
    if kind == "data":
        yield from json_facts(text)
