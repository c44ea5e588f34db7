"""Documents that are made up: letters, minutes, invoices, reports, tables, logs; every fact in them can be asked.

Names, places, amounts and dates are drawn, so nothing can be known without reading. A fact is said in one of several
ways and asked in others.
"""

import random
import string
from collections.abc import Callable

from .fact import Turn

FIRST = """Maria Karl Ines Tom Agnes Pavel Lucia Henrik Amara Joseph Mina Oskar Ruth Samuel Yara Viktor Nadia Emil Clara Hassan Irina
Jonas Beatrice Marek Olivia Dmitri Fatima Leon Greta Tobias Aisha Martin Sofia Erik Helena Ravi Laura Daniel Zofia Peter Anna Miguel
Eva Arthur Noor Felix Julia Bruno Selma Ivan Carla Hugo Alma Nils Petra Omar Vera Simon Tilda Walter Edith George Priya Wei""".split()
LAST = """Keller Novak Brandt Okafor Lindqvist Moreau Hartmann Silva Petrov Jansen Byrne Castillo Fischer Haddad Kowalski Larsen Mendes
Nakamura Olsen Patel Quist Rossi Schneider Tanaka Ulrich Vasquez Weber Yilmaz Zimmer Abbott Bergman Chandra Dubois Eriksen Fontaine
Grant Holloway Ivanov Jaeger Klein Lopez Marsh Nguyen Ortega Parker Reinhardt Sorensen Thornton Ustinov Villa Whitaker Young""".split()
PLACES = """Bern Lisbon Oslo Trieste Krakow Leeds Porto Basel Ghent Turku Malaga Dresden Galway Nantes Split Aarhus Lucerne Bergen Verona
Graz Utrecht Tartu Cork Siena Bruges Lyon Gdansk Zadar Uppsala Bilbao Ferrara Limerick Rostock Innsbruck Toledo Ostend Haarlem Kotor""".split()
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
THINGS = """bridge library school harbour museum tower station mill theatre chapel market hall lighthouse garden tunnel dam hospital
observatory archive brewery quarry ferry""".split()
GOODS = """chairs lamps tables cables bottles boxes filters printers books maps blankets buckets candles clocks drills fans
gloves helmets keyboards ladders mirrors nails pumps ropes screws shovels tiles umbrellas valves wheels""".split()
COMPANIES = ["Nordwind", "Helios", "Brightwater", "Alder & Sons", "Kestrel", "Marlowe", "Sunfield", "Ironbridge", "Palisade", "Quarrystone", "Tidemark", "Verdant", "Oakhurst", "Lakeside", "Copperfield"]
KINDS = ["Ltd", "Inc", "GmbH", "Group", "Works", "Partners", "Trading"]
TOPICS = ["the new roof", "the budget", "the summer fair", "the water supply", "the parking rules", "the website", "the annual report", "the choir", "the heating", "the bus line", "the archive", "the contract with the cleaners"]
COLOURS = "red blue green yellow white black grey brown orange purple".split()
REASONS = ["the delivery was late", "a pipe had burst", "the key was lost", "it had snowed all night", "two members were ill", "the permit was missing", "the price had doubled", "the road was closed", "the engine overheated", "nobody had booked the hall", "the old contract had run out", "the cellar was flooded"]
ANIMALS = "dog cat horse parrot goat donkey rabbit hen".split()
JOBS = "teacher baker nurse engineer carpenter doctor painter lawyer gardener pilot tailor clerk printer sailor librarian cook".split()


