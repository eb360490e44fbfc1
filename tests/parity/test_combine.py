"""`combine` against torch: the same computation in float32, or float64, rounded once."""

import pytest
import torch
from support import assert_same

FLOATS = {"w": torch.float32, "h": torch.bfloat16, "g": torch.float16, "d": torch.float64}
WHOLE = {"n": torch.int64, "u": torch.uint8, "t": torch.bool}
SHAPES = {"a": (4, 6), "b": (8, 4), "v": (6,), "z": (), "x": (3, 8, 6), "y": (2, 1, 6, 5), "s": (2, 3)}


@pytest.fixture(scope="module")
def operands():
    torch.manual_seed(0)
    out = {name: torch.randn(8, 6).abs().add(0.5).to(dtype) for name, dtype in FLOATS.items()}
    out |= {name: torch.randint(0, 2 if name == "t" else 60, (8, 6)).to(dtype) for name, dtype in WHOLE.items()}
    out |= {name: torch.randn(shape) for name, shape in SHAPES.items()}
    out["f"] = torch.randn(8, 6).to(torch.float8_e4m3fn)
    out["c"] = torch.randn(8, 6, dtype=torch.complex64)
    return out


def interleaved(x, count, dim):
    return torch.repeat_interleave(x, count, dim)


# A formula, the same in Python over operands of the dtype that is computed in, and the result's
# dtype. Operands by name; each has a tensor of its own in the checkpoint of a case.
MOVES = [
    ("transpose(c, 0, 1)", lambda c: c.mT),
    ("reshape(f, 4, -1)", lambda f: f.reshape(4, 12)),
    ("narrow(h, 1, -4, 3)", lambda h: h.narrow(1, -4, 3)),
    ("cat(x, x, -1)", lambda x: torch.cat([x, x], -1)),
    ("tile(t, 2, 3)", lambda t: t.tile(2, 3)),
    ("tile(z, 2, 2)", lambda z: z.tile(2, 2)),
    ("tile(x, 2)", lambda x: x.tile(2)),
    ("tile(s, 2, 1, 2)", lambda s: s.tile(2, 1, 2)),
    ("repeat_interleave(g, 3, 0)", lambda g: interleaved(g, 3, 0)),
    ("repeat_interleave(x, 2, -1)", lambda x: interleaved(x, 2, -1)),
    ("narrow(repeat_interleave(repeat_interleave(s, 4, 0), 4, 1), 0, 0, 7)",
     lambda s: interleaved(interleaved(s, 4, 0), 4, 1)[:7]),
]
# In float64 where an operand is, else in float32.
ARITHMETIC = [
    ("w + 16 / size(a, 0) * (b @ a)", lambda w, b, a: w + 4.0 * (b @ a), torch.float32),
    ("h + h * 0.1", lambda h: h + h * 0.1, torch.bfloat16),
    ("h * g - w", lambda h, g, w: h * g - w, torch.float32),
    ("g / d", lambda g, d: g / d, torch.float64),
    ("-h / 3 + v", lambda h, v: -h / 3 + v, torch.float32),
    ("w / norm(w, 1) * z", lambda w, z: w / torch.linalg.vector_norm(w, dim=1, keepdim=True) * z, torch.float32),
    ("norm(norm(x, 1), 2)",
     lambda x: torch.linalg.vector_norm(torch.linalg.vector_norm(x, dim=1, keepdim=True), dim=2, keepdim=True),
     torch.float32),
    ("sum(h, 0) - mean(h, 0)", lambda h: h.sum(0, True) - h.mean(0, True), torch.bfloat16),
    ("exp(-abs(x)) + sqrt(abs(x))", lambda x: torch.exp(-x.abs()) + torch.sqrt(x.abs()), torch.float32),
    ("x @ y", lambda x, y: x @ y, torch.float32),
    ("x @ v", lambda x, v: x @ v, torch.float32),
    ("v @ y", lambda v, y: v @ y, torch.float32),
    ("v @ v", lambda v: v @ v, torch.float32),
    ("a @ transpose(h, 0, 1)", lambda a, h: a @ h.mT, torch.float32),
    ("n * 0.5", lambda n: n * 0.5, torch.float32),
    ("mean(u, 1) * h", lambda u, h: u.mean(1, True) * h, torch.bfloat16),
    ("n / u", lambda n, u: n / u, torch.float32),
    ("cat(h, w, 0)", lambda h, w: torch.cat([h, w]), torch.float32),
    ("2 - w", lambda w: 2 - w, torch.float32),
    ("1 / (1 + exp(-w))", lambda w: 1 / (1 + torch.exp(-w)), torch.float32),
]
WHOLE_NUMBERS = [
    ("n + 1", lambda n: n + 1, torch.int64),
    ("n * u - 3", lambda n, u: n * u - 3, torch.int64),
    ("u + u", lambda u: u + u, torch.uint8),
    ("sum(t, 0)", lambda t: t.sum(0, True), torch.int64),
    ("t + t", lambda t: t + t, torch.int64),
    ("abs(-n)", lambda n: n, torch.int64),
    ("n @ transpose(u, 0, 1)", lambda n, u: n @ u.mT, torch.int64),
    ("cat(u, n, 0)", lambda u, n: torch.cat([u, n]), torch.int64),
]


