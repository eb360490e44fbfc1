"""--tile-size: the same bytes, the same report, the same errors; less memory."""

import json
import re

import numpy
import pytest
import torch
from safetensors.numpy import save_file

SIZES = ["1", "100", "64KiB", "512KiB", "1GiB", "0"]


@pytest.fixture
def checkpoint(tmp_path):
    draw = numpy.random.default_rng(7)
    tensors = {name: draw.standard_normal((1500, 301), dtype=numpy.float32) for name in ("a", "b", "c", "d")}
    tensors["row"] = draw.standard_normal((301,), dtype=numpy.float32)
    tensors["half"] = draw.standard_normal((1500, 301)).astype(numpy.float16)
    save_file(tensors, tmp_path / "in.safetensors")
    torch.save({name: torch.from_numpy(array) for name, array in tensors.items()}, tmp_path / "in.pt")
    (tmp_path / "spec.yaml").write_text("""regraft: 1
rules:
  - combine: {a: '^a$', b: '^b$', row: '^row$'}
    to: mean
    as: (a + b) / 2 * row
  - combine: {c: '^c$'}
    to: product
    as: c @ transpose(c, 0, 1)
  - cast: ^d$
    dtype: float64
  - cast: ^half$
    dtype: float8_e5m2
policy: {missing: normal}
""")
    (tmp_path / "model.yaml").write_text("""regraft_schema: 1
tensors:
  mean: {dtype: float32, shape: [1500, 301]}
  product: {dtype: float32, shape: [1500, 1500]}
  d: {dtype: float64, shape: [1500, 301]}
  half: {dtype: float8_e5m2, shape: [1500, 301]}
  new: {dtype: float32, shape: [999, 77]}
""")


@pytest.mark.parametrize("source", ["in.pt", "in.safetensors"])
def test_tiles_of_any_size_are_the_same_output(regraft, checkpoint, tmp_path, source):
    found = set()
    for i, size in enumerate(SIZES):
        (tmp_path / "out.pt").unlink(missing_ok=True)
        regraft("apply", "spec.yaml", source, "-t", "model.yaml", "-o", "out.pt", "--report", "report.json", "--no-sync",
                "--tile-size", size, "--threads", 1 + i % 2, *(["--no-pass", "tiles"] if i == 2 else []))
        found.add(((tmp_path / "out.pt").read_bytes(), (tmp_path / "report.json").read_bytes()))
    assert len(found) == 1
    written = torch.load(tmp_path / "out.pt", weights_only=True)
    given = torch.load(tmp_path / "in.pt", weights_only=True)
    assert torch.equal(written["d"], given["d"].double())
    assert torch.equal(written["half"].view(torch.uint8), given["half"].to(torch.float8_e5m2).view(torch.uint8))
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["inputs"][0]["digest"]  # of all its tensors, also of those that came in tiles


def test_which_are_computed_in_tiles(regraft, checkpoint):
    def schedule(*options):
        return regraft("plan", "spec.yaml", "in.pt", "-t", "model.yaml", "-o", "out.pt", "--print", "schedule", *options).stdout

    told = schedule()
    assert re.search(r"evaluate in tiles of \d+ rows cast\(load\(0, 'd'\)", told)
    assert re.search(r"evaluate cast\(matmul|evaluate matmul", told)
    assert re.search(r"evaluate normal", told)
    assert re.search(r"evaluate in tiles of \d+ rows normal", schedule("--tile-size", "64KiB"))
    for options in (["--no-pass", "tiles"], ["--tile-size", "0"]):
        assert " in tiles of " not in schedule(*options)


def test_a_tensor_that_is_larger_than_the_memory(regraft, checkpoint, tmp_path):
    rules = ["-e", "keep: ^d$", "-e", "{cast: ^d$, dtype: float64}"]
    told = regraft("plan", *rules, "in.pt", "-o", "out.pt", "--max-memory", "4MiB", "--no-pass", "tiles", status=3).stderr
    assert "error[limit]: the tensor 'd' takes" in told
    regraft("apply", *rules, "in.pt", "-o", "out.pt", "--max-memory", "4MiB")


def test_a_lost_value_is_named_by_its_place_in_the_whole(regraft, tmp_path):
    values = numpy.ones((2000, 300), dtype=numpy.float32)
    values[1234, 56] = 1e30
    save_file({"x": values}, tmp_path / "in.safetensors")
    said = {regraft("apply", "-e", "{cast: x, dtype: int32}", "in.safetensors", "-o", "out.pt", "--tile-size", size, status=1).stderr
            for size in SIZES}
    assert len(said) == 1 and "[1234, 56]" in said.pop()
    assert not (tmp_path / "out.pt").exists()


def test_a_damaged_record_is_found(regraft, tmp_path):
    torch.save({"x": torch.arange(600_000, dtype=torch.float32).reshape(2000, 300)}, tmp_path / "in.pt")
    data = bytearray((tmp_path / "in.pt").read_bytes())
    place = data.index(numpy.arange(100, 110, dtype=numpy.float32).tobytes())
    data[place] ^= 1
    (tmp_path / "in.pt").write_bytes(data)
    for size in SIZES:
        told = regraft("apply", "-e", "{cast: x, dtype: float64}", "in.pt", "-o", "out.pt", "--tile-size", size, status=3).stderr
        assert "error[checksum]" in told
    regraft("apply", "-e", "{cast: x, dtype: float64}", "in.pt", "-o", "out.pt", "--no-verify")


CAT = "cat: {exact: [%s]}\n    to: z\n    dim: 0"


@pytest.mark.parametrize("kind, rule", [
    ("overlapping", CAT % "x, y"), ("overlapping", CAT % "y, x"), ("halves", CAT % "x, y"), ("halves", CAT % "y, x"),
    ("halves", "combine: {y: '^y$', x: '^x$'}\n    to: z\n    as: x + y")])
def test_views_of_one_storage(regraft, tmp_path, kind, rule):
    """One ends within a tile of the other: digests are there, and damage is found or not, whatever the tiles."""
    data = torch.arange(800_000, dtype=torch.float32).reshape(200_000, 4)
    views = {"x": data, "y": data[:30_001]} if kind == "overlapping" else {"x": data[:100_000], "y": data[100_000:]}
    torch.save(views, tmp_path / "in.pt")
    damaged = bytearray((tmp_path / "in.pt").read_bytes())
    damaged[damaged.index(numpy.arange(100, 110, dtype=numpy.float32).tobytes())] ^= 1
    (tmp_path / "bad.pt").write_bytes(damaged)
    (tmp_path / "spec.yaml").write_text(f"regraft: 1\nrules:\n  - {rule}\n  - cast: z\n    dtype: float64\n")
    for source in ("in.pt", "bad.pt"):
        found = set()
        # Of a record that one tensor is all of, damage is found; of halves nobody reads the whole.
        status = 3 if source == "bad.pt" and kind == "overlapping" else 0
        for size in SIZES[1:]:
            for name in ("report.json", "out.pt"):
                (tmp_path / name).unlink(missing_ok=True)
            told = regraft("apply", "spec.yaml", source, "-o", "out.pt", "--report", "report.json", "--no-sync", "--tile-size", size,
                           status=status)
            output = (tmp_path / "out.pt").read_bytes() if status == 0 else b""
            found.add((told.stderr, (tmp_path / "report.json").read_bytes(), output))
        assert len(found) == 1
        assert status == 3 or json.loads(found.pop()[1])["inputs"][0]["digest"]