class Draw:
    """Everything that a document of one genre needs, drawn once so that it is consistent."""

    def __init__(self, rng: random.Random):
        self.rng = rng

    def name(self) -> str:
        return f"{self.rng.choice(FIRST)} {self.rng.choice(LAST)}"

    def names(self, n: int) -> list[str]:
        firsts, lasts = self.rng.sample(FIRST, n), self.rng.sample(LAST, n)
        return [f"{a} {b}" for a, b in zip(firsts, lasts, strict=True)]

    def date(self) -> str:
        r = self.rng
        day, month, year = r.randint(1, 28), r.randrange(12), r.randint(1890, 2025)
        return r.choice([f"{day} {MONTHS[month]} {year}", f"{MONTHS[month]} {day}, {year}", f"{year}-{month + 1:02d}-{day:02d}"])

    def day(self) -> str:
        return f"{self.rng.randint(1, 28)} {self.rng.choice(MONTHS)}"

    def time(self) -> str:
        return f"{self.rng.randint(6, 21)}:{self.rng.choice(('00', '15', '30', '45', '05', '40'))}"

    def money(self) -> str:
        amount = self.rng.choice([self.rng.randint(3, 99), self.rng.randint(100, 990), self.rng.randint(1000, 98000)])
        return self.rng.choice([f"{amount} euros", f"${amount:,}", f"{amount:,}.{self.rng.randint(0, 99):02d} EUR", f"{amount} francs"])

    def company(self) -> str:
        return f"{self.rng.choice(COMPANIES)} {self.rng.choice(KINDS)}"

    def code(self) -> str:
        r = self.rng
        pick = lambda alphabet, n: "".join(r.choices(alphabet, k=n))  # noqa: E731
        return r.choice([
            pick("0123456789abcdef", 12), f"{pick(string.ascii_uppercase, 2)}-{pick(string.digits, 4)}", pick(string.digits, r.randint(4, 8)),
            f"{pick(string.ascii_uppercase, 3)}{pick(string.digits, 3)}", f"{pick(string.ascii_uppercase + string.digits, 4)}-{pick(string.ascii_uppercase + string.digits, 4)}", pick(string.ascii_letters + string.digits, 8),
        ])  # fmt: skip

    def one(self, *options: str) -> str:
        return self.rng.choice(options)


Asked = list[tuple[list[str], list[str], str]]
"""questions, answers and value of each fact"""


def letter(d: Draw) -> tuple[str, Asked]:
    writer, reader = d.names(2)
    place, visited = d.rng.sample(PLACES, 2)
    date, sum_, reason, animal = d.date(), d.money(), d.rng.choice(REASONS), d.rng.choice(ANIMALS)
    event, weeks, job = d.day(), d.rng.randint(2, 11), d.rng.choice(JOBS)
    parts = [
        d.one(f"I am writing to you from {visited}, where I arrived {weeks} weeks ago.", f"For {weeks} weeks now I have been living in {visited}."),
        d.one(f"The journey cost {sum_}, more than I had thought.", f"I paid {sum_} for the journey."),
        d.one(f"I could not leave earlier because {reason}.", f"As {reason}, I had to leave later than planned."),
        d.one(f"Here I work as a {job} and like it well.", f"I have found work as a {job}."),
        d.one(f"Please look after the {animal} until I come back on {event}.", f"I will be home on {event}; give the {animal} my greetings until then."),
    ]
    d.rng.shuffle(parts)
    text = f"{place}, {date}\n\nDear {reader},\n\n{' '.join(parts)}\n\n{d.one('Yours', 'With kind regards', 'Sincerely', 'Ever yours')},\n{writer}"
    return text, [
        (["Who wrote the letter?", "Who is the letter from?", "Who signed the letter?", "Who is the sender?", "Who is writing here?", "By whom was the letter written?"], [f"The letter was written by {writer}.", f"{writer} wrote the letter."], writer),
        (["Who is the letter to?", "To whom is the letter addressed?", "Who received the letter?", "Whom does the writer address?", "Who was the letter written to?", "Who is the recipient?"], [f"The letter is addressed to {reader}.", f"It is addressed to {reader}."], reader),
        (["When was the letter written?", "What is the date of the letter?", "On which day was the letter written?", "What date does the letter carry?", "When did the writer write this?", "From when is the letter?"], [f"The letter was written on {date}.", f"It is dated {date}."], date),
        (["What did the journey cost?", "How much did the journey cost?", "How much was paid for the journey?", "What was the price of the journey?", "How expensive was the trip?", "How much money went into the journey?"], [f"The journey cost {sum_}."], sum_),
        (["Why did the writer leave late?", "Why could the writer not leave earlier?", "What was the reason for the late departure?", "Why was the departure delayed?", "For what reason did the writer leave later?", "What kept the writer from leaving earlier?"], [f"Because {reason}."], reason),
        (["What work does the writer do?", "As what does the writer work?", "What is the writer's job?", "What job did the writer find?", "How does the writer earn a living?", "What does the writer do for a living now?"], [f"The writer works as a {job}."], job),
        (["When will the writer come back?", "When does the writer return?", "On which day will the writer be home?", "When is the return planned?", "What day does the writer come home?", "When can the writer be expected home?"], [f"The writer comes back on {event}."], event),
        (["Where is the writer now?", "Where does the writer live now?", "In which city does the writer live?", "From where does the writer report?", "What city is the writer in?", "Where has the writer been for weeks?"], [f"The writer is in {visited}."], visited),
        (["Which animal is to be looked after?", "What animal is mentioned?", "Which pet does the writer have?", "What kind of animal stays behind?", "Which animal is greeted?", "What pet is left at home?"], [f"It is the {animal}."], animal),
    ]


