"""kill -9 at any moment: the old output or the new one, complete, and the next run starts afresh."""

import os
import random
import signal
import time

import pytest

from helpers import entries, noise, parts_in, run, start, write_safetensors, write_spec

FULL = os.environ.get("REGRAFT_FULL") == "1"
SEED = 20260101
MOMENTS = 500 if FULL else 25  # of each of the two


@pytest.fixture
def folder(tmp_path):
    # Some milliseconds of copying, so that there are moments to hit.
    write_safetensors(tmp_path / "source.safetensors",
                      entries({f"module.{i}.weight": [1000, 512] for i in range(12)}))
    write_spec(tmp_path / "spec.yaml", r"rules: [{rename: '^module\.', to: ''}]")
    return tmp_path


@pytest.mark.parametrize("over", [False, True], ids=["new", "over"])
def test_case_92_killed_at_any_moment(folder, over):
    output = folder / "out.pt"
    command = ["apply", "spec.yaml", "source.safetensors", "-o", "out.pt", *(["--force"] if over else [])]
    began = time.monotonic()
    assert run(*command, cwd=folder).status == 0
    whole = time.monotonic() - began
    new, old = output.read_bytes(), noise("old", 5000)
    draw = random.Random(SEED)
    seen = {"before": 0, "after": 0}
    for moment in range(MOMENTS):
        output.unlink(missing_ok=True)
        if over:
            output.write_bytes(old)
        process = start(*command, cwd=folder)
        time.sleep(draw.uniform(0, 1.2 * whole))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        if output.exists() and output.read_bytes() == new:
            seen["after"] += 1
        else:
            assert output.read_bytes() == old if over else not output.exists(), f"moment {moment} of seed {SEED}"
            seen["before"] += 1
    print(f"seed {SEED}: {seen}")
    assert seen["before"] > 0
    output.unlink(missing_ok=True)
    assert run(*command, cwd=folder).status == 0
    assert output.read_bytes() == new and parts_in(folder) == []
