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
# Of the line before, a line that goes on repeats so many characters (`line-overlap` of reader-render.json).
OVERLAP = 8

# in written tokens: a place that the token leaves to others
NONE = CLASSES


def classes_of(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("ascii", "replace"), np.uint8).clip(32, 126) - 32


class PageText:
    """The text rows of a page (or a cut of it) as labels.

    `rows`: what is seen in each slot row; None where the rendering puts no text row. A row that goes on from a full
    one starts with the end of that one.
    """

    def __init__(self, rows: list[str | None], cell_rows: int, cell_cols: int):
        width = cell_cols * COLS
        count = cell_rows * ROWS
        rows = [row and row[:width] for row in rows[:count]] + [""] * (count - len(rows))
        grid = np.zeros((count, BEFORE + width), np.int64)
        stream: list[str] = []
        places: list[int] = []  # slot of each character of the stream; -1: a line break drawn nowhere
        before = ""
        for r, row in enumerate(rows):
            if row is None:
                continue
            goes_on = len(before) == width and before[-OVERLAP:] == row[:OVERLAP]
            before = row
            grid[r, BEFORE : BEFORE + len(row)] = classes_of(row)
            if not row.strip():
                continue
            shown = row if len(row) == width else row.rstrip() + " "
            first = OVERLAP if goes_on else 0
            cell_base, slot_base = (r // ROWS) * cell_cols, (r % ROWS) * COLS
            for c in range(first, len(shown)):
                places.append((cell_base + c // COLS) * SLOTS + slot_base + c % COLS if c < width else -1)
            stream.append(shown[first:])
        self.text = "".join(stream)
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