def minutes(d: Draw) -> tuple[str, Asked]:
    chair, clerk, other = d.names(3)
    date, place, start, end = d.date(), d.rng.choice(THINGS), d.time(), d.time()
    present = d.rng.randint(4, 38)
    topics = d.rng.sample(TOPICS, 3)
    cost, for_, against, next_ = d.money(), d.rng.randint(5, 30), d.rng.randint(0, 9), d.day()
    text = d.one("Minutes of the meeting", "MINUTES", "Minutes of the general meeting") + "\n\n"
    text += d.one(f"Date: {date}\nPlace: {place}\nChair: {chair}\nMinutes: {clerk}\nPresent: {present}\n\n", f"The meeting was held in the {place} on {date}. {chair} was in the chair, {clerk} took the minutes. {present} members were present.\n\n")
    text += f"1. {topics[0].capitalize()}\n{other} reports that {topics[0]} will cost {cost}. " + d.one(f"The proposal was accepted by {for_} votes to {against}.", f"{for_} members voted for it and {against} against it.") + "\n\n"
    text += f"2. {topics[1].capitalize()}\nThe matter was put off to the next meeting.\n\n3. {topics[2].capitalize()}\n{chair} will take care of {topics[2]}.\n\n"
    text += d.one(f"The meeting opened at {start} and closed at {end}.", f"Beginning {start}, end {end}.") + f" The next meeting is on {next_}."
    return text, [
        (["Who chaired the meeting?", "Who was in the chair?", "Who led the meeting?", "Who presided?", "Who was the chair?", "Who headed the meeting?"], [f"{chair} chaired the meeting.", f"The chair was {chair}."], chair),
        (["Who took the minutes?", "Who wrote the minutes?", "Who kept the record?", "Who was the clerk?", "Whose minutes are these?", "Who recorded the meeting?"], [f"{clerk} took the minutes."], clerk),
        (["When was the meeting?", "On which date did they meet?", "When did the meeting take place?", "What is the date of the meeting?", "What day was the meeting held?", "When did the members come together?"], [f"The meeting was on {date}."], date),
        (["How many members were present?", "How many people came?", "How many attended?", "How many were there?", "What was the number of those present?", "How many took part?"], [f"{present} members were present."], str(present)),
        ([f"What will {topics[0]} cost?", f"How much will {topics[0]} cost?", f"What is the price of {topics[0]}?", f"How much money is needed for {topics[0]}?", f"What sum is named for {topics[0]}?", f"How expensive is {topics[0]}?"], [f"It will cost {cost}."], cost),
        ([f"Who reported on {topics[0]}?", f"Who spoke about {topics[0]}?", f"Who gave the report on {topics[0]}?", f"Whose report was about {topics[0]}?", f"Who told the meeting about {topics[0]}?", f"Who presented {topics[0]}?"], [f"{other} reported on it."], other),
        (["How many voted for the proposal?", "How many votes were in favour?", "How many members voted yes?", "How many were for it?", "What was the number of votes for it?", "How many agreed?"], [f"{for_} voted for it."], str(for_)),
        ([f"What was decided about {topics[1]}?", f"What happened with {topics[1]}?", f"Was {topics[1]} decided?", f"What became of {topics[1]}?", f"How did the meeting deal with {topics[1]}?", f"What about {topics[1]}?"], ["It was put off to the next meeting."], "put off"),
        ([f"Who will take care of {topics[2]}?", f"Who is responsible for {topics[2]}?", f"Who looks after {topics[2]}?", f"Whose task is {topics[2]}?", f"Who deals with {topics[2]}?", f"Who was given {topics[2]}?"], [f"{chair} will take care of it."], chair),
        (["When is the next meeting?", "When will they meet again?", "On which day is the next meeting?", "What is the date of the next meeting?", "When do the members meet next?", "For when is the next meeting planned?"], [f"The next meeting is on {next_}."], next_),
        (["When did the meeting begin?", "At what time did the meeting start?", "When was the meeting opened?", "What time did it begin?", "At which hour did they start?", "From what time on did they meet?"], [f"It began at {start}."], start),
    ]


