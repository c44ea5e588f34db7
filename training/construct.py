"""Start the decoder from a circuit instead of from noise; training then bends it as it likes.

The residual stream is cut into blocks of 8 dimensions. A character is one of the 240 shortest vectors
of the E8 lattice (no two closer than 60 degrees).

- A visual token has one block for each place of its window (3 rows × 15 places), and a flag. It comes with
  its own 15 characters; layer 0 copies those of the two cells to the left into its other blocks. There are
  none at the left margin: a line starts with the end of the line before.
- A text token has its own character in block 0. Layer 0 copies the characters of the 8 tokens before
  it into blocks 1 to 8.
- Layers 2 and 3 have one head for each slot of a cell (SLOT_HEADS). The query q is a mix of the last 9
  characters in 40 dimensions, the key k is the same mix of the characters before a slot; the value is the
  character in that slot. The score is q·k − |k|²/2, which is largest where k is nearest to q. The MLP of
  the layer before makes the squares. If nothing is near, the head looks at the first token, whose score is a
  share of |q|²/2. Few heads with many dimensions find better than many with few: with 16 dimensions, a
  page of 630 cells had 1 to 4 wrong matches for every right one.
- Layer 1, first heads: the same among the text tokens, which repeats the words of the question. Where the
  first one brings the next character of a phrase, it brings a gate with it: the first token becomes so attractive to
  the heads of layers 2 and 3 that they stay silent. So an answer keeps to the question until the question has no
  more to say, and only then to the page. Signs that end a phrase bring no gate.
- Layer 1, three more heads: a visual token looks for its own characters in a question that stands before the pages,
  and if they are there, it is marked. Nothing reads the mark but V²Drop, between layers 1 and 2.
- The lm_head reads the block that these heads write to.
"""

import itertools

import torch
import torch.nn.functional as F

from byte_tokenizer import TOKEN_ID
from model import Glm4v
from slots import BEFORE, CLASSES, COLS, NONE, ROWS, SLOTS, WINDOW

BLOCK = 8
PLACES = ROWS * WINDOW
IMAGE_FLAG, TEXT_FLAG, SINK_FLAG, REST = range(PLACES * BLOCK, PLACES * BLOCK + 4)
SQUARES = REST + 1  # of the 15 keys, in visual tokens; of key and query of repeated text, in text tokens
CONSTANT = SQUARES + SLOTS
QUERY_SQUARE = CONSTANT + 1  # in text tokens
# In text tokens: does the character go on with a phrase (1 or -1); does the question say what comes next?
PHRASE, GATE = QUERY_SQUARE + 1, QUERY_SQUARE + 2
ASKED = GATE + 1  # in visual tokens: does a question that stands before the page speak of this cell?
FLAG = 4.0
OUT = 16  # the block that answers are written to
HISTORY = 8
FETCHED = 0.5**0.5  # size of characters that layer 0 fetched for a visual token
NEIGHBOUR = 500.0  # score of the neighbour, by axis
# Layer: which slots its heads find.
SLOT_HEADS = {2: range(0, 8), 3: range(8, SLOTS)}
QUESTION_LAYER = 1
DEPTH, DECAY = HISTORY + 1, 0.97
# How many characters back a head of the question's layer compares. Few are found in many places: the more, the louder.
# What the last head brings comes with something that the norm behind it damps, so that it is soft even when alone.
TEXT_DEPTHS, TEXT_VOICES, TEXT_DAMPERS = (8, 5, 3), (3.0, 1.5, 1.0), (0.0, 0.0, 8.0)
# One more head starts the answer: behind "The " comes what follows a " the " of the question, but for " of the ".
STARTED, STARTS, NOT_AFTER = "The ", " the ", "f"
# So many must agree to close the gate: "is" after a subject is none of "What is".
GATE_DEPTH = 8
# The first token has this share of |q|²/2 as its score.
THRESHOLD, TEXT_THRESHOLDS = 0.65, (0.85, 0.9, 0.9)
# What heads compare characters and decide by. Learning writes elsewhere, and moves thresholds by the gate alone.
COMPARED = [*range((HISTORY + 1) * BLOCK), *range(PLACES * BLOCK, GATE), ASKED]
# By how much a closed gate raises the first token's score; a share of it is left where learned heads speak as well.
GATE_SCORE = 60.0
LOUDNESS = 2.0  # of a character that a head of layers 1 to 3 brings, where it is alone
ENDS_PHRASE = '.,;:!?"'
# Score of a cell row that ends as the question did somewhere, the share of it where half is marked, and the mark.
# So low that what agrees in part is marked in part.
ASKED_MATCH, ASKED_HALF, ASKED_SIZE, ASKED_LOUDNESS = 12.0, 0.6, 300.0, 0.35
SHIFT = 8.0  # C of write_squares
# How large squares stand behind its norm. Those of layer 1 are soft: V²Drop, which hears what a layer changes, shall
# hear ASKED.
SQUARE_SIZE, SOFT_SQUARE_SIZE = 3.0, 1.0
LOGIT = 0.8  # the lm_head's weight on a character


