"""Start the decoder from a circuit instead of from noise; training then bends it as it likes.

The residual stream is cut into blocks of 8 dimensions. A character is one of the 240 shortest vectors
of the E8 lattice (no two closer than 60 degrees).

- A visual token has one block for each place of its window (3 rows × 15 places), and a flag. It comes with
  its own 15 characters; layer 0 copies those of the two cells to the left into its other blocks. At the left
  margin the tower must say what stood at the end of the line before.
- A text token has its own character in block 0. Layer 0 copies the characters of the 15 tokens before
  it into blocks 1 to 15.
- Layers 1 and 3, head s: the query q is a mix of the last characters, the key k is the same mix of the
  characters before slot s of a cell; the value is the character in slot s. The score is
  q·k − |k|²/2, which is largest where k is nearest to q: without the square, long keys win over right ones
  (in a simulation with 630 cells the right one then had the largest score in 72 cases of 100, with
  it in 98). The MLP of the layer before makes the squares, exactly: x·silu(x) + (−x)·silu(−x) = x².
  If nothing is near, the head looks at the first token, whose score is a share of |q|²/2.
- Layer 2, first heads: the same among the text tokens, which repeats the words of the question.
- The lm_head reads the block that these heads write to.
"""

import itertools

import torch
import torch.nn.functional as F

from byte_tokenizer import TOKEN_ID
from model import Glm4v
from slots import BEFORE, CLASSES, COLS, NONE, ROWS, SLOTS, WINDOW, written_places