def invoice(d: Draw) -> tuple[str, Asked]:
    seller, buyer = d.company(), d.name()
    number, date, due = d.code(), d.date(), d.date()
    goods = d.rng.sample(GOODS, d.rng.randint(3, 5))
    lines = [(g, d.rng.randint(2, 60), d.rng.randint(2, 90)) for g in goods]
    total = sum(n * p for _, n, p in lines)
    text = f"{seller}\n\nINVOICE {number}\nDate: {date}\nTo: {buyer}, {d.rng.choice(PLACES)}\nDue: {due}\n\n"
    text += "\n".join(d.one(f"{n} x {g} at {p}.00 = {n * p}.00") for g, n, p in lines) + f"\n\nTotal: {total}.00"
    asked: Asked = [
        (["What is the invoice number?", "Which number does the invoice have?", "What number is the invoice?", "Give me the invoice number.", "Which invoice is this?", "Under which number was it billed?"], [f"The invoice number is {number}."], number),
        (["Who sent the invoice?", "Which company wrote the invoice?", "Who is the seller?", "Who is billing?", "From whom is the invoice?", "Which firm sold the goods?"], [f"The invoice is from {seller}."], seller),
        (["Who has to pay?", "Who is the customer?", "To whom is the invoice addressed?", "Who bought the goods?", "Who is the buyer?", "Who gets this invoice?"], [f"The invoice is addressed to {buyer}."], buyer),
        (["What is the total?", "How much has to be paid?", "What does it come to?", "What is the sum?", "How much is the invoice?", "What must be paid in all?"], [f"The total is {total}.00."], f"{total}.00"),
        (["When is payment due?", "By when must it be paid?", "What is the due date?", "Until when can one pay?", "When must the money be there?", "When is the invoice due?"], [f"It is due on {due}."], due),
    ]
    for g, n, p in lines:
        asked.append(([f"How many {g} were ordered?", f"How many {g} are on the invoice?", f"How many {g} were bought?", f"What quantity of {g} is billed?", f"What is the number of {g}?", f"How many {g}?"], [f"{n} {g} were ordered."], str(n)))
        asked.append(([f"What do the {g} cost each?", f"What is the price of one of the {g}?", f"How much is each of the {g}?", f"What is the unit price of the {g}?", f"At what price were the {g} sold?", f"What does one pay for each of the {g}?"], [f"They cost {p}.00 each."], f"{p}.00"))
    return text, asked


