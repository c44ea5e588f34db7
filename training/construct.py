"""Start the decoder from a circuit instead of from noise; training then bends it as it likes.

The residual stream is cut into blocks of 8 dimensions. A character is one of the 240 shortest vectors
of the E8 lattice (no two closer than 60 degrees).

- A visual token has one block for each place of its window (3 rows × 15 places), and a flag.
- A text token has its own character in block 0. Layer 0 copies the characters of the 15 tokens before
  it into blocks 1 to 15.
- Layer 1, head s: the query is a mix of the last characters, the key is the same mix of the
  characters before slot s of a cell; the value is the character in slot s. If nothing matches, the head
  looks at the first token, which says nothing.
- Layer 2, first heads: the same among the text tokens, which repeats the words of the question.
- The lm_head reads the block that these heads write to.
"""

import itertools

import torch

from byte_tokenizer import TOKEN_ID
from model import Glm4v
from slots import BEFORE, CLASSES, COLS, ROWS, SLOTS, WINDOW

BLOCK = 8
PLACES = ROWS * WINDOW
IMAGE_FLAG, TEXT_FLAG, SINK_FLAG, REST = range(PLACES * BLOCK, PLACES * BLOCK + 4)
FLAG = 4.0
OUT = 16  # the block that answers are written to
HISTORY = 15


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
    """The rows of TokenCode: block by block, and the flag shared out among the places."""
    codes = characters(torch.Generator().manual_seed(8))
    table = torch.zeros(PLACES, CLASSES, width)
    for place in range(PLACES):
        table[place, :, block(place)] = codes
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
def construct(model: Glm4v, match: float = 26.0, threshold: float = 0.66) -> None:
    generator = torch.Generator().manual_seed(9)
    config = model.config
    width, heads, dims, turned = config.hidden_size, config.num_attention_heads, config.head_dim, config.rotary_dim
    codes = characters(torch.Generator().manual_seed(8))
    decoder = model.decoder
    root = dims**0.5

    embedding = decoder.embed_tokens.weight
    embedding.zero_()
    others = e8_roots()
    others = others[torch.randperm(len(others), generator=generator)]
    for token in range(config.vocab_size):
        is_character = 32 <= token < 32 + CLASSES
        embedding[token, block(0)] = codes[token - 32] if is_character else others[token % len(others)] * 0.9
        embedding[token, TEXT_FLAG] = FLAG
    sink = TOKEN_ID["[gMASK]"]
    embedding[sink] = 0
    embedding[sink, SINK_FLAG] = FLAG
    embedding += torch.randn(embedding.shape, generator=generator) * 0.01

    for layer in decoder.layers:
        attn = layer.self_attn
        for projection in (attn.q_proj, attn.k_proj, attn.v_proj, attn.o_proj):
            projection.weight.mul_(0.02)
        for projection in (attn.q_proj, attn.k_proj, attn.v_proj):
            projection.bias.zero_()
        layer.post_mlp_layernorm.weight.fill_(0.05)

    def parts(layer: int):
        attn = decoder.layers[layer].self_attn
        q, k, v = (p.weight.view(heads, dims, width) for p in (attn.q_proj, attn.k_proj, attn.v_proj))
        return q, k, v, attn.o_proj.weight.view(width, heads, dims)

    # What one unit becomes behind the input norm of a layer, by kind of token.
    text0 = (width / (BLOCK + FLAG**2)) ** 0.5
    sink0 = (width / FLAG**2) ** 0.5
    text1 = (width / (BLOCK * (HISTORY + 1) + FLAG**2)) ** 0.5
    text2 = (width / (BLOCK * (HISTORY + 1) + FLAG**2 + 4 * BLOCK)) ** 0.5
    image = (width / (BLOCK * PLACES + FLAG**2)) ** 0.5

    # Layer 0: head j brings the character of the j-th token before into block j.
    q, k, v, o = parts(0)
    half = turned // 2
    inv_freq = 1.0 / (config.rope_theta ** (torch.arange(half).float() * 2 / turned))
    size = (14.0 * root) ** 0.5 / (FLAG * text0)

    def quiet(layer, weight: float) -> None:
        """What heads bring home that found nothing would be blown up by the norm behind: it goes where it is damped."""
        layer.post_self_attn_layernorm.weight.fill_(weight)
        layer.post_self_attn_layernorm.weight[REST] = 0.02

    for head in range(1, heads):
        for f in range(half):
            angle = inv_freq[f] * head
            q[head, 2 * f, TEXT_FLAG] = size
            k[head, 2 * f, TEXT_FLAG] = size * torch.cos(angle)
            k[head, 2 * f + 1, TEXT_FLAG] = size * torch.sin(angle)
        v[head, :BLOCK, block(0)] = torch.eye(BLOCK) / text0
        o[block(head), head, :BLOCK] = torch.eye(BLOCK)
    for head in range(heads):
        q[head, turned, IMAGE_FLAG] = (30.0 * root) ** 0.5 / (FLAG * image)
        k[head, turned, SINK_FLAG] = (30.0 * root) ** 0.5 / (FLAG * sink0)
        v[head, BLOCK, SINK_FLAG] = 1 / (FLAG * sink0)
        o[REST, head, BLOCK] = 1.0
    quiet(decoder.layers[0], (BLOCK * HISTORY / width) ** 0.5)

    def find(q_head, k_head, query_scale, key_scale, depth, decay, key_block):
        """Query: a mix of the last characters; key: the same mix from the blocks that `key_block` names."""
        room = dims - turned - 1
        mix = mixes(generator, room, depth, decay)
        # Expected |query|² over full matches: Σ decay² · 8
        gain = (match * root / sum(BLOCK * decay ** (2 * n) for n in range(depth))) ** 0.5
        for n, m in enumerate(mix):
            q_head[turned : turned + room, block(n)] = m * gain / query_scale
            place = key_block(n)
            if place is not None:
                k_head[turned : turned + room, block(place)] = m * gain / key_scale
        level = (threshold * match * root) ** 0.5
        q_head[dims - 1, TEXT_FLAG] = level / (FLAG * query_scale)
        k_head[dims - 1, SINK_FLAG] = level / (FLAG * sink0)

    # Layer 1: head s finds the cell whose slot s comes next.
    q, k, v, o = parts(1)
    for slot in range(SLOTS):
        row, col = divmod(slot, COLS)
        depth = min(HISTORY + 1, BEFORE + col, 10)
        find(q[slot], k[slot], text1, image, depth, 0.93, lambda n: row * WINDOW + BEFORE + col - 1 - n)
        v[slot, :BLOCK, block(row * WINDOW + BEFORE + col)] = torch.eye(BLOCK) / image
        o[block(OUT), slot, :BLOCK] = torch.eye(BLOCK)
        k[slot, dims - 1, TEXT_FLAG] = -((match * root) ** 0.5) / (FLAG * text1)
        v[slot, BLOCK, SINK_FLAG] = 0.1 / (FLAG * sink0)
        o[REST, slot, BLOCK] = 1.0
    quiet(decoder.layers[1], 2.0 * (BLOCK / width) ** 0.5)

    # Layer 2: the first heads do the same among text tokens; visual tokens are out of their sight.
    q, k, v, o = parts(2)
    for head, depth in enumerate((4, 6, 8, 10)):
        find(q[head], k[head], text2, text2, depth, 0.95, lambda n: n + 1)
        k[head, dims - 1, IMAGE_FLAG] = -((match * root) ** 0.5) / (FLAG * image)
        v[head, :BLOCK, block(0)] = torch.eye(BLOCK) / text2
        v[head, :BLOCK, IMAGE_FLAG] = 0
        o[block(OUT), head, :BLOCK] = torch.eye(BLOCK) * 0.4
        v[head, BLOCK, SINK_FLAG] = 0.3 / (FLAG * sink0)
        o[REST, head, BLOCK] = 1.0
    quiet(decoder.layers[2], 1.5 * (BLOCK / width) ** 0.5)

    model.lm_head.weight.mul_(0.5)
    model.lm_head.weight[32 : 32 + CLASSES, block(OUT)] = codes * 0.35