def e8_roots() -> torch.Tensor:
    """The 240 roots, each of squared length 8 (so that a dimension has size 1)."""
    roots = []
    for i, j in itertools.combinations(range(8), 2):
        for a, b in itertools.product((1.0, -1.0), repeat=2):
            root = [0.0] * 8
            root[i], root[j] = a, b
            roots.append(root)
    for signs in itertools.product((0.5, -0.5), repeat=8):
        if sum(s < 0 for s in signs) % 2 == 0:
            roots.append(list(signs))
    return torch.tensor(roots) * 2.0


def block(n: int) -> slice:
    return slice(n * BLOCK, (n + 1) * BLOCK)


def characters(generator: torch.Generator) -> torch.Tensor:
    """[95, 8]: a root for each class of slots.py."""
    roots = e8_roots()
    return roots[torch.randperm(len(roots), generator=generator)[:CLASSES]]


def token_code_table(width: int) -> torch.Tensor:
    """[PLACES · (CLASSES + 1), width]: the code block by block; the last class of a place says nothing."""
    codes = characters(torch.Generator().manual_seed(8))
    table = torch.zeros(PLACES, CLASSES + 1, width)
    for place in range(PLACES):
        table[place, :CLASSES, block(place)] = codes * (1.0 if place % WINDOW >= BEFORE else FETCHED)
        table[place, :, IMAGE_FLAG] = FLAG / PLACES
    return table.flatten(0, 1)


def mixes(generator: torch.Generator, width: int, depth: int, decay: float) -> list[torch.Tensor]:
    """One [width, 8] matrix for each character back; the first two share no direction."""
    first, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    found = [first[:, :BLOCK], first[:, BLOCK : 2 * BLOCK]]
    while len(found) < depth:
        found.append(torch.linalg.qr(torch.randn(width, BLOCK, generator=generator))[0])
    return [m * decay**n for n, m in enumerate(found[:depth])]


@torch.no_grad()
def construct(model: Glm4v, match: float = 48.0) -> "Frozen":
    """`match`: score of a true match. Returns what training may not change.

    The circuit is finely tuned (scores of several hundred, squares as differences of large numbers): steps that a
    language needs to be learned with destroy it. So it stays as it is, and training has the rest.
    """
    construction = Construction(model, match)
    construction.build()
    return Frozen(construction.free)


class Frozen:
    """The circuit's own weights: for each parameter of the decoder a mask (1: free) and the values to keep."""

    def __init__(self, free: dict[torch.nn.Parameter, torch.Tensor]):
        self.parts = [(parameter, mask, parameter.detach() * (1 - mask)) for parameter, mask in free.items()]

    def to(self, device: torch.device) -> None:
        self.parts = [(parameter, mask.to(device), kept.to(device)) for parameter, mask, kept in self.parts]

    def hold_gradients(self) -> None:
        for parameter, mask, _ in self.parts:
            parameter.grad *= mask

    @torch.no_grad()
    def restore(self) -> None:
        for parameter, mask, kept in self.parts:
            parameter.copy_(parameter * mask + kept)