BLOCK = 8
PLACES = ROWS * WINDOW
IMAGE_FLAG, TEXT_FLAG, SINK_FLAG, REST = range(PLACES * BLOCK, PLACES * BLOCK + 4)
SQUARES = REST + 1  # of the 15 keys, in visual tokens
CONSTANT = SQUARES + SLOTS
QUERY_SQUARE = CONSTANT + 1  # in text tokens
FLAG = 4.0
OUT = 16  # the block that answers are written to
HISTORY = 15
FETCHED = 0.5**0.5  # size of characters that layer 0 fetched for a visual token: 30 share the norm of 15
NEIGHBOUR = 500.0  # score of the neighbour, by axis
# Layer: how many characters back its mix reaches, how fast they fade, and the share of |q|²/2 that the
# first token has as its score.
MIXES = {1: (10, 0.93, 0.6), 3: (8, 0.9, 0.9)}
TEXT_MIXES = (4, 6, 8, 10)


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
def construct(model: Glm4v, match: float = 48.0) -> None:
    """`match`: score of a true match."""
    Construction(model, match).build()


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

    def build(self) -> None:
        self.embed()
        for layer in self.layers:
            attn = layer.self_attn
            for projection in (attn.q_proj, attn.k_proj, attn.v_proj, attn.o_proj):
                projection.weight.mul_(0.02)
            for projection in (attn.q_proj, attn.k_proj, attn.v_proj):
                projection.bias.zero_()
            layer.post_mlp_layernorm.weight.fill_(0.05)
        self.gather_history()
        self.find_cells(1)
        self.repeat_question(2)
        self.find_cells(3)
        head = self.model.lm_head.weight
        head.mul_(0.5)
        head[32 : 32 + CLASSES, block(OUT)] = self.codes * 0.35

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
        say = torch.from_numpy(written_places(cell_cols)).repeat(cell_rows, 1)[:, None]
        windows = torch.where(say, windows, NONE).flatten(2)
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
        """Layer 0: head j brings the character of the j-th token before into block j of a text token.

        The same heads serve visual tokens: the first eight look at the cell to the left, the others at the one
        before it, and each brings two of its characters into the blocks of what stands before a cell.
        """
        config = self.model.config
        q, k, v, o = self.parts(0)
        seen = self.sample(0)
        text, image, sink = (seen[kind][:, flag].mean() for kind, flag in (("text", TEXT_FLAG), ("image", IMAGE_FLAG), ("sink", SINK_FLAG)))
        half = self.turned // 2
        inv_freq = 1.0 / (config.rope_theta ** (torch.arange(half).float() * 2 / self.turned))
        size = (20.0 * self.root) ** 0.5 / text
        q.zero_(), k.zero_()
        asking, asked = 10 * (NEIGHBOUR * self.root) ** 0.5 / image, (NEIGHBOUR * self.root) ** 0.5 / 10 / image
        unit = 60.0
        for head in range(self.heads):
            cells_back = 1 + head // 8
            for f in range(half):
                if head > 0:
                    angle = inv_freq[f] * head
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
            k[head, self.turned, TEXT_FLAG] = -3 * half * NEIGHBOUR * self.root / unit / text
            v[head, :BLOCK, block(0)] = torch.eye(BLOCK) * FLAG / text if head > 0 else 0
            o[block(head), head, :BLOCK] = torch.eye(BLOCK) if head > 0 else 0
            for part in (0, 1):
                n = 2 * (head % 8) + part
                if n < SLOTS:
                    row, col = divmod(n, COLS)
                    span = slice((part + 1) * BLOCK, (part + 2) * BLOCK)
                    v[head, span, block(row * WINDOW + BEFORE + col)] = torch.eye(BLOCK) * FLAG / image
                    o[block(row * WINDOW + BEFORE + col - COLS * cells_back), head, span] = torch.eye(BLOCK)
            # Where nothing comes home, something must that the norm behind may blow up.
            v[head, 0, SINK_FLAG] = 0
            self.layers[0].self_attn.v_proj.bias.zero_()
        v[0, 0, SINK_FLAG] = 8 / sink
        o[REST, 0, 0] = 1.0
        o[block(0), 0, :] = 0
        self.quiet(0, (BLOCK * HISTORY / self.width) ** 0.5)

    @staticmethod
    def size_of(rows: torch.Tensor, n: int) -> float:
        """Size of a dimension of block n, where a character alone has size 1."""
        return rows[:, block(n)].square().mean().sqrt().item()

    def write_squares(self, layer: int, queries: torch.Tensor, keys: list[torch.Tensor]) -> None:
        """The MLP of a layer writes |queries x|² of text tokens and |keys x|² of visual tokens, by slot.

        Every pair of hidden units squares one number. The norm behind the MLP would take the size away: one
        large constant beside the squares keeps it.
        """
        mlp, norm = self.layers[layer].mlp, self.layers[layer].post_mlp_layernorm
        inner = mlp.down_proj.weight.shape[1]
        gate, up = mlp.gate_up_proj.weight[:inner], mlp.gate_up_proj.weight[inner:]
        for weight in (gate, up, mlp.down_proj.weight):
            weight.mul_(0.02)
        seen = self.sample(layer, in_mlp=True)
        unit = 0
        # The last units are always on, whatever the kind of token.
        for kind, flag in (("text", TEXT_FLAG), ("image", IMAGE_FLAG), ("sink", SINK_FLAG)):
            level = seen[kind][:, flag].mean()
            gate[inner - 1, flag] = up[inner - 1, flag] = 20.0 / level
        mlp.down_proj.weight[:, inner - 1] = 0
        mlp.down_proj.weight[CONSTANT, inner - 1] = 1.0  # 20 · silu(20) = 400
        for matrix, out in [(queries, QUERY_SQUARE), *((m, SQUARES + s) for s, m in enumerate(keys))]:
            for row in matrix:
                for sign in (1.0, -1.0):
                    gate[unit] = up[unit] = sign * row
                    mlp.down_proj.weight[:, unit] = 0
                    mlp.down_proj.weight[out, unit] = 1.0
                    unit += 1
        assert unit < inner, "the MLP is too narrow"
        norm.weight.fill_(0.05)
        norm.weight[SQUARES : SQUARES + SLOTS] = 3.0
        norm.weight[QUERY_SQUARE] = 3.0
        norm.weight[CONSTANT] = 0.002

    def find_cells(self, layer: int) -> None:
        """Head s finds the cell whose slot s comes next."""
        depth, decay, threshold = MIXES[layer]
        mix = mixes(self.generator, self.room, depth, decay)
        before = self.sample(layer - 1, in_mlp=True)
        length = sum(BLOCK * decay ** (2 * n) for n in range(depth))  # |q|², but for chance

        def matrices(rows_text, rows_image):
            query = torch.zeros(self.room, self.width)
            keys = [torch.zeros(self.room, self.width) for _ in range(SLOTS)]
            image = self.size_of(rows_image, BEFORE)
            for n, m in enumerate(mix):
                query[:, block(n)] = m / self.size_of(rows_text, n)
                for slot, key in enumerate(keys):
                    row, col = divmod(slot, COLS)
                    place = row * WINDOW + BEFORE + col - 1 - n
                    key[:, block(place)] = m / self.size_of(rows_image, place)
            return query, keys, image

        # So small that the constant beside them stays the largest.
        query, keys, _ = matrices(before["text"], before["image"])
        shrink = (20.0 / length) ** 0.5
        self.write_squares(layer - 1, query * shrink, [key * shrink for key in keys])
        seen = self.sample(layer)
        query, keys, image = matrices(seen["text"], seen["image"])
        stretch = (2 * self.match * self.root / length) ** 0.5
        attn = self.layers[layer].self_attn
        q, k, v, o = self.parts(layer)
        image_rows, text_rows, sink_rows = seen["image"], seen["text"], seen["sink"]
        # |stretch · key|² / 2 from the square that was written
        wanted = torch.stack([(image_rows @ key.T).square().sum(1) * stretch**2 / 2 for key in keys], 1)
        written = image_rows[:, SQUARES : SQUARES + SLOTS]
        factor = ((wanted * written).sum() / written.square().sum()).item()
        wanted = (text_rows @ query.T).square().sum(1) * stretch**2 / 2
        written = text_rows[:, QUERY_SQUARE]
        query_factor = ((wanted * written).sum() / written.square().sum()).item()
        image_level, sink_level = image_rows[:, IMAGE_FLAG].mean(), sink_rows[:, SINK_FLAG].mean()
        text_level = text_rows[:, TEXT_FLAG].mean()
        span = slice(self.turned, self.turned + self.room)
        squares, gatekeeper = self.dims - 2, self.dims - 1
        unit = 20.0
        for slot in range(SLOTS):
            row, col = divmod(slot, COLS)
            q[slot, span], k[slot, span] = query * stretch, keys[slot] * stretch
            # q·k − |k|²/2
            attn.q_proj.bias[slot * self.dims + squares] = unit
            k[slot, squares, SQUARES + slot] = -factor / unit
            # The first token has a share of |q|²/2; other text is out of sight; visual tokens look at the first one.
            q[slot, gatekeeper, QUERY_SQUARE] = query_factor * threshold / unit
            q[slot, gatekeeper, IMAGE_FLAG] = 60.0 * self.root / unit / image_level
            k[slot, gatekeeper, SINK_FLAG] = unit / sink_level
            k[slot, squares, TEXT_FLAG] = -2 * self.match * self.root / unit / text_level
            v[slot, :BLOCK, block(row * WINDOW + BEFORE + col)] = torch.eye(BLOCK) / image
            o[block(OUT), slot, :BLOCK] = torch.eye(BLOCK)
            v[slot, BLOCK, SINK_FLAG] = 0.1 / sink_level
            o[REST, slot, BLOCK] = 1.0
        self.quiet(layer, 2.0 * (BLOCK / self.width) ** 0.5)

    def repeat_question(self, layer: int) -> None:
        """The first heads find where the last characters stood before in the text, and bring what followed."""
        q, k, v, o = self.parts(layer)
        attn = self.layers[layer].self_attn
        seen = self.sample(layer)
        text_level, sink_level = seen["text"][:, TEXT_FLAG].mean(), seen["sink"][:, SINK_FLAG].mean()
        match = self.match / 2
        for head, depth in enumerate(TEXT_MIXES):
            gain = (match * self.root / sum(BLOCK * 0.95 ** (2 * n) for n in range(depth))) ** 0.5
            for n, m in enumerate(mixes(self.generator, self.room, depth, 0.95)):
                q[head, self.turned : self.turned + self.room, block(n)] = m * gain / self.size_of(seen["text"], n)
                k[head, self.turned : self.turned + self.room, block(n + 1)] = m * gain / self.size_of(seen["text"], n + 1)
            level = (match * self.root) ** 0.5
            last = head * self.dims + self.dims - 1
            attn.q_proj.bias[last] = level
            attn.k_proj.bias[last] = -level
            k[head, self.dims - 1, TEXT_FLAG] = level / text_level
            k[head, self.dims - 1, SINK_FLAG] = level * 1.66 / sink_level
            v[head, :BLOCK, block(0)] = torch.eye(BLOCK) / self.size_of(seen["text"], 0)
            o[block(OUT), head, :BLOCK] = torch.eye(BLOCK) * 0.4
            v[head, BLOCK, SINK_FLAG] = 0.3 / sink_level
            o[REST, head, BLOCK] = 1.0
        self.quiet(layer, 1.5 * (BLOCK / self.width) ** 0.5)
