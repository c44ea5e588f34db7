"""The tokenizer, the prompt format, and the ids that mean something."""

from pathlib import Path

from tokenizers import Tokenizer

# `<empty_output>`, a token that no text has: stands for a visual token in the input ids.
IMAGE = 16
START, END = 1, 2

BEFORE_PAGES = "<|im_start|>user\n"
AFTER_PAGE = "\n"
BETWEEN = "\n\n"
NEXT_TURN = "\n<|im_start|>user\n"
BEFORE_ANSWER = "<|im_end|>\n<|im_start|>assistant\n"


class TextTokens:
    def __init__(self, path: Path):
        self.tokenizer = Tokenizer.from_file(str(path))
        self.before_pages = self.ids(BEFORE_PAGES)
        self.after_page = self.ids(AFTER_PAGE)
        self.between = self.ids(BETWEEN)
        self.next_turn = self.ids(NEXT_TURN)
        self.before_answer = self.ids(BEFORE_ANSWER)

    def ids(self, text: str) -> list[int]:
        """Special tokens are read as such: only for text of our own."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=False)