def biography(d: Draw) -> tuple[str, Asked]:
    name, teacher, partner = d.names(3)
    last = name.split()[1]
    born = d.rng.randint(1790, 1960)
    places = d.rng.sample(PLACES, 3)
    thing, job = d.rng.choice(THINGS), d.rng.choice(JOBS)
    built, died, children = born + d.rng.randint(24, 40), born + d.rng.randint(50, 89), d.rng.randint(2, 7)
    reason = d.rng.choice(REASONS)
    she = d.one("She", "He")
    parts = [
        d.one(f"{name} was born in {places[0]} in {born}.", f"{name} ({born}-{died}) came from {places[0]}.", f"Born in {places[0]} in {born}, {name} grew up by the river."),
        d.one(f"{she} learned the trade of a {job} from {teacher}.", f"{teacher} taught {last} the work of a {job}."),
        d.one(f"In {built} {last} built the {thing} of {places[1]}.", f"The {thing} of {places[1]} was built by {last} in {built}."),
        d.one(f"With {partner}, whom {she.lower()} had married, {last} had {children} children.", f"{last} married {partner}; they had {children} children."),
        d.one(f"The work was stopped for a year because {reason}.", f"For a year nothing was done, because {reason}."),
        d.one(f"{last} died in {places[2]} in {died}.", f"{she} died in {died} in {places[2]}."),
    ]
    return " ".join(parts), [
        ([f"When was {name} born?", f"In which year was {last} born?", f"What is the birth year of {name}?", f"When did {last} come into the world?", f"{name} was born when?", f"What year was {name} born in?"], [f"{name} was born in {born}.", f"In {born}."], str(born)),
        ([f"Where was {name} born?", f"Where did {last} come from?", f"In which town was {last} born?", f"What is the birthplace of {name}?", f"Which city does {name} come from?", f"What town was {name} born in?"], [f"{name} was born in {places[0]}.", f"In {places[0]}."], places[0]),
        ([f"When did {last} die?", f"In which year did {name} die?", f"What year did {last} die?", f"When was the death of {name}?", f"What is the year of {name}'s death?", f"Until when did {last} live?"], [f"{last} died in {died}."], str(died)),
        ([f"Who built the {thing}?", f"Who built the {thing} of {places[1]}?", f"By whom was the {thing} built?", f"Whose work is the {thing}?", f"Who made the {thing} of {places[1]}?", f"Which person built the {thing}?"], [f"The {thing} was built by {name}.", f"{name} built it."], last),
        ([f"When was the {thing} built?", f"In which year was the {thing} of {places[1]} built?", f"What year is the {thing} from?", f"When was the {thing} of {places[1]} made?", f"Since when does the {thing} exist?", f"How old, from which year, is the {thing}?"], [f"The {thing} was built in {built}."], str(built)),
        ([f"How many children did {last} have?", f"How many children were there?", f"How many sons and daughters did {name} have?", f"What was the number of children?", f"How many children had {name}?", "How large was the family, how many children?"], [f"{last} had {children} children."], str(children)),
        ([f"Whom did {last} marry?", f"Who was married to {name}?", f"Who was the partner of {last}?", f"To whom was {name} married?", f"Who married {last}?", f"What was the name of the person {last} married?"], [f"{last} married {partner}."], partner),
        ([f"Who taught {last}?", f"From whom did {name} learn?", f"Who was the teacher of {last}?", f"Whose pupil was {name}?", f"Who trained {last}?", f"Under whom did {last} study?"], [f"{last} learned from {teacher}."], teacher),
        (["Why was the work stopped?", "Why was nothing done for a year?", "What was the reason for the break?", "For what reason did the work stop?", "What stopped the work?", "Why did the building pause?"], [f"Because {reason}."], reason),
    ]


def incident(d: Draw) -> tuple[str, Asked]:
    who, boss = d.names(2)
    machine = d.one("server", "printer", "pump", "lift", "boiler", "router", "press", "camera", "conveyor", "compressor")
    number, date, begun, ended = d.code(), d.date(), d.time(), d.time()
    reason, users, cost = d.rng.choice(REASONS), d.rng.randint(3, 900), d.money()
    part = d.one("fan", "belt", "disk", "valve", "sensor", "cable", "fuse", "bearing")
    text = d.one(f"Incident report {number}\n\n", f"INCIDENT {number}\n\n", f"Report no. {number}\n\n")
    text += d.one(f"On {date} at {begun} the {machine} failed because {reason}.", f"The {machine} stopped on {date} at {begun}, because {reason}.") + " "
    text += d.one(f"{who} noticed it first and informed {boss}.", f"It was {who} who noticed it; {boss} was told at once.") + " "
    text += d.one(f"{users} people were affected.", f"This affected {users} people.") + " "
    text += d.one(f"The {part} was replaced, which cost {cost}.", f"For {cost} a new {part} was fitted.") + " "
    text += d.one(f"At {ended} everything worked again.", f"The {machine} ran again at {ended}.")
    return text, [
        (["Which machine failed?", "What failed?", "What broke down?", "What stopped working?", "Which device had the fault?", "What went out of order?"], [f"The {machine} failed."], machine),
        ([f"Why did the {machine} fail?", "What was the cause?", "What caused the failure?", "Why did it stop?", "What was the reason?", f"Why did the {machine} stop?"], [f"Because {reason}."], reason),
        (["Who noticed it?", "Who noticed the failure first?", "Who discovered the fault?", "Who saw it first?", "By whom was it noticed?", "Who found out about it?"], [f"{who} noticed it."], who),
        (["Who was informed?", "Who was told?", "To whom was it reported?", "Whom did they inform?", "Who got the news?", "Who received the report?"], [f"{boss} was informed."], boss),
        (["How many people were affected?", "How many people did it affect?", "How many were hit by it?", "What number of people was affected?", "How many had trouble?", "How many suffered from it?"], [f"{users} people were affected."], str(users)),
        (["Which part was replaced?", "What was replaced?", "What was exchanged?", "What new part was fitted?", "What did they change?", "Which piece is new?"], [f"The {part} was replaced."], part),
        (["What did the repair cost?", "How much was the repair?", "What was paid for it?", "How expensive was the new part?", "How much did they spend?", "What was the cost?"], [f"It cost {cost}."], cost),
        (["When did it happen?", "On which day did it happen?", "What is the date of the incident?", "When was the failure?", "What day was that?", "On what date did it break down?"], [f"It happened on {date}."], date),
        (["At what time did everything work again?", f"When did the {machine} run again?", "When was it repaired?", "From what time on did it work?", "When was it over?", "At which time was it solved?"], [f"At {ended}."], ended),
        (["What is the number of the report?", "Which number does the incident have?", "What is the incident number?", "Give me the report number.", "Under which number is it filed?", "How is the incident numbered?"], [f"The number is {number}."], number),
    ]


