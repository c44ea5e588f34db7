import random
import unittest

from reader.questions.written import FOLDER, WrittenError, parse, problems, render, without_evidence

SOURCE = """=== note
@ who = man
@ a = number 2 2
@ b = number 3 3
@ both = calc a + b
@ tool & use = spade & dig | rake & level
---
{~ {who} comes | We expect {who}} with a {tool}. He will {use}.
[bees] No bees.
{{"sold": {both}}}
---
Q: Who comes?
A: {who.first} comes.
V: {who.first}
Q[bees]: Are bees allowed?
A: No, bees are not allowed.
V: No
Q: How many were sold? | Sold?
A: {both} were sold, {a.words} of them early.
V: five | {both}
N: When?
"""


class WrittenTest(unittest.TestCase):
    def test_draws_slots_ways_and_optional_lines(self):
        document = parse(SOURCE)[0]
        seen = set()
        for seed in range(40):
            text, turns = render(random.Random(seed), document)
            lines = text.split("\n")
            self.assertIn(lines[0].split(" with a ")[1], ("spade. He will dig.", "rake. He will level."))
            self.assertEqual(lines[-1], '{"sold": 5}')
            bees = "No bees." in lines
            seen.add((lines[0].startswith("We expect"), bees))
            self.assertEqual(turns[1].value, "No" if bees else "Not found")
            self.assertEqual((turns[2].answer, turns[2].value), ("5 were sold, two of them early.", "5"))
            self.assertIn(turns[0].value, lines[0])
            self.assertEqual(turns[3].relation, "absent")
        self.assertEqual(len(seen), 4)

    def test_says_what_is_wrong(self):
        with self.assertRaisesRegex(WrittenError, "follows no question"):
            parse("=== x\n---\ntext\n---\nA: yes\n")
        with self.assertRaisesRegex(WrittenError, "got 2 parts"):
            parse("=== x\n---\ntext\n")
        with self.assertRaisesRegex(WrittenError, "no slot 'who'"):
            render(random.Random(0), parse("=== x\n---\ntext {who}\n---\nQ: a?\nA: b\n")[0])

    def test_takes_out_the_sentence_that_answers(self):
        document = parse(SOURCE.replace("{who.first}", "{who}"))[0]
        text, turns = render(random.Random(1), document)
        rest, left = without_evidence(random.Random(1), text, turns)
        self.assertLess(len(rest), len(text))
        self.assertEqual(left[0].relation, "absent")
        for turn in left[1:]:
            self.assertIn(turn.value.lower(), rest.lower())

    def test_every_document_can_be_drawn(self):
        documents = [d for path in sorted(FOLDER.glob("*.txt")) for d in parse(path.read_text(encoding="utf-8"), path.name)]
        self.assertGreater(len(documents), 400)
        self.assertEqual([p for d in documents for p in problems(d, 3) if "note:" not in p], [])


if __name__ == "__main__":
    unittest.main()
