"""python -m unittest discover -s tests (from training/)"""

import random
import unittest
from dataclasses import replace

from reader.layout import CELL, Typography, lay_out, pack, sample_typography

# Monospaced at 0.602 em: 7 px a character, four to a cell.
MONO = Typography("DejaVu Sans Mono", 11.625, 14.0, 3, 0, 0, True, 0, "")


def tokens_of(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Words with the space before them, as byte-level BPE has them."""
    ids, offsets, start = [], [], 0
    for i, word in enumerate(text.split(" ")):
        end = start + len(word) + (1 if i else 0)
        ids.append(100 + i)
        offsets.append((start, end))
        start = end
    return ids, offsets


class LayoutTest(unittest.TestCase):
    def test_breaks_anywhere(self):
        laid = lay_out("abcdefghijklmnop", MONO)
        # 84 px hold twelve characters of 6.999 px.
        self.assertEqual([(line.start, line.end) for line in laid.lines], [(0, 12), (12, 16)])

    def test_breaks_between_words(self):
        text = "four words stand here"
        laid = lay_out(text, replace(MONO, anywhere=False))
        self.assertEqual([text[line.start : line.end].strip() for line in laid.lines], ["four words", "stand here"])

    def test_keeps_and_marks_breaks(self):
        self.assertEqual(len(lay_out("a\n\nb", MONO).lines), 3)
        self.assertEqual(len(lay_out("a\n\nb", replace(MONO, newline=" / ")).lines), 1)

    def test_packs_tokens_where_they_begin(self):
        text = "ab cd efghijklmn op"
        cells = pack(lay_out(text, MONO), *tokens_of(text), MONO)
        # Row 1: "ab cd efghij" in cells 0, 0 and 1; row 2: "klmn op" - "op" begins at 35 px, cell 1.
        self.assertEqual(cells.cell, [0, 0, 1, 1])
        self.assertEqual(cells.row, [0, 0, 0, 1])
        self.assertEqual(cells.place, [0, 1, 0, 0])
        self.assertEqual((cells.count, cells.first), (3, [0]))

    def test_repeats_the_end_of_a_line(self):
        look = replace(MONO, overlap=4)
        text = "ab cd ef gh ij kl"
        cells = pack(lay_out(text, look), *tokens_of(text), look)
        # Twelve characters to a line; the second draws "ef gh "'s last four again: " gh " begins there once more.
        self.assertGreater(len(cells.token), len(text.split(" ")))

    def test_pages_stand_below_each_other(self):
        look = replace(MONO, rows=2)
        laid = lay_out("\n".join("abcdef"), look)
        text = "\n".join("abcdef")
        offsets = [(i, i + 1) for i in range(0, len(text), 2)]
        cells = pack(laid, list(range(6)), offsets, look)
        # Two rows of cells hold four lines; lines 5 and 6 are on page two, in its first row of cells.
        self.assertEqual([cell // look.columns for cell in cells.cell], [0, 0, 1, 1, 2, 2])

    def test_every_character_has_a_line_and_stays_on_the_page(self):
        rng = random.Random(3)
        for _ in range(200):
            text = "".join(rng.choices("abc defg\nhij-klm 0123", k=rng.randint(1, 300)))
            look = sample_typography(rng, rng.random(), (4, 20))
            laid = lay_out(text, look)
            covered = [i for line in laid.lines for i in range(line.start, line.end)]
            # A break at the end of a full line belongs to no line; everything else is drawn once.
            missing = set(range(len(text))) - set(covered)
            self.assertTrue(all(text[i] == "\n" for i in missing))
            self.assertEqual(len(covered), len(set(covered)))
            room = look.columns * CELL
            self.assertTrue(all(x < room for x, c in zip(laid.x, text, strict=True) if c not in " \n"))


if __name__ == "__main__":
    unittest.main()