def table(d: Draw) -> tuple[str, Asked]:
    people = d.names(d.rng.randint(4, 9))
    columns = d.rng.sample(["age", "town", "room", "phone", "team", "salary", "start", "colour"], 3)
    make: dict[str, Callable[[], str]] = {
        "age": lambda: str(d.rng.randint(18, 79)), "town": lambda: d.rng.choice(PLACES), "room": lambda: str(d.rng.randint(100, 499)),
        "phone": lambda: str(d.rng.randint(1000, 9999)), "team": lambda: d.rng.choice(TOPICS).removeprefix("the "), "salary": lambda: str(d.rng.randint(20, 99) * 100),
        "start": lambda: str(d.rng.randint(1990, 2025)), "colour": lambda: d.rng.choice(COLOURS),
    }  # fmt: skip
    rows = [[p, *(make[c]() for c in columns)] for p in people]
    style = d.rng.randrange(3)
    header = ["name", *columns]
    if style == 0:
        text = "\n".join(",".join(row) for row in [header, *rows])
    elif style == 1:
        text = "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * 4, *rows])
    else:
        widths = [max(len(row[i]) for row in [header, *rows]) + 2 for i in range(4)]
        text = "\n".join("".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in [header, *rows])
    asked: Asked = []
    for row in rows:
        for i, column in enumerate(columns):
            value = row[i + 1]
            asked.append(([f"What is the {column} of {row[0]}?", f"Which {column} does {row[0]} have?", f"What {column} is listed for {row[0]}?", f"What's {row[0]}'s {column}?", f"{row[0]}: which {column}?", f"Tell me {row[0]}'s {column}."], [f"The {column} of {row[0]} is {value}."], value))
            if sum(r[i + 1] == value for r in rows) == 1:
                asked.append(([f"Who has the {column} {value}?", f"Whose {column} is {value}?", f"Which person has {value} as {column}?", f"For whom is the {column} {value}?", f"To whom belongs the {column} {value}?", f"Whose {column} is given as {value}?"], [f"{row[0]} has the {column} {value}."], row[0]))
    asked.append((["How many people are listed?", "How many rows are in the table?", "How many names are there?", "How many persons does the table hold?", "How long is the list?", "How many entries are there?"], [f"{len(rows)} people are listed."], str(len(rows))))
    asked.append((["Which columns are there?", "What is recorded for each person?", "What are the columns?", "What does the table say about each person?", "Which columns does the table have?", "Name the columns."], [f"The columns are {', '.join(header[:-1])} and {header[-1]}."], header[1]))
    return text, asked


