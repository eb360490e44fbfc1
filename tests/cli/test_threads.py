"""--threads and --max-memory: the same bytes, the same report, the same errors; memory that is kept to."""

import numpy
import pytest
from safetensors.numpy import save_file


@pytest.fixture
def checkpoint(tmp_path):
    """Tensors of several chunks and small ones; some are turned, some are computed."""
    draw = numpy.random.default_rng(7)
    tensors = {f"large.{i}": draw.standard_normal((1500, 1100 + i), dtype=numpy.float32) for i in range(6)}
    tensors |= {f"small.{i}": draw.standard_normal((i,), dtype=numpy.float32) for i in range(40)}
    save_file(tensors, tmp_path / "in.safetensors")
    (tmp_path / "spec.yaml").write_text(
        "regraft: 1\nrules:\n"
        "  - transpose: ^large\\.[01]$\n    dims: [0, 1]\n"
        "  - cast: ^large\\.[25]$\n    dtype: bfloat16\n")


def outputs(regraft, tmp_path, suffix, *options):
    (tmp_path / f"out{suffix}").unlink(missing_ok=True)
    regraft("apply", "spec.yaml", "in.safetensors", "-o", f"out{suffix}", "--report", "report.json",
            "--digest-inputs", "--no-sync", *options)
    return (tmp_path / f"out{suffix}").read_bytes(), (tmp_path / "report.json").read_bytes()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_any_number_of_threads_and_any_memory(regraft, checkpoint, tmp_path, suffix):
    first = outputs(regraft, tmp_path, suffix, "--threads", 1)
    for options in (["--threads", 2], ["--threads", 4], ["--threads", 256], ["--max-memory", "1GiB"],
                    ["--threads", 4, "--max-memory", "24MiB"]):
        assert outputs(regraft, tmp_path, suffix, *options) == first, options


def test_what_takes_more_memory_is_refused(regraft, checkpoint, tmp_path):
    told = regraft("plan", "spec.yaml", "in.safetensors", "-o", "out.pt", "--max-memory", "8MiB", status=3)
    assert "error[limit]: the tensor 'large." in told.stderr
    assert "--max-memory is 8388608" in told.stderr
    enough = int(told.stderr.split("hint: --max-memory ")[1].split(",")[0])
    regraft("apply", "spec.yaml", "in.safetensors", "-o", "out.pt", "--max-memory", enough - 1, status=3)
    assert not (tmp_path / "out.pt").exists()
    regraft("apply", "spec.yaml", "in.safetensors", "-o", "out.pt", "--max-memory", enough)
    told = regraft("plan", "-e", "keep: large", "in.safetensors", "-o", "out2.pt", "--max-memory", "1KiB", status=3)
    assert "copying takes" in told.stderr


@pytest.mark.parametrize("option, value, said", [
    ("--threads", "0", "range 1 to 256"), ("--threads", "257", "range 1 to 256"), ("--threads", "two", "two"),
    ("--max-memory", "", "not a number of bytes"), ("--max-memory", "5MB", "not a number of bytes"),
    ("--max-memory", "-1", "not a number of bytes"), ("--max-memory", "1.5GiB", "not a number of bytes"),
    ("--tile-size", "", "not a number of bytes"), ("--tile-size", "1 MiB", "not a number of bytes")])
def test_values_that_are_none(regraft, checkpoint, option, value, said):
    told = regraft("apply", "spec.yaml", "in.safetensors", "-o", "out.pt", option, value, status=2)
    assert option in told.stderr and said in told.stderr