def run(regraft, operands, cases):
    """Results by number of the case; each case has its operands for itself."""
    spec, source, names = "regraft: 1\nrules:\n", {}, []
    for number, (formula, function, *_) in enumerate(cases):
        used = list(function.__code__.co_varnames[:function.__code__.co_argcount])
        used += [one for one in ("a",) if "size(a" in formula and one not in used]
        names.append(used)
        for name in used:
            source[f"{number}.{name}"] = operands[name]
        patterns = ", ".join(f"{name}: '^{number}\\.{name}$'" for name in used)
        spec += f"  - combine: {{{patterns}}}\n    to: '{number}'\n    as: '{formula}'\n"
    (regraft.folder / "spec.yaml").write_text(spec)
    torch.save(source, regraft.folder / "operands.pt")
    regraft("apply", "spec.yaml", "operands.pt", "-o", "combined.pt", "--force", "--no-sync",
            "--max-growth", "0")
    results = torch.load(regraft.folder / "combined.pt", weights_only=True)
    return [results[str(number)] for number in range(len(cases))], names


def test_what_only_moves_keeps_every_bit(regraft, operands):
    results, names = run(regraft, operands, MOVES)
    for result, used, (formula, function) in zip(results, names, MOVES, strict=True):
        words = [operands[name].view(torch.uint8) if operands[name].dtype == torch.float8_e4m3fn
                 else operands[name] for name in used]
        expected = function(*words)
        assert result.dtype == operands[used[0]].dtype, formula
        if result.dtype == torch.float8_e4m3fn:
            result = result.view(torch.uint8)
        assert torch.equal(result, expected), formula


def test_arithmetic(regraft, operands):
    results, names = run(regraft, operands, ARITHMETIC)
    for result, used, (formula, function, dtype) in zip(results, names, ARITHMETIC, strict=True):
        wide = torch.float64 if any(operands[name].dtype == torch.float64 for name in used) else torch.float32
        expected = function(*(operands[name].to(wide) for name in used))
        assert (result.dtype, result.shape) == (dtype, expected.shape), formula
        if "@" in formula:
            torch.testing.assert_close(result, expected.to(dtype), msg=formula)
        else:
            assert_same({formula: result}, {formula: expected.to(dtype)})


def test_whole_numbers(regraft, operands):
    results, names = run(regraft, operands, WHOLE_NUMBERS)
    for result, used, (formula, function, dtype) in zip(results, names, WHOLE_NUMBERS, strict=True):
        expected = function(*(operands[name].to(torch.int64) for name in used))
        assert_same({formula: result}, {formula: expected.to(dtype)})


def test_a_number_that_does_not_fit_stops_the_run(regraft):
    torch.save({"x": torch.full((2,), 200, dtype=torch.uint8)}, regraft.folder / "large.pt")
    (regraft.folder / "spec.yaml").write_text(
        "regraft: 1\nrules:\n  - combine: {x: '^x$'}\n    to: y\n    as: x + x\n")
    message = regraft("apply", "spec.yaml", "large.pt", "-o", "never.pt", "--no-sync", status=1)
    assert not (regraft.folder / "never.pt").exists(), message


def test_float8_with_block_scales(regraft):
    torch.manual_seed(1)
    weight = torch.randn(10, 7).to(torch.float8_e4m3fn)
    scale = torch.rand(3, 2).add(0.5)
    torch.save({"x.weight": weight, "x.weight_scale_inv": scale}, regraft.folder / "scaled.pt")
    (regraft.folder / "spec.yaml").write_text(r"""
regraft: 1
vars: {block: 4}
rules:
  - combine: {s: '\.weight_scale_inv$', w: '\.weight$'}
    to: '.weight'
    as: >-
      w * narrow(narrow(repeat_interleave(repeat_interleave(s, block, 0), block, 1),
      0, 0, size(w, 0)), 1, 0, size(w, 1))
    dtype: bfloat16
""")
    regraft("apply", "spec.yaml", "scaled.pt", "-o", "plain.pt", "--force", "--no-sync")
    blocks = interleaved(interleaved(scale, 4, 0), 4, 1)[:10, :7]
    assert_same(torch.load(regraft.folder / "plain.pt", weights_only=True),
                {"x.weight": (weight.float() * blocks).bfloat16()})