def log(d: Draw) -> tuple[str, Asked]:
    hosts = d.rng.sample(["alpha", "beta", "gamma", "delta", "web01", "web02", "db1", "mail", "proxy", "cache3", "build7"], 3)
    events = d.rng.sample([
        ("ERROR", "disk quota exceeded"), ("WARN", "slow query took {n} ms"), ("INFO", "backup finished"), ("ERROR", "connection refused by port {n}"), ("INFO", "user {u} logged in"),
        ("WARN", "certificate expires in {n} days"), ("INFO", "service started"), ("ERROR", "out of memory"), ("INFO", "{n} messages delivered"), ("WARN", "retry number {n}"), ("INFO", "cache cleared"), ("ERROR", "checksum mismatch in block {n}"),
        ("INFO", "config reloaded"), ("WARN", "login failed for {u}"), ("INFO", "job {n} done"), ("INFO", "user {u} logged out"),
    ], d.rng.randint(6, 12))  # fmt: skip
    day, clock = f"2026-{d.rng.randint(1, 12):02d}-{d.rng.randint(1, 28):02d}", d.rng.randint(0, 60000)
    lines, asked, errors = [], [], 0
    for level, what in events:
        clock += d.rng.randint(3, 3000)
        said = what.format(n=d.rng.randint(2, 990), u=d.rng.choice(FIRST).lower())
        at, host = f"{clock // 3600 % 24:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}", d.rng.choice(hosts)
        errors += level == "ERROR"
        lines.append(f"{day} {at} {host} {level} {said}")
        asked.append(([f"When was this logged: {said}?", f"At what time: {said}?", f"When did this happen: {said}?", f"What time is the entry \"{said}\"?", f"At which time came \"{said}\"?", f"When does the log say \"{said}\"?"], [f"At {at}."], at))
        asked.append(([f"On which host was it: {said}?", f"Which host logged \"{said}\"?", f"Which machine says \"{said}\"?", f"Where did this happen: {said}?", f"From which host is \"{said}\"?", f"What host reported: {said}?"], [f"On {host}."], host))
    asked.append((["How many errors are there?", "How many lines are errors?", "How many times does ERROR occur?", "How many errors were logged?", "What is the number of errors?", "Count the errors."], [f"There are {errors} errors." if errors != 1 else "There is 1 error."], str(errors)))
    asked.append((["Which day is the log from?", "What is the date of the log?", "From what day are the entries?", "Which date do the entries carry?", "On what day was this logged?", "What day is it?"], [f"The log is from {day}."], day))
    return "\n".join(lines), asked


def schedule(d: Draw) -> tuple[str, Asked]:
    days = DAYS[: d.rng.randint(3, 6)]
    events = d.rng.sample(["choir practice", "swimming course", "chess club", "board meeting", "first aid course", "film evening", "book club", "language class", "market", "repair café", "dance class", "open day"], len(days))
    lines, asked = [], []
    for day, event in zip(days, events, strict=True):
        time, room, leader = d.time(), d.one("hall", "room 2", "room 5", "gym", "library", "cellar", "garden", "room 11"), d.name()
        lines.append(d.one(f"{day}, {time}: {event} in the {room}, led by {leader}", f"{day}: {event} ({leader}), {room}, {time}", f"{event.capitalize()} with {leader}: {day} at {time}, {room}"))
        asked += [
            ([f"When is the {event}?", f"On which day is the {event}?", f"What day is the {event}?", f"On what day does the {event} take place?", f"Which day is for the {event}?", f"When, on which day, can I go to the {event}?"], [f"The {event} is on {day} at {time}."], day),
            ([f"At what time does the {event} begin?", f"What time is the {event}?", f"At what hour is the {event}?", f"When does the {event} start?", f"From what time on is the {event}?", f"What is the start time of the {event}?"], [f"The {event} begins at {time}."], time),
            ([f"Who leads the {event}?", f"Who is in charge of the {event}?", f"Who runs the {event}?", f"With whom is the {event}?", f"Whose course is the {event}?", f"Who holds the {event}?"], [f"{leader} leads the {event}."], leader),
            ([f"Where is the {event}?", f"In which room is the {event}?", f"Where does the {event} take place?", f"What room is the {event} in?", f"Where do I go for the {event}?", f"Which place is for the {event}?"], [f"The {event} is in the {room}."], room),
            ([f"What is on {day}?", f"What takes place on {day}?", f"What happens on {day}?", f"Which event is on {day}?", f"What can I do on {day}?", f"What is planned for {day}?"], [f"On {day} there is the {event}."], event),
        ]
    return d.one("Programme of the week", "Weekly plan", "What is on") + "\n\n" + "\n".join(lines), asked


