"""What stands in each cell: characters by slot, the labels of the dense loss and of the pointer.

In the reader's rendering (reader-render.json) a cell of 28 px holds exactly 3 text rows of 5
characters. A slot is (row in cell, column in cell). The window of a cell also takes in the
characters before it in reading order, which lets a cell know what led up to it.
"""

import numpy as np

ROWS, COLS = 3, 5
BEFORE = 10
WINDOW = BEFORE + COLS
SLOTS = ROWS * COLS
# class 0 is a space, also where nothing stands; then the rest of printable ASCII
CLASSES = 95


# Of the characters before a cell, the farthest is of no use to a decoder that compares nine, and the block of
# its place is where text tokens have their own character.
FIRST_SAID = 1

# in written tokens: a place that the token leaves to others
NONE = CLASSES


def written_places(cell_cols: int) -> np.ndarray:
    """[cell_cols, WINDOW]: which places of its window a cell's token says itself.

    Its own, always. The characters before it are in the tokens of the two cells to the left, where the decoder
    fetches them; only at the left margin must the token say them, as they stand at the end of another line.
    """
    say = np.zeros((cell_cols, WINDOW), bool)
    say[:, BEFORE:] = True
    say[0, FIRST_SAID:] = True
    if cell_cols > 1:
        say[1, FIRST_SAID : BEFORE - COLS] = True
    return say


def classes_of(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("ascii", "replace"), np.uint8).clip(32, 126) - 32


def line_start_looks(row: int, last_row: int, last_col: int, cell_cols: int) -> list[tuple[int, int, int]]:
    """Where the first patch of a text row should look: to the end of the text before, by heads of the tower's last block.

    These heads look to the patches on the left elsewhere; at the margin there are none. A patch serves
    its own row with heads 0 and 1, and the row in the middle of the cell with heads 2 and 3.
    """
    in_cell = row % ROWS
    own = patch_index(row // ROWS * 2 + (in_cell == 2), 0, cell_cols)
    first_head = 2 if in_cell == 1 else 0
    y = last_row // ROWS * 2 + (last_row % ROWS == 2)
    x = (2 * last_col + 1) // COLS
    return [(own, first_head + n, patch_index(y, max(0, x - n), cell_cols)) for n in (0, 1)]


def patch_index(y: int, x: int, cell_cols: int) -> int:
    """Place of a patch in merge order."""
    return ((y // 2) * cell_cols + x // 2) * 4 + (y % 2) * 2 + x % 2


class PageText:
    """The text rows of a page (or a cut of it) as labels."""

    def __init__(self, rows: list[str], cell_rows: int, cell_cols: int):
        width = cell_cols * COLS
        count = cell_rows * ROWS
        rows = [row[:width] for row in rows[:count]] + [""] * (count - len(rows))
        grid = np.zeros((count, BEFORE + width), np.int64)
        stream: list[str] = []
        looks: list[tuple[int, int, int]] = []
        last: tuple[int, int] | None = None
        places: list[int] = []  # slot of each character of the stream; -1: a line break drawn nowhere
        before = " " * BEFORE
        for r, row in enumerate(rows):
            grid[r, :BEFORE] = classes_of(before)
            grid[r, BEFORE : BEFORE + len(row)] = classes_of(row)
            if last:
                looks += line_start_looks(r, *last, cell_cols)
            if not row.strip():
                continue
            last = (r, len(row) - 1)
            cell_base, slot_base = (r // ROWS) * cell_cols, (r % ROWS) * COLS
            for c in range(len(row) + 1):
                places.append((cell_base + c // COLS) * SLOTS + slot_base + c % COLS if c < width else -1)
            stream.append(row + " ")
            before = (before + row + " ")[-BEFORE:]
        self.text = "".join(stream)
        # (patch, head, patch to look at), see line_start_looks
        self.looks = np.array(looks, np.int64).reshape(-1, 3)
        self.places = np.array(places, np.int64)
        # [cell_rows, ROWS, cell_cols, WINDOW] → [cells, ROWS, WINDOW]
        windows = np.lib.stride_tricks.sliding_window_view(grid, WINDOW, axis=1)[:, ::COLS]
        self.windows = (
            windows.reshape(cell_rows, ROWS, cell_cols, WINDOW).transpose(0, 2, 1, 3).reshape(-1, ROWS, WINDOW)
        )

    def __len__(self) -> int:
        return len(self.text)

    @property
    def slots(self) -> np.ndarray:
        """[cells, SLOTS]: the characters in the cell itself."""
        return self.windows[:, :, BEFORE:].reshape(-1, SLOTS)
