import random
import unittest

from reader.questions.engine import find_facts
from reader.questions.generated import GENRES, Draw
from reader.questions.phrasings import PHRASINGS


def found(text: str, kind: str, relation: str) -> list[dict[str, str]]:
    return [fact.slots for fact in find_facts(text, kind) if fact.relation == relation]


class RulesTest(unittest.TestCase):
    def test_options(self):
        text = "OPTIONS\n       -q, --quiet\n              Suppress all output of the program.\n"
        self.assertEqual(found(text, "manual", "option_does"), [{"option": "--quiet", "value": "suppress all output of the program"}])
        self.assertEqual(found(text, "manual", "option_for"), [{"clause": "suppress all output of the program", "value": "--quiet"}])

    def test_prose(self):
        text = "The old bridge was built in 1874. It is long. The bridge was designed by Maria Keller. You may not fish from the bridge. The bridge is closed because its piers are weak."
        self.assertEqual([s["value"] for s in found(text, "book", "when")], ["1874"])
        self.assertEqual([s["value"] for s in found(text, "book", "who_did")], ["Maria Keller"])
        self.assertEqual([s["value"] for s in found(text, "book", "may_not")], ["fish from the bridge"])
        self.assertEqual([s["value"] for s in found(text, "book", "why")], ["its piers are weak"])

    def test_no_question_about_a_pronoun(self):
        self.assertEqual(find_facts("It is a small tool that prints the date of today.", "book"), [])

    def test_changelog(self):
        text = "## 1.2.0 (2020-03-04)\n\n- Adds an option to print dates\n\n## 1.1.0 (2019-01-02)\n\n- Fixes a crash at start\n"
        self.assertEqual([(s["name"], s["value"]) for s in found(text, "changelog", "version_date")], [("1.2.0", "2020-03-04"), ("1.1.0", "2019-01-02")])
        self.assertEqual([s["value"] for s in found(text, "changelog", "latest")], ["1.2.0"])

    def test_fields_need_neighbours(self):
        self.assertEqual(found("Package: nano\nVersion: 7.2\n", "book", "field"), [{"key": "package", "value": "nano"}, {"key": "version", "value": "7.2"}])
        self.assertEqual(found("Remember one thing: never do that.\n\nMore.", "book", "field"), [])

    def test_every_fact_can_be_asked_and_its_answer_holds_the_value(self):
        text = "Package: nano\nVersion: 7.2\n\nThe dog was found by Anna Berg. The tool supports three formats. The default value of depth is 5."
        rng = random.Random(1)
        for fact in find_facts(text, "book"):
            for held_out in (False, True):
                question, answer = PHRASINGS[fact.relation].pick(rng, fact.slots, held_out)
                self.assertNotIn("{", question + answer)


class GeneratedTest(unittest.TestCase):
    def test_values_stand_in_the_text(self):
        rng = random.Random(5)
        for genre in GENRES:
            for _ in range(20):
                text, asked = genre(Draw(rng))
                for questions, answers, value in asked:
                    self.assertGreaterEqual(len(questions), 6)
                    if value not in ("Yes", "No") and not value.isdigit():
                        self.assertIn(value.lower(), text.lower(), (genre.__name__, questions[0]))
                    self.assertTrue(all(value.lower() in a.lower() for a in answers), (answers, value))


if __name__ == "__main__":
    unittest.main()