def rules(d: Draw) -> tuple[str, Asked]:
    may = d.rng.sample(["bring a dog", "cook in the kitchen", "use the garden", "park in the yard", "hang up pictures", "have guests overnight", "use the lift at night", "keep a bicycle in the hall"], 4)
    fee, hours, days = d.money(), (d.rng.randint(6, 9), d.rng.randint(18, 23)), d.rng.randint(2, 30)
    contact = d.name()
    lines = [f"You may {may[0]}.", d.one(f"It is not allowed to {may[1]}.", f"You must not {may[1]}."), d.one(f"You may {may[2]} if you ask {contact} first.", f"Ask {contact} before you {may[2]}."), f"To {may[3]} is forbidden.", f"The house is open from {hours[0]}:00 to {hours[1]}:00.", f"The deposit is {fee} and is paid back within {days} days."]
    d.rng.shuffle(lines)
    text = d.one("House rules", "Rules of the house", "For our guests") + "\n\n" + "\n".join(f"- {line}" for line in lines)
    return text, [
        ([f"May I {may[0]}?", f"Is it allowed to {may[0]}?", f"Can I {may[0]}?", f"Am I allowed to {may[0]}?", f"Can guests {may[0]}?", f"Is one permitted to {may[0]}?"], [f"Yes, you may {may[0]}."], "Yes"),
        ([f"May I {may[1]}?", f"Is it allowed to {may[1]}?", f"Can I {may[1]}?", f"Am I allowed to {may[1]}?", f"Can guests {may[1]}?", f"Is one permitted to {may[1]}?"], [f"No, it is not allowed to {may[1]}."], "No"),
        ([f"May I {may[3]}?", f"Is it allowed to {may[3]}?", f"Can I {may[3]}?", f"Am I allowed to {may[3]}?", f"Can guests {may[3]}?", f"Is one permitted to {may[3]}?"], [f"No, to {may[3]} is forbidden."], "No"),
        ([f"Whom must I ask before I {may[2]}?", f"Who decides whether I may {may[2]}?", f"Whom do I ask if I want to {may[2]}?", f"Who must agree if I {may[2]}?", f"I want to {may[2]}. Whom do I ask?", f"To whom do I turn to {may[2]}?"], [f"You must ask {contact}."], contact),
        (["How much is the deposit?", "What is the deposit?", "What deposit must be paid?", "How high is the deposit?", "How much money must I leave?", "What sum is the deposit?"], [f"The deposit is {fee}."], fee),
        (["When does the house open?", "From what time is the house open?", "At what time does it open?", "When can I come in?", "What is the opening time?", "How early is it open?"], [f"It opens at {hours[0]}:00."], f"{hours[0]}:00"),
        (["When does the house close?", "Until what time is it open?", "At what time does it close?", "Until when can I stay?", "What is the closing time?", "How late is it open?"], [f"It closes at {hours[1]}:00."], f"{hours[1]}:00"),
        (["When is the deposit paid back?", "Within how many days is the deposit paid back?", "How long does it take to get the deposit back?", "When do I get my deposit?", "How many days until the deposit is back?", "In what time is the deposit returned?"], [f"It is paid back within {days} days."], str(days)),
    ]


def lookups(d: Draw) -> tuple[str, Asked]:
    """Identifiers of things, as in inventories and keys."""
    things = d.rng.sample([f"{a} {t}" for a in ("north", "south", "old", "new", "upper", "lower", "inner", "main") for t in ("gate", "door", "tower", "cellar", "office", "depot", "lab", "store")], d.rng.randint(3, 8))
    what = d.one("access code", "serial number", "password", "key number", "part number", "commit", "checksum", "licence number")
    lines, asked = [], []
    for t in things:
        code = d.code()
        lines.append(d.one(f"The {what} of the {t} is {code}.", f"{t}: {what} {code}", f"For the {t}, the {what} is {code}.", f"{what.capitalize()} of the {t}: {code}"))
        asked.append(([f"What is the {what} of the {t}?", f"Which {what} does the {t} have?", f"What's the {what} for the {t}?", f"Tell me the {what} of the {t}.", f"I need the {what} of the {t}.", f"The {t}: which {what}?"], [f"The {what} of the {t} is {code}."], code))
    return "\n".join(lines), asked


GENRES = [letter, minutes, invoice, biography, incident, table, log, schedule, rules, lookups]


def generated_document(rng: random.Random, held_out: bool) -> tuple[str, str, list[Turn]]:
    """Genre, text, and every question that it answers. Held-out questions are worded by the last phrasing of each."""
    genre = rng.choice(GENRES)
    text, asked = genre(Draw(rng))
    turns = []
    for questions, answers, value in asked:
        question = questions[-1] if held_out else rng.choice(questions[:-1])
        turns.append(Turn(question, rng.choice(answers), value, f"generated_{genre.__name__}"))
    rng.shuffle(turns)
    return genre.__name__, text, turns
