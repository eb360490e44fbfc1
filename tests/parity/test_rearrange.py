"""`rearrange` against einops: drawn patterns give the same bits, and what einops refuses is refused."""

import random
import warnings

import einops
import pytest
import torch
from support import assert_same

DTYPES = [torch.float32, torch.bfloat16, torch.float8_e5m2, torch.complex64, torch.int64, torch.uint8,
          torch.bool]
LETTERS = "abcdefgh"


def grouped(draw, axes):
    """Axes as one side writes them: alone, in parentheses, with `1` and `()` between them."""
    groups, rest = [], list(axes)
    while rest:
        length = draw.randint(1, len(rest)) if draw.random() < 0.5 else 1
        groups.append(rest[:length])
        del rest[:length]
    for _ in range(draw.choice([0, 0, 0, 1, 2])):
        groups.insert(draw.randint(0, len(groups)), [draw.choice(["1", ""])])
    return groups


def written(groups):
    texts = []
    for group in groups:
        alone = len(group) == 1 and group[0] != ""
        texts.append(group[0] if alone else f"({' '.join(group)})")
    return " ".join(texts)


def drawn(draw):
    """A pattern, the shape it is for, and the sizes that it needs."""
    sizes = {axis: draw.choice([0, 1, 2, 2, 3, 3, 4]) for axis in LETTERS[:draw.randint(0, 5)]}
    left = grouped(draw, draw.sample(list(sizes), len(sizes)))
    right = draw.sample(list(sizes), len(sizes))
    middle = None
    if draw.random() < 0.4:
        middle = [draw.randint(1, 3) for _ in range(draw.randint(0, 2))]
        left.insert(draw.randint(0, len(left)), ["..."])
        right.insert(draw.randint(0, len(right)), "...")
    given, shape = {}, []
    for group in left:
        if group == ["..."]:
            shape += middle
            continue
        named = [axis for axis in group if axis in sizes]
        size = 1
        for axis in named:
            size *= sizes[axis]
        shape.append(size)
        open_axis = draw.choice(named) if named and draw.random() < 0.8 else None
        if any(sizes[axis] == 0 for axis in named if axis != open_axis):
            open_axis = None  # 0 of 0: nothing says what is left
        for axis in named:
            if axis != open_axis and (len(named) > 1 or draw.random() < 0.3):
                given[axis] = sizes[axis]
    return f"{written(left)} -> {written(grouped(draw, right))}", shape, given


def tensor(draw, shape, dtype):
    generator = torch.Generator().manual_seed(draw.getrandbits(32))
    values = torch.randint(0, 100, shape, generator=generator)
    return values.to(dtype)


def rule(name, pattern, given):
    sizes = ", ".join(f"{axis}: {size}" for axis, size in given.items())
    return (f"  - rearrange: {{exact: {name}}}\n    pattern: '{pattern}'\n"
            + (f"    with: {{{sizes}}}\n" if given else ""))


def test_drawn_patterns(regraft):
    draw = random.Random(1)
    tensors, expected, spec = {}, {}, "regraft: 1\nrules:\n"
    for number in range(400):
        pattern, shape, given = drawn(draw)
        name = f"t{number}"
        tensors[name] = tensor(draw, shape, draw.choice(DTYPES))
        expected[name] = einops.rearrange(tensors[name], pattern, **given)
        spec += rule(name, pattern, given)
    (regraft.folder / "spec.yaml").write_text(spec)
    torch.save(tensors, regraft.folder / "tensors.pt")
    regraft("apply", "spec.yaml", "tensors.pt", "-o", "rearranged.pt", "--force", "--no-sync",
            "--max-growth", "0")
    assert_same(torch.load(regraft.folder / "rearranged.pt", weights_only=True), expected)


def spoiled(draw, pattern, shape, given):
    """The same case with one thing changed: often a mistake, and sometimes not."""
    shape, given = list(shape), dict(given)
    how = draw.choice(["remove", "insert", "swap", "size", "ndim", "given", "lost", "unknown"])
    at = draw.randrange(len(pattern))
    if how == "remove":
        pattern = pattern[:at] + pattern[at + 1:]
    elif how == "insert":
        pattern = pattern[:at] + draw.choice(["(", ")", "1", "2", "a", "z", " ", "...", "->", "_", ","]) + pattern[at:]
    elif how == "swap":
        sides = pattern.split("->")
        pattern = "->".join(reversed(sides))
    elif how == "size" and shape:
        shape[draw.randrange(len(shape))] += draw.choice([1, 2])
    elif how == "ndim":
        shape.insert(draw.randint(0, len(shape)), draw.choice([1, 2]))
    elif how == "given" and given:
        given[draw.choice(list(given))] += 1
    elif how == "lost" and given:
        del given[draw.choice(list(given))]
    elif how == "unknown":
        given["q"] = 2
    return pattern, shape, given


@pytest.mark.parametrize("seed", range(200))
def test_what_einops_refuses_is_refused(regraft, seed):
    draw = random.Random(1000 + seed)
    pattern, shape, given = spoiled(draw, *drawn(draw))
    source = tensor(draw, shape, torch.float32)
    (regraft.folder / "spec.yaml").write_text("regraft: 1\nrules:\n" + rule("t", pattern, given))
    torch.save({"t": source}, regraft.folder / "tensors.pt")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = einops.rearrange(source, pattern, **given)
    except (einops.EinopsError, ValueError, ZeroDivisionError):
        regraft("plan", "spec.yaml", "tensors.pt", status=2)
        return
    regraft("apply", "spec.yaml", "tensors.pt", "-o", "rearranged.pt", "--force", "--no-sync")
    assert_same(torch.load(regraft.folder / "rearranged.pt", weights_only=True), {"t": expected})