class Construction:
    def __init__(self, model: Glm4v, match: float):
        self.model, self.match = model, match
        self.generator = torch.Generator().manual_seed(9)
        config = model.config
        self.width, self.heads, self.dims = config.hidden_size, config.num_attention_heads, config.head_dim
        self.turned, self.root = config.rotary_dim, config.head_dim**0.5
        self.room = self.dims - self.turned - 2
        self.codes = characters(torch.Generator().manual_seed(8))
        self.layers = model.decoder.layers
        self.free = {p: torch.ones_like(p) for p in [*model.decoder.parameters(), *model.lm_head.parameters()]}

    def freeze(self, *parameters: torch.nn.Parameter) -> None:
        for parameter in parameters:
            self.free[parameter].zero_()

    def freeze_heads(self, layer: int, heads: range) -> None:
        attn = self.layers[layer].self_attn
        rows = slice(heads.start * self.dims, heads.stop * self.dims)
        for projection in (attn.q_proj, attn.k_proj, attn.v_proj):
            self.free[projection.weight][rows] = 0
            self.free[projection.bias][rows] = 0
        self.free[attn.o_proj.weight][:, rows] = 0

    def build(self) -> None:
        self.embed()
        for layer in self.layers:
            attn = layer.self_attn
            for projection in (attn.q_proj, attn.k_proj, attn.v_proj, attn.o_proj):
                projection.weight.mul_(0.02)
            for projection in (attn.q_proj, attn.k_proj, attn.v_proj):
                projection.bias.zero_()
            layer.post_mlp_layernorm.weight.fill_(0.05)
        for layer in self.layers[:-1]:
            for writer in (layer.self_attn.o_proj, layer.mlp.down_proj):
                writer.weight[COMPARED] = 0
                self.free[writer.weight][COMPARED] = 0
                writer.weight[GATE] = 0
        self.gather_history()
        self.freeze_heads(0, range(self.heads))
        self.mix = mixes(self.generator, self.room, DEPTH, DECAY)
        self.repeat_question(QUESTION_LAYER)
        self.start_answer(QUESTION_LAYER, len(TEXT_DEPTHS))
        self.freeze_heads(QUESTION_LAYER, range(len(TEXT_DEPTHS) + 1))
        asked = range(len(TEXT_DEPTHS) + 1, len(TEXT_DEPTHS) + 1 + ROWS)
        self.mark_asked(QUESTION_LAYER, asked)
        self.freeze_heads(QUESTION_LAYER, asked)
        self.hide_pages(QUESTION_LAYER, range(asked.stop, self.heads))
        for layer, slots in SLOT_HEADS.items():
            self.find_cells(layer)
            self.freeze_heads(layer, range(len(slots)))
            self.hide_pages(layer, range(len(slots), self.heads))
        self.freeze(self.model.decoder.embed_tokens.weight)
        for layer in self.layers:
            self.freeze(layer.input_layernorm.weight, layer.post_self_attn_layernorm.weight, layer.post_attention_layernorm.weight)
            self.free[layer.post_mlp_layernorm.weight][SQUARES : QUERY_SQUARE + 1] = 0
        head = self.model.lm_head.weight
        head.mul_(0.5)
        head[32 : 32 + CLASSES, block(OUT)] = self.codes * LOGIT

    def parts(self, layer: int):
        attn = self.layers[layer].self_attn
        q, k, v = (p.weight.view(self.heads, self.dims, self.width) for p in (attn.q_proj, attn.k_proj, attn.v_proj))
        return q, k, v, attn.o_proj.weight.view(self.width, self.heads, self.dims)

    def quiet(self, layer: int, weight: float) -> None:
        """What heads bring home that found nothing would be blown up by the norm behind: it goes where it is damped."""
        norm = self.layers[layer].post_self_attn_layernorm
        norm.weight.fill_(weight)
        norm.weight[REST] = 0.02

    def embed(self) -> None:
        embedding = self.model.decoder.embed_tokens.weight
        embedding.zero_()
        others = e8_roots()
        others = others[torch.randperm(len(others), generator=self.generator)]
        for token in range(len(embedding)):
            is_character = 32 <= token < 32 + CLASSES
            embedding[token, block(0)] = self.codes[token - 32] if is_character else others[token % len(others)] * 0.9
            embedding[token, TEXT_FLAG] = FLAG
            # Plus or minus, so that all tokens are of one length: the first layer tells neighbours apart by little.
            embedding[token, PHRASE] = 1.0 if is_character and chr(token) not in ENDS_PHRASE else -1.0
        sink = TOKEN_ID["[gMASK]"]
        embedding[sink] = 0
        embedding[sink, SINK_FLAG] = FLAG
        noise = torch.randn(embedding.shape, generator=self.generator) * 0.01
        noise[:, PLACES * BLOCK :] = 0  # flags are exact
        noise[sink] = 0
        embedding += noise

    def sample(self, until: int, in_mlp: bool = False) -> dict[str, torch.Tensor]:
        """What reaches a layer (or, before its MLP, the norm there), normed, for random pages: rows by kind."""
        generator = torch.Generator().manual_seed(10)
        pages, cell_rows, cell_cols, length = 4, 4, 15, 60
        cells = cell_rows * cell_cols
        windows = torch.randint(1, CLASSES, (pages, cells, ROWS, WINDOW), generator=generator)
        windows[..., :BEFORE] = NONE
        windows = windows.flatten(2)
        table = token_code_table(self.width).view(PLACES, CLASSES + 1, -1)
        image = sum(table[place][windows[..., place]] for place in range(PLACES))
        ids = torch.randint(33, 33 + CLASSES - 1, (pages, length), generator=generator)
        embedding = self.model.decoder.embed_tokens.weight
        first = embedding[TOKEN_ID["[gMASK]"]].expand(pages, 1, -1)
        x = torch.cat([first, image, embedding[ids]], 1)
        cell = torch.arange(cells)
        grid = 5 + torch.stack([torch.zeros_like(cell), cell // cell_cols, cell % cell_cols])
        text = (torch.arange(length) + 30).expand(3, -1)
        positions = torch.cat([torch.zeros(3, 1, dtype=torch.long), grid, text], 1).expand(pages, -1, -1)
        cos, sin = self.model.rotary(positions)
        inner = (cell % cell_cols) >= 2
        for index, layer in enumerate(self.layers):
            if index == until and not in_mlp:
                break
            q, k, v = layer.self_attn.project(layer.input_layernorm(x), cos, sin)
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            if index == until:
                x = x + layer.post_self_attn_layernorm(layer.self_attn.output(attended))
                break
            x = layer.feed(x, attended)
        x = F.rms_norm(x, (self.width,), eps=1e-5)
        return {"sink": x[:, 0], "image": x[:, 1 : 1 + cells][:, inner].flatten(0, 1), "text": x[:, 1 + cells + 20 :].flatten(0, 1)}

    def gather_history(self) -> None:
        """Layer 0: head h brings the character of the token h + 1 before into block h + 1 of a text token.

        The same heads serve visual tokens: those of the first half look at the cell to the left, the others at
        the one before it, and each brings one of its rows into the blocks of what stands before a cell.
        """
        config = self.model.config
        q, k, v, o = self.parts(0)
        seen = self.sample(0)
        text, image, sink = (seen[kind][:, flag].mean() for kind, flag in (("text", TEXT_FLAG), ("image", IMAGE_FLAG), ("sink", SINK_FLAG)))
        half = self.turned // 2
        inv_freq = 1.0 / (config.rope_theta ** (torch.arange(half).float() * 2 / self.turned))
        # Three frequencies come round again (534 tokens away they agree to 96 %), and a cell that says little is loud.
        size = (180.0 * self.root) ** 0.5 / text
        asking, asked = 10 * (NEIGHBOUR * self.root) ** 0.5 / image, (NEIGHBOUR * self.root) ** 0.5 / 10 / image
        unit = 60.0
        q.zero_(), k.zero_(), v.zero_(), o.zero_()
        for head in range(self.heads):
            cells_back, row = 1 + head // (self.heads // 2), head % (self.heads // 2)
            for f in range(half):
                angle = inv_freq[f] * (head + 1)
                q[head, 2 * f, TEXT_FLAG] = size
                k[head, 2 * f, TEXT_FLAG] = size * torch.cos(angle)
                k[head, 2 * f + 1, TEXT_FLAG] = size * torch.sin(angle)
                # frequencies go to time, row and column
                angle = inv_freq[f] * (cells_back if f == 2 else 0)
                q[head, 2 * f, IMAGE_FLAG] = asking
                k[head, 2 * f, IMAGE_FLAG] = asked * torch.cos(angle)
                k[head, 2 * f + 1, IMAGE_FLAG] = asked * torch.sin(angle)
            # Without such a cell: the first token. Other text is out of sight.
            q[head, self.turned, IMAGE_FLAG] = unit / image
            # Keys are not all of one length: what counts is how much less than a perfect turn they have.
            k[head, self.turned, IMAGE_FLAG] = -half * NEIGHBOUR * self.root / unit / image
            k[head, self.turned, SINK_FLAG] = -5.0 * self.root / unit / sink
            k[head, self.turned, TEXT_FLAG] = -9 * half * NEIGHBOUR * self.root / unit / text
            v[head, :BLOCK, block(0)] = torch.eye(BLOCK) * FLAG / text
            o[block(head + 1), head, :BLOCK] = torch.eye(BLOCK)
            for col in range(COLS):
                if row < ROWS:
                    span = slice((col + 1) * BLOCK, (col + 2) * BLOCK)
                    place = row * WINDOW + BEFORE + col
                    v[head, span, block(place)] = torch.eye(BLOCK) * FLAG / image
                    o[block(place - COLS * cells_back), head, span] = torch.eye(BLOCK)
        # Where nothing comes home, something must that the norm behind may blow up.
        spare = self.heads // 2 - 1  # a head that brings no row
        v[spare, -1, SINK_FLAG] = 8 / sink
        o[REST, spare, -1] = 1.0
        self.layers[0].self_attn.v_proj.bias.zero_()
        self.quiet(0, (BLOCK * HISTORY / self.width) ** 0.5)

    @staticmethod
    def size_of(rows: torch.Tensor, n: int) -> float:
        """Size of a dimension of block n, where a character alone has size 1."""
        return rows[:, block(n)].square().mean().sqrt().item()

    def write_squares(self, layer: int, wanted: dict[int, torch.Tensor], soft: tuple[int, ...] = ()) -> None:
        """The MLP of a layer writes |matrix · x|² to dimensions of the residual stream: {dimension: matrix [n, width]}.

        x · silu(x + C) is x² + C x for |x| well below C, and one more unit takes the sum of C x away. The norm
        behind the MLP would take the size away: one large constant beside the squares keeps it.
        """
        mlp, norm = self.layers[layer].mlp, self.layers[layer].post_mlp_layernorm
        inner = mlp.down_proj.weight.shape[1]
        gate, up, down = mlp.gate_up_proj.weight[:inner], mlp.gate_up_proj.weight[inner:], mlp.down_proj.weight
        for weight in (gate, up, down):
            weight.mul_(0.02)
        seen = self.sample(layer, in_mlp=True)
        always = torch.zeros(self.width)  # 1 for every kind of token
        for kind, flag in (("text", TEXT_FLAG), ("image", IMAGE_FLAG), ("sink", SINK_FLAG)):
            always[flag] = 1.0 / seen[kind][:, flag].mean()
        unit = 0

        def write(gate_row: torch.Tensor, up_row: torch.Tensor, out: int, weight: float) -> None:
            nonlocal unit
            gate[unit], up[unit] = gate_row, up_row
            down[:, unit] = 0
            down[out, unit] = weight
            unit += 1

        write(20 * always, 20 * always, CONSTANT, 1.0)  # 20 · silu(20) = 400
        for out, matrix in wanted.items():
            for row in matrix:
                write(row + SHIFT * always, row, out, 1.0)
            write(20 * always, matrix.sum(0), out, -SHIFT / 20)
        assert unit < inner, "the MLP is too narrow"
        self.free[mlp.gate_up_proj.weight][:unit] = 0
        self.free[mlp.gate_up_proj.weight][inner : inner + unit] = 0
        self.free[mlp.down_proj.weight][:, :unit] = 0
        norm.weight.fill_(0.05)
        norm.weight[list(wanted)] = SQUARE_SIZE
        norm.weight[list(soft)] = SOFT_SQUARE_SIZE
        norm.weight[CONSTANT] = 0.002

    def match_of(self, n_blocks: int, start: int, rows: torch.Tensor, mix: list[torch.Tensor]) -> torch.Tensor:
        """[room, width]: the mix of text blocks start, start + 1, …"""
        matrix = torch.zeros(self.room, self.width)
        for n, m in enumerate(mix[:n_blocks]):
            matrix[:, block(start + n)] = m / self.size_of(rows, start + n)
        return matrix

    def key_of(self, slot: int, rows: torch.Tensor) -> torch.Tensor:
        """[room, width]: the mix of the characters before a slot."""
        matrix = torch.zeros(self.room, self.width)
        row, col = divmod(slot, COLS)
        for n, m in enumerate(self.mix):
            place = row * WINDOW + BEFORE + col - 1 - n
            matrix[:, block(place)] = m / self.size_of(rows, place)
        return matrix

    def half_square(self, rows: torch.Tensor, matrix: torch.Tensor, stretch: float, dimension: int) -> float:
        """What turns the square that was written to a dimension into |stretch · matrix · x|² / 2."""
        wanted = (rows @ matrix.T).square().sum(1) * stretch**2 / 2
        written = rows[:, dimension]
        return ((wanted * written).sum() / written.square().sum()).item()

    def find_cells(self, layer: int) -> None:
        """Each head finds the cell whose slot comes next."""
        slots = SLOT_HEADS[layer]
        length = sum(BLOCK * DECAY ** (2 * n) for n in range(DEPTH))  # |q|², but for chance
        before = self.sample(layer - 1, in_mlp=True)
        # So small that the constant beside them stays the largest.
        shrink = (20.0 / length) ** 0.5
        squares = {SQUARES + slot: self.key_of(slot, before["image"]) * shrink for slot in slots}
        squares[QUERY_SQUARE] = self.match_of(DEPTH, 0, before["text"], self.mix) * shrink
        is_scored = layer - 1 == QUESTION_LAYER
        self.write_squares(layer - 1, squares, soft=tuple(SQUARES + slot for slot in slots) if is_scored else ())
        seen = self.sample(layer)
        image_rows, text_rows = seen["image"], seen["text"]
        stretch = (2 * self.match * self.root / length) ** 0.5
        query = self.match_of(DEPTH, 0, text_rows, self.mix)
        query_factor = self.half_square(text_rows, query, stretch, QUERY_SQUARE)
        attn = self.layers[layer].self_attn
        q, k, v, o = self.parts(layer)
        image_level, sink_level = image_rows[:, IMAGE_FLAG].mean(), seen["sink"][:, SINK_FLAG].mean()
        text_level = text_rows[:, TEXT_FLAG].mean()
        span = slice(self.turned, self.turned + self.room)
        squares, gatekeeper = self.dims - 2, self.dims - 1
        unit = 20.0
        for head, slot in enumerate(slots):
            row, col = divmod(slot, COLS)
            key = self.key_of(slot, image_rows)
            q[head, span], k[head, span] = query * stretch, key * stretch
            # q·k − |k|²/2
            attn.q_proj.bias[head * self.dims + squares] = unit
            k[head, squares, SQUARES + slot] = -self.half_square(image_rows, key, stretch, SQUARES + slot) / unit
            # The first token has a share of |q|²/2; other text is out of sight; visual tokens look at the first one.
            q[head, gatekeeper, QUERY_SQUARE] = query_factor * THRESHOLD / unit
            q[head, gatekeeper, IMAGE_FLAG] = 60.0 * self.root / unit / image_level
            k[head, gatekeeper, SINK_FLAG] = unit / sink_level
            k[head, squares, TEXT_FLAG] = -2 * self.match * self.root / unit / text_level
            v[head] = o[:, head] = 0
            v[head, :BLOCK, block(row * WINDOW + BEFORE + col)] = torch.eye(BLOCK) / self.size_of(image_rows, BEFORE)
            o[block(OUT), head, :BLOCK] = torch.eye(BLOCK)
            v[head, BLOCK, SINK_FLAG] = 0.3 / sink_level
            o[REST, head, BLOCK] = 1.0
            q[head, gatekeeper, GATE] = GATE_SCORE * self.root / unit / (LOUDNESS * text_level / FLAG)
        self.quiet(layer, LOUDNESS * (BLOCK / self.width) ** 0.5)

    def repeat_question(self, layer: int) -> None:
        """The first heads find where the last characters stood before in the text, and bring what followed."""
        q, k, v, o = self.parts(layer)
        attn = self.layers[layer].self_attn
        mixtures = [mixes(self.generator, self.room, depth, 1.0) for depth in TEXT_DEPTHS]
        self.text_mix = mixtures[0]
        before = self.sample(layer - 1, in_mlp=True)["text"]
        squares = {}
        for head, (depth, mix) in enumerate(zip(TEXT_DEPTHS, mixtures)):
            shrink = (20.0 / (BLOCK * depth)) ** 0.5
            squares[SQUARES + 2 * head] = self.match_of(depth, 1, before, mix) * shrink
            squares[SQUARES + 2 * head + 1] = self.match_of(depth, 0, before, mix) * shrink
        self.write_squares(layer - 1, squares)
        seen = self.sample(layer)
        text_rows = seen["text"]
        text_level, sink_level = text_rows[:, TEXT_FLAG].mean(), seen["sink"][:, SINK_FLAG].mean()
        image_level = seen["image"][:, IMAGE_FLAG].mean()
        span = slice(self.turned, self.turned + self.room)
        squared, gatekeeper = self.dims - 2, self.dims - 1
        unit = 20.0
        kinds = zip(TEXT_DEPTHS, mixtures, TEXT_THRESHOLDS, TEXT_VOICES, TEXT_DAMPERS)
        for head, (depth, mix, threshold, voice, damper) in enumerate(kinds):
            stretch = (2 * self.match * self.root / (BLOCK * depth)) ** 0.5
            key, query = self.match_of(depth, 1, text_rows, mix), self.match_of(depth, 0, text_rows, mix)
            key_square, query_square = SQUARES + 2 * head, SQUARES + 2 * head + 1
            q[head, span], k[head, span] = query * stretch, key * stretch
            attn.q_proj.bias[head * self.dims + squared] = unit
            k[head, squared] = 0
            k[head, squared, key_square] = -self.half_square(text_rows, key, stretch, key_square) / unit
            # Visual tokens are out of sight, but for each other: what they bring home drowns the learned heads beside
            # them in the norm, and goes where it is damped. So pages stay as they were written.
            k[head, squared, IMAGE_FLAG] = -20 * self.match * self.root / unit / image_level
            q[head, squared] = 0
            q[head, squared, IMAGE_FLAG] = -2 * unit / image_level
            q[head, gatekeeper] = 0
            q[head, gatekeeper, query_square] = self.half_square(text_rows, query, stretch, query_square) * threshold / unit
            k[head, gatekeeper] = 0
            k[head, gatekeeper, SINK_FLAG] = unit / sink_level
            v[head] = o[:, head] = 0
            v[head, :BLOCK, block(0)] = torch.eye(BLOCK) / self.size_of(text_rows, 0)
            o[block(OUT), head, :BLOCK] = torch.eye(BLOCK) * voice
            v[head, BLOCK, SINK_FLAG] = 0.3 / sink_level
            v[head, BLOCK, IMAGE_FLAG] = 30 / image_level
            v[head, BLOCK, TEXT_FLAG] = damper / text_level
            o[REST, head, BLOCK] = 1.0
            v[head, BLOCK + 1, PHRASE] = 0.5 / text_rows[:, PHRASE].max()
            v[head, BLOCK + 1, TEXT_FLAG] = 0.5 / text_level
            o[GATE, head, BLOCK + 1] = voice if depth >= GATE_DEPTH else 0
        self.quiet(layer, LOUDNESS * (BLOCK / self.width) ** 0.5)

    def mark_asked(self, layer: int, heads: range) -> None:
        """A visual token looks at the question, where it stands before the pages: one head for each row of its window.

        The last characters of a row are compared with those that end at each token of the text, by the mix and the
        squares of the deepest of the heads that repeat the question. What is found writes ASKED, which nothing
        reads but V²Drop's score: the token has changed.
        """
        q, k, v, o = self.parts(layer)
        attn = self.layers[layer].self_attn
        seen = self.sample(layer)
        text_rows, image_rows = seen["text"], seen["image"]
        text_level, sink_level = text_rows[:, TEXT_FLAG].mean(), seen["sink"][:, SINK_FLAG].mean()
        image_level = image_rows[:, IMAGE_FLAG].mean()
        depth, square = TEXT_DEPTHS[0], SQUARES + 1
        stretch = (2 * ASKED_MATCH * self.root / (BLOCK * depth)) ** 0.5
        key = self.match_of(depth, 0, text_rows, self.text_mix)
        span = slice(self.turned, self.turned + self.room)
        squared, gatekeeper, unit = self.dims - 2, self.dims - 1, 20.0
        far = 40 * ASKED_MATCH * self.root / unit
        for row, head in enumerate(heads):
            q[head] = k[head] = 0
            v[head] = o[:, head] = 0
            for n, m in enumerate(self.text_mix):
                place = row * WINDOW + WINDOW - 1 - n
                q[head, span, block(place)] = m / self.size_of(image_rows, place) * stretch
            k[head, span] = key * stretch
            attn.q_proj.bias[head * self.dims + squared] = unit
            k[head, squared, square] = -self.half_square(text_rows, key, stretch, square) / unit
            # Visual tokens are out of sight, and text looks at the first token.
            k[head, squared, IMAGE_FLAG] = -far / image_level
            q[head, gatekeeper, IMAGE_FLAG] = ASKED_HALF * ASKED_MATCH * self.root / unit / image_level
            q[head, gatekeeper, TEXT_FLAG] = far / text_level
            k[head, gatekeeper, SINK_FLAG] = unit / sink_level
            v[head, 0, TEXT_FLAG] = ASKED_SIZE / text_level
            o[ASKED, head, 0] = 1.0
        self.layers[layer].post_self_attn_layernorm.weight[ASKED] = ASKED_LOUDNESS

    def hide_pages(self, layer: int, heads: range) -> None:
        """Learned heads see text alone: thousands of visual tokens, more than in training, would drown what they look for."""
        attn = self.layers[layer].self_attn
        q, k, _, _ = self.parts(layer)
        image_level = self.sample(layer)["image"][:, IMAGE_FLAG].mean()
        hidden, unit = self.dims - 1, 20.0
        for head in heads:
            row = head * self.dims + hidden
            q[head, hidden] = k[head, hidden] = 0
            attn.q_proj.bias[row] = unit
            k[head, hidden, IMAGE_FLAG] = -100 * self.root / unit / image_level
            for projection in (attn.q_proj, attn.k_proj):
                self.free[projection.weight][row] = 0
                self.free[projection.bias][row] = 0

    def start_answer(self, layer: int, head: int) -> None:
        """A head that has no match to compare by, when the answer is but its first word: it knows both sides by heart."""
        q, k, v, o = self.parts(layer)
        seen = self.sample(layer)
        text_rows = seen["text"]
        text_level, sink_level = text_rows[:, TEXT_FLAG].mean(), seen["sink"][:, SINK_FLAG].mean()
        image_level = seen["image"][:, IMAGE_FLAG].mean()

        def agreement(text: str, back: int, least: float) -> torch.Tensor:
            """[width]: how many characters agree with those that end so many places back, less `least`."""
            row = torch.zeros(self.width)
            for n, character in enumerate(reversed(text), back):
                row[block(n)] = self.codes[ord(character) - 32] / (BLOCK * self.size_of(text_rows, n))
            row[TEXT_FLAG] = -least / text_level
            return row

        squared, gatekeeper, unit = self.dims - 2, self.dims - 1, 20.0
        q[head] = k[head] = 0
        v[head] = o[:, head] = 0
        self.layers[layer].self_attn.q_proj.bias[head * self.dims + squared] = unit
        key = agreement(STARTS, 1, len(STARTS) - 0.6)
        key[block(1 + len(STARTS))] = -2 * self.codes[ord(NOT_AFTER) - 32] / (BLOCK * self.size_of(text_rows, 1 + len(STARTS)))
        key[IMAGE_FLAG] = -10 / image_level
        k[head, squared] = 60 * self.root / unit * key
        # Characters differ by half at least: a quarter less than all agree with nothing but the word itself.
        q[head, gatekeeper] = -400 * self.root / unit * agreement(STARTED, 0, len(STARTED) - 0.25)
        k[head, gatekeeper, SINK_FLAG] = unit / sink_level
        v[head, :BLOCK, block(0)] = torch.eye(BLOCK) / self.size_of(text_rows, 0)
        o[block(OUT), head, :BLOCK] = torch.eye(BLOCK) * TEXT_VOICES[0]
        v[head, BLOCK, SINK_FLAG] = 0.3 / sink_level
        o[REST, head, BLOCK] = 1.0
