"""The optimizer changes no byte of the output, whichever pass is left out."""
import re
from pathlib import Path

import pytest

import torch

from helpers import assert_error, run, succeed  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
MODELS = {}


def case(function):
    MODELS[function.__name__] = function()
    return function


def floats(*shape):
    return torch.randn(*shape)


@case
def padded():
    source = {"rows": floats(4, 3), "columns": floats(2, 3).half(), "own": floats(4, 3).bfloat16(),
              "turned": floats(3, 4).t(), "many": floats(100, 3)}
    target = {"rows": floats(6, 3), "columns": floats(2, 5).half(), "own": floats(6, 2).bfloat16(),
              "turned": floats(4, 5), "many": floats(100, 5), "new": torch.ones(7, dtype=torch.int64),
              "half": floats(9).half()}
    return source, target, """
policy:
  missing: [{match: half, do: ones}, {do: zeros}]
  shape:
    - {match: rows, do: pad, align: end, fill: 0.1}
    - {match: own, do: pad_slice, fill: keep, align: center}
    - {do: pad, fill: -1}
"""


@case
def put_together_and_taken_apart():
    shared = floats(12, 5)
    source = {"q": floats(4, 6), "k": floats(4, 6), "v": floats(4, 6).half(), "turned": floats(5, 12).t(),
              "top": shared[:6], "bottom": shared[6:], "tied": shared[6:], "conj": torch.randn(6, 2, dtype=torch.cfloat),
              "counts": torch.randint(-9, 9, (7, 3), dtype=torch.int8), "embed": floats(20, 8),
              **{f"experts.{i}.w": floats(3, 4) for i in range(12)}}
    source["conj"] = source["conj"].conj()
    return source, None, r"""
rules:
  - {cat: [^q$, ^k$, ^v$], to: qkv}
  - {split: ^qkv$, to: [first, ~, last], sizes: [5, 3, 4]}
  - {split: ^turned$, to: [turned.a, turned.b]}
  - {cat: [^turned\.a$, ^turned\.b$], to: back}
  - {copy: ^top$, to: whole}
  - {copy: ^bottom$, to: rest}
  - {cat: [^whole$, ^rest$], to: whole}
  - {stack: '^experts\.(\d+)\.w$', to: experts.w}
  - {transpose: ^experts\.w$, dims: [1, 2]}
  - {copy: ^experts\.w$, to: again}
  - {transpose: ^again$, dims: [1, 2]}
  - {unbind: ^again$, to: 'again.{i}'}
  - {slice: ^conj$, start: 1}
  - {copy: ^conj$, to: conj.a}
  - {cat: [^conj$, ^conj\.a$], to: conj}
  - {cast: ^counts$, dtype: int32}
  - {cast: ^counts$, dtype: float16}
  - {index_select: ^embed$, index: [9, 3, 4, 5, 0, 0]}
  - {slice: ^embed$, start: 1, stop: 5}
  - {pad: ^embed$, before: 2, after: 3, fill: 0.3}
  - {split: ^embed$, to: [embed.a, embed.b, embed.c]}
  - {rearrange: ^first$, pattern: '(a b) c -> b (c a)', with: {b: 5}}
"""


@case
def computed():
    source = {"a": floats(8, 16), "b": floats(16, 8), "w": floats(16, 16), "x": floats(8, 16), "bn": floats(16)}
    return source, {"w": floats(20, 16), "parts": floats(8, 18), "grid": floats(3).double()}, r"""
rules:
  - {cat: [^a$, ^x$], to: joined}
  - {split: ^joined$, to: [a, x]}
  - {combine: {a: ^a$, b: ^b$, w: ^w$}, to: w, as: 'w + 0.3 * (b @ reshape(reshape(a, 128), 8, 16))'}
  - {combine: {x: ^x$, s: ^bn$}, to: parts, as: 'exp(x) * s / transpose(norm(transpose(x, 0, 1), 1), 0, 1)'}
  - {slice: ^parts$, dim: 1, start: 2}
  - {pad: ^parts$, dim: 1, before: 1, after: 3, fill: 2}
policy:
  missing: normal
  shape: [{do: pad, fill: keep}]
"""


@pytest.fixture(scope="module")
def passes():
    """As the program lists them."""
    result = run("plan", "-e", "drop: x", "x.pt", "--no-pass", "?", cwd=".")
    assert result.status == 2
    return re.search(r"the passes are (.*)", result.err)[1].split(", ")


def test_the_passes_of_the_page(passes):
    text = PAGE.read_text().split("### Passes")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", text, re.M) == passes


def test_a_pass_that_is_not_there(tmp_path):
    torch.save({"w": floats(2)}, tmp_path / "w.pt")
    one = assert_error(run("plan", "-e", "drop: x", "w.pt", "--no-pass", "narow-of-cat", cwd=tmp_path), 2, "usage")
    assert "narow-of-cat" in one.message and one.hint == "did you mean `narrow-of-cat`?"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_same_bytes(model, suffix, passes, tmp_path):
    source, target, rules = MODELS[model]
    torch.save(source, tmp_path / "old.pt")
    inputs = ["old.pt"]
    if target:
        torch.save(target, tmp_path / "model.pt")
        inputs += ["-t", "model.pt"]
    (tmp_path / "spec.yaml").write_text("regraft: 1\n" + rules)

    def written(*left_out):
        output = tmp_path / ("new" + suffix)
        options = [word for one in left_out for word in ("--no-pass", one)]
        succeed("apply", "spec.yaml", *inputs, "-o", output, "--force", "--verify-output", *options, cwd=tmp_path)
        return output.read_bytes()

    whole = written()
    assert written(*passes) == whole, "all passes left out"
    for one in passes if suffix == ".pt" else []:
        assert written(one) == whole, one
