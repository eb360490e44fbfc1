"""A checkpoint that is many times as large as the memory there is. It is sparse: its holes read as zeros."""

import json
import os
import struct
import subprocess
from pathlib import Path

import pytest

from helpers import PROGRAM

FULL = os.environ.get("REGRAFT_FULL") == "1"
GIB = 1 << 30
SIZE = 12 * GIB if FULL else 12 * GIB // 20
LIMIT = 256 << 20
ROWS, COLUMNS = 4096, 2048  # of float32: 32 MiB


def own_group():
    """A cgroup with the limit, and the file that takes processes into it; version 1 and 2."""
    for base, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(base) / f"regraft-test-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(LIMIT))
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        return group
    return None


@pytest.fixture
def limited():
    group = own_group()
    if group is None:
        pytest.skip("no cgroup of one's own here: takes root, and the memory controller")
    yield group
    group.rmdir()


def write_sparse(path):
    each = ROWS * COLUMNS * 4
    header = {f"layers.{i}.weight": {"dtype": "F32", "shape": [ROWS, COLUMNS], "data_offsets": [i * each, (i + 1) * each]}
              for i in range(SIZE // each)}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + len(header) * each)
    return len(header)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_more_than_there_is_memory(tmp_path, limited, suffix):
    source, output = tmp_path / "in.safetensors", tmp_path / f"out.{suffix}"
    count = write_sparse(source)
    (tmp_path / "spec.yaml").write_text("""regraft: 1
rules:
  - rename: ^layers\\.
    to: blocks.
  - transpose: '[02468]\\.weight$'
    dims: [0, 1]
  - cast: '[37]\\.weight$'
    dtype: bfloat16
  - cast: 11\\.weight$
    dtype: float64
""")
    done = subprocess.run(["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', limited, PROGRAM, "apply", "spec.yaml",
                           source, "-o", output, "--no-sync", "--threads", "2", "--progress", "off"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = json.loads(subprocess.run([PROGRAM, "inspect", output, "--json"], capture_output=True, check=True).stdout)
    assert len(shown["tensors"]) == count
    assert {tuple(one["shape"]) for one in shown["tensors"]} == {(ROWS, COLUMNS), (COLUMNS, ROWS)}
    output.unlink()
