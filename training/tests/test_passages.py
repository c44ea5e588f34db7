import random
import unittest

from reader.passages import read_passages, scores, units_of

TEXT = """Minutes of the garden club
Present: Anna, Omar and Lucia.

The shed was painted in May. The roof leaks.
The key hangs behind the blue door.
Nothing was said about the pond."""


class PassagesTest(unittest.TestCase):
    def test_long_lines_are_read_by_sentence(self):
        line = "The first sentence is about a bridge over the river. The second one is about a mill. " + "The third is about the road to the station."
        self.assertEqual(len(line) > 120, True)
        self.assertEqual([line[a:b].strip()[:10] for a, b in units_of(line)], ["The first ", "The second", "The third "])
        self.assertEqual(len(units_of(TEXT)), 5)

    def test_rare_words_count_more(self):
        first, second = scores(["the key of the house", "the door of the house", "the house of the man"], "Where is the key of the house?")[:2]
        self.assertGreater(first, second)

    def test_reads_what_shares_words_and_marks_gaps(self):
        read = read_passages(random.Random(1), TEXT, "Where does the key hang?", 68)
        self.assertIn("The key hangs behind the blue door.", read)
        self.assertNotIn("pond", read)
        self.assertIn("\n…\n", read)

    def test_a_unit_with_the_value_is_read_in_any_case(self):
        self.assertIn("Omar", read_passages(random.Random(1), TEXT, "Who?", 60, value="omar"))

    def test_keeps_within_the_room(self):
        for room in (0, 40, 80, 160):
            self.assertLessEqual(len(read_passages(random.Random(1), TEXT, "the key, the roof and the pond", room)), room)


if __name__ == "__main__":
    unittest.main()
