"""Makes a training state small enough to carry: int4 weights or int4 differences from the base, in parts of less than 16 MiB.

    python -m reader.carry pack --base runs/base --state runs/joint/state.pt --out parts
    python -m reader.carry unpack --base runs/base --parts parts --out runs/joint/state.pt

A state that was trained with `--int4` loses nothing by `--int4` here. A difference from the base is a tenth of a weight or less, so its int4 rounding (groups of 32, fp16 scales) costs a
hundredth of what int4 weights would. 106 M weights become 57 MiB; the tower is kept in int8, vectors in fp32.
`--sides model` and `--sides packing tower head` make two loads of it, where one may hold 64 MiB.
The optimizer stays behind: a run that goes on from here warms up again.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .base_weights import load_base

GROUP = 32
PART = 15 * 2**20
SIDES = ("model", "packing", "tower", "head")


def quantise(x: Tensor, bits: int) -> dict[str, Tensor]:
    """[..., n] with n a multiple of 32 -> quants (two to a byte for 4 bits) and fp16 scales, one for 32 weights."""
    top = 2 ** (bits - 1) - 1
    groups = x.float().reshape(-1, GROUP)
    scale = (groups.abs().amax(-1, keepdim=True) / top).half().float().clamp(min=6e-8)
    quants = (groups / scale).round().clamp(-top, top).to(torch.int8)
    if bits == 4:
        halves = (quants + 8).to(torch.uint8).reshape(-1, GROUP // 2, 2)
        quants = halves[..., 0] | halves[..., 1] << 4
    return {"quants": quants, "scales": scale.half()}


def dequantise(packed: dict[str, Tensor], shape: list[int], bits: int) -> Tensor:
    quants = packed["quants"]
    if bits == 4:
        quants = torch.stack((quants & 15, quants >> 4), -1).reshape(-1, GROUP).to(torch.int8) - 8
    return (quants.float() * packed["scales"].float()).reshape(shape)


def pack(state: dict, base: dict[str, Tensor], sides: tuple[str, ...] = SIDES, whole: bool = False) -> dict[str, Tensor]:
    """whole: int4 weights of the model instead of differences."""
    out: dict[str, Tensor] = {}
    for side in sides:
        for name, w in state.get(side, {}).items():
            key = f"{side}|{name}"
            shape = torch.tensor(w.shape)
            before = base.get(f"model.{name}") if side == "model" else None
            if w.dim() < 2 or w.numel() % GROUP:
                out[f"{key}|whole"] = w.float()
                continue
            bits = 4 if before is not None else 8
            packed = quantise(w.float() - before if before is not None and not whole else w, bits)
            kind = f"{bits}w" if whole and bits == 4 else bits
            out |= {f"{key}|{part}{kind}": value for part, value in packed.items()} | {f"{key}|shape": shape}
    for key in ("step", "positions", "drawn"):
        if key in state:
            out[f"count|{key}"] = torch.tensor(state[key])
    for key, value in state.get("config", {}).items():
        out[f"config|{key}"] = torch.tensor(value)
    return out


def unpack(tensors: dict[str, Tensor], base: dict[str, Tensor]) -> dict:
    state: dict = {}
    for key, value in tensors.items():
        side, name, *kind = key.split("|")
        if side in ("count", "config"):
            (state if side == "count" else state.setdefault("config", {}))[name] = value.item()
        elif kind == ["whole"]:
            state.setdefault(side, {})[name] = value
        elif kind[0].startswith("quants"):
            how = kind[0].removeprefix("quants")
            packed = {"quants": value, "scales": tensors[f"{side}|{name}|scales{how}"]}
            w = dequantise(packed, tensors[f"{side}|{name}|shape"].tolist(), int(how[0]))
            state.setdefault(side, {})[name] = w + base[f"model.{name}"] if how == "4" else w
    return state


def save_parts(tensors: dict[str, Tensor], folder: Path, name: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for key, value in tensors.items():
        n = value.numel() * value.element_size()
        if size + n > PART and parts[-1]:
            parts.append({})
            size = 0
        parts[-1][key] = value.contiguous()
        size += n
    paths = [folder / f"{name}-{i:02d}.safetensors" for i in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        save_file(part, path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("pack", "unpack"))
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--parts", type=Path)
    parser.add_argument("--int4", action="store_true", help="pack: the weights of the model themselves in int4")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    base = load_base(args.base)
    if args.action == "pack":
        state = torch.load(args.state, map_location="cpu", weights_only=True)
        for path in save_parts(pack(state, base, args.sides, args.int4), args.out, args.sides[0]):
            print(f"{path} {path.stat().st_size / 2**20:.1f} MiB")
        return
    tensors: dict[str, Tensor] = {}
    for path in sorted(args.parts.glob("*.safetensors")):
        tensors |= load_file(path)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(unpack(tensors, base), args.out)


if __name__ == "__main__":
    main()
