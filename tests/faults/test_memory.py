"""An allocation is refused, or all from one on: a clean error with nothing left behind, or what was wanted."""

import os
import random

import pytest

from helpers import (entries, environment, errors_of, noise, parts_in, run, snapshot, write_pt,
                     write_safetensors, write_spec)

FULL = os.environ.get("REGRAFT_FULL") == "1"
SEED = 20260101
POSITIONS = 1000 if FULL else 50  # of each run
SHAPES = {"module.fc.weight": [30, 10], "module.fc.bias": [30], "module.norm.weight": [7], "epoch": ("I64", [])}

RUNS = {
    "inspect": ["inspect", "source.pt"],
    "inspect-safetensors": ["inspect", "source.safetensors", "--json"],
    "check": ["check", "spec.yaml"],
    "plan": ["plan", "spec.yaml", "source.pt", "-t", "target.yaml"],
    "explain": ["explain", "module.fc.weight", "spec.yaml", "source.pt"],
    "invert": ["invert", "turn.yaml", "source.pt"],
    "pt": ["apply", "spec.yaml", "source.pt", "-o", "out/new.pt"],
    "safetensors": ["apply", "spec.yaml", "source.safetensors", "-o", "out/new.safetensors", "--report", "out/r.html"],
    "over": ["apply", "spec.yaml", "source.safetensors", "-o", "out/old.pt", "--force"],
}


@pytest.fixture
def folder(tmp_path):
    write_safetensors(tmp_path / "source.safetensors", entries(SHAPES))
    write_pt(tmp_path / "source.pt", entries(SHAPES))
    write_spec(tmp_path / "spec.yaml",
               r"rules: [{rename: '^module\.(?P<rest>\w+)', to: 'new.{rest}'}, {copy: 'bias', to: 'twin'}]")
    write_spec(tmp_path / "turn.yaml", r"rules: [{rename: '^module\.fc\.', to: 'module.head.'}]")
    (tmp_path / "target.yaml").write_text(
        "regraft_schema: 1\ntensors:\n  new.fc.weight: {dtype: float32, shape: [30, 10]}\n  b: {dtype: float32, "
        "shape: [3]}\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.pt").write_bytes(noise("old", 1000))
    return tmp_path


@pytest.mark.parametrize("rest", [False, True], ids=["once", "from-then-on"])
@pytest.mark.parametrize("name", RUNS)
def test_case_93_a_refused_allocation(folder, preload, name, rest):
    library = preload("memory")
    log = folder.parent / f"{folder.name}.log"
    before = snapshot(folder)
    more = {"MEMORY_REST": "1"} if rest else {}

    def attempt(at, **extra):
        return run(*RUNS[name], cwd=folder,
                   env=environment(LD_PRELOAD=str(library), MEMORY_AT=str(at), **more, **extra))

    clean = attempt(0, MEMORY_LOG=str(log))
    count = int(log.read_text())
    assert count > 100
    new = {path: (folder / path).read_bytes() for path in snapshot(folder) if path not in before or
           snapshot(folder)[path] != before[path]}
    old = noise("old", 1000)

    def reset():
        for path in new:
            (folder / path).unlink(missing_ok=True)
        (folder / "out" / "old.pt").write_bytes(old)

    reset()
    draw = random.Random(SEED)
    positions = range(1, count + 1) if count <= POSITIONS else sorted(draw.sample(range(1, count + 1), POSITIONS))
    refused = 0
    for at in positions:
        result = attempt(at)
        what = f"allocation {at} of {count}, seed {SEED}\n{result}"
        for path, content in new.items():
            place = folder / path
            was = old if path == "out/old.pt" else None
            found = place.read_bytes() if place.exists() else None
            assert found == content or found == was or path == "out/r.html", what
        assert parts_in(folder) == [], what
        if "error[memory]: there is not enough memory\n" in result.err:
            assert result.status == 3, what
            refused += 1
        elif result.status == clean.status:
            assert all((folder / path).exists() for path in new), what
        else:  # a library said it in its own way
            assert result.status in (2, 3) and errors_of(result), what
        reset()
    assert refused > len(positions) // 2
