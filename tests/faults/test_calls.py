"""Every call that makes, writes and publishes a file fails once, in each way that it can: nothing is lost, nothing
half-written is left, and what a program survives by trying again is survived."""

import errno
import json
import os
import random

import pytest
import torch

from helpers import (assert_error, entries, environment, errors_of, noise, parts_in, run, snapshot, write_pt,
                     write_safetensors, write_spec)

FULL = os.environ.get("REGRAFT_FULL") == "1"
SEED = 20260101
SHAPES = {"module.fc.weight": [300, 100], "module.fc.bias": [300], "module.norm.weight": [7], "epoch": ("I64", [])}
INTERRUPTED, SHORT = str(errno.EINTR), "short"
BROKEN = [str(errno.EIO), str(errno.ENOSPC)]

APPLY = ["apply", "spec.yaml"]
# What is run, and what of it is written.
RUNS = {
    "safetensors": (APPLY + ["source.safetensors", "-o", "out/new.safetensors"], ["out/new.safetensors"]),
    "pt": (APPLY + ["source.pt", "-o", "out/new.pt"], ["out/new.pt"]),
    "pt-of-safetensors": (APPLY + ["source.safetensors", "-o", "out/new.pt"], ["out/new.pt"]),
    "safetensors-over": (APPLY + ["source.pt", "-o", "out/old.safetensors", "--force"], ["out/old.safetensors"]),
    "pt-over": (APPLY + ["source.pt", "-o", "out/old.pt", "--force"], ["out/old.pt"]),
    "no-sync": (APPLY + ["source.pt", "-o", "out/new.pt", "--no-sync"], ["out/new.pt"]),
    "verify-output": (APPLY + ["source.pt", "-o", "out/new.pt", "--verify-output"], ["out/new.pt"]),
    "report": (APPLY + ["source.pt", "-o", "out/new.pt", "--report", "report.json"], ["out/new.pt", "report.json"]),
    "with-target": (APPLY + ["source.pt", "-t", "target.pt", "-o", "out/new.pt", "--missing", "keep",
                     "--unexpected", "drop"], ["out/new.pt"]),
    "html": (["plan", "spec.yaml", "source.pt", "--report", "report.html"], ["report.html"]),
    "write-spec": (["plan", "-e", "drop: ^fc", "source.pt", "--write-spec", "typed.yaml"], ["typed.yaml"]),
    "invert": (["invert", "turn.yaml", "source.pt", "-o", "back.yaml"], ["back.yaml"]),
}


@pytest.fixture
def folder(tmp_path):
    write_safetensors(tmp_path / "source.safetensors", entries(SHAPES))
    write_pt(tmp_path / "source.pt", entries(SHAPES))
    write_spec(tmp_path / "spec.yaml", r"rules: [{rename: '^module\.', to: ''}]")
    write_pt(tmp_path / "target.pt", entries({"fc.weight": [300, 100], "more": [3]}, seed=1))
    write_spec(tmp_path / "turn.yaml", r"rules: [{rename: '^module\.fc\.', to: 'module.head.'}]")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.pt").write_bytes(noise("old", 1000))
    (tmp_path / "out" / "old.safetensors").write_bytes(noise("old", 1000))
    return tmp_path


def positions(count, everything=12):
    """All of them where there are few; else the first, the last and some between."""
    if FULL or count <= everything:
        return range(1, count + 1)
    middle = random.Random(SEED).sample(range(3, count - 3), everything - 6)
    return sorted([1, 2, count - 2, count - 1, count, 3, *middle])


class Faults:
    def __init__(self, library, folder, name, side="write"):
        self.library, self.folder, self.side = library, folder, side
        self.command, self.written = RUNS[name]
        self.before = snapshot(folder)
        self.old = {path: (folder / path).read_bytes() for path in self.before if (folder / path).is_file()}
        log = folder.parent / f"{folder.name}.log"
        clean = self.run(0, "0", log)
        assert clean.status == 0, str(clean)
        self.calls = log.read_text().split()
        self.new = {path: (folder / path).read_bytes() for path in self.written}
        self.reset()

    def run(self, at, error, log=None, file=None):
        more = {"FAULT_LOG": str(log)} if log else {}
        more |= {"FAULT_FILE": str(file)} if file else {}
        return run(*self.command, cwd=self.folder,
                   env=environment(LD_PRELOAD=str(self.library), FAULT_AT=str(at), FAULT_ERROR=error,
                                   FAULT_SIDE=self.side, **more))

    def reset(self):
        for path in self.folder.rglob("*"):
            if path.is_file() and str(path.relative_to(self.folder)) not in self.old:
                path.unlink()
        for path in self.written:
            if path in self.old:
                (self.folder / path).write_bytes(self.old[path])

    def is_complete(self, path):
        place = self.folder / path
        return place.exists() and place.read_bytes() == self.new[path]

    def reports_it(self, path, result):
        """A report is written of a run that failed too."""
        if not path.startswith("report.json"):
            return False
        return [one["message"] for one in json.loads((self.folder / path).read_text())["diagnostics"]] == \
            [one.message for one in errors_of(result)]

    def is_untouched(self, path):
        place = self.folder / path
        return place.read_bytes() == self.old[path] if path in self.old else not place.exists()


@pytest.mark.parametrize("name", RUNS)
def test_case_87_a_call_that_is_interrupted_or_does_half_is_made_again(folder, preload, name):
    faults = Faults(preload("calls"), folder, name)
    assert len(faults.calls) >= 4, faults.calls  # a file is made, written, closed and renamed
    for error in [INTERRUPTED, SHORT]:
        for at in positions(len(faults.calls)):
            result = faults.run(at, error)
            what = f"call {at}, {faults.calls[at - 1]}, {error}\n{result}"
            assert result.status == 0, what
            assert all(faults.is_complete(path) for path in faults.written), what
            assert parts_in(folder) == [], what
            faults.reset()


@pytest.mark.parametrize("name", RUNS)
def test_case_88_a_call_that_fails_leaves_what_was_there_or_all_that_is_new(folder, preload, name):
    faults = Faults(preload("calls"), folder, name)
    failed = 0
    for error in BROKEN:
        for at in positions(len(faults.calls)):
            result = faults.run(at, error)
            call = faults.calls[at - 1]
            what = f"call {at}, {call}, errno {error}\n{result}"
            for path in faults.written:
                assert faults.is_complete(path) or faults.is_untouched(path) or faults.reports_it(path, result), what
            if result.status == 0:  # it was not needed: room in advance, a twin of the descriptor
                assert call in ("fallocate", "fcntl", "close", "unlinkat"), what
                assert all(faults.is_complete(path) for path in faults.written), what
            else:
                found = assert_error(result, 3, "file-write", os.strerror(int(error)))
                assert found.file in faults.written, what
                assert len(errors_of(result)) == 1, what
                if faults.is_complete(found.file):  # published, and its name not yet on the disk
                    assert "complete" in found.message, what
                failed += 1
            if call not in ("unlink", "unlinkat"):
                assert parts_in(folder) == [], what
            unchanged = {path: state for path, state in snapshot(folder).items() if path not in faults.written
                         and ".regraft-part" not in path}
            assert unchanged == {path: faults.before[path] for path in unchanged}, what
            faults.reset()
    assert failed > 0


@pytest.mark.parametrize("name", ["pt", "safetensors", "pt-over", "verify-output"])
def test_case_87_a_read_that_fails_is_an_error_and_leaves_nothing(folder, preload, name):
    faults = Faults(preload("calls"), folder, name, side="read")
    for error in [INTERRUPTED, SHORT, str(errno.EIO)]:
        for at in positions(len(faults.calls), 20):
            call = faults.calls[at - 1]
            result = faults.run(at, error)
            what = f"call {at}, {call}, {error}\n{result}"
            if error != str(errno.EIO) and call in ("pread", "open", "openat"):
                assert result.status == 0, what
            if result.status == 0:
                assert all(faults.is_complete(path) for path in faults.written), what
            else:
                assert result.status in (2, 3) and len(errors_of(result)) == 1, what  # 2: of the spec's file
                assert all(faults.is_untouched(path) for path in faults.written), what
            assert parts_in(folder) == [], what
            faults.reset()


@pytest.mark.parametrize("name", ["pt", "safetensors", "pt-over", "with-target"])
def test_case_94_an_input_that_changes_while_it_is_read(folder, preload, name):
    """At each read, and before each look at whether it is as it was."""
    faults = Faults(preload("calls"), folder, name, side="read")
    file = folder / next(word for word in reversed(faults.command) if word.startswith(("source.", "target.")))
    content = file.read_bytes()
    # From the first read of a byte of it on, whatever was read before.
    first = next(i for i, call in enumerate(faults.calls, 1) if call == "pread")
    told = 0
    for at in range(first, len(faults.calls) + 1):
        result = faults.run(at, "change", file=file)
        what = f"call {at}, {faults.calls[at - 1]}\n{result}"
        if result.status == 0:  # before it was opened, or after all had been looked at
            assert all(faults.is_complete(path) for path in faults.written) or told == 0, what
        else:
            assert result.status == 3 and len(errors_of(result)) == 1, what
            # What was read in part before the change may be refused for what it is.
            assert errors_of(result)[0].code in ("file-changed", "checksum", "zip-corrupt"), what
            assert all(faults.is_untouched(path) for path in faults.written), what
            told += errors_of(result)[0].code == "file-changed"
        assert parts_in(folder) == [], what
        faults.reset()
        file.write_bytes(content)
    assert told >= 4, faults.calls


@pytest.mark.parametrize("output, kept", [("out/new.pt", False), ("out/new.pt", True), ("out/new.safetensors", False)])
def test_case_87_a_byte_that_the_disk_turns_is_found_by_verify_output(folder, preload, output, kept):
    """Each write in turn has another byte in its middle."""
    state = {name: torch.arange(2000.0) + i for i, name in enumerate(["fc.weight", "fc.bias", "norm"])}
    torch.save({"model": state, "ema": [torch.arange(2000.0) * 3, torch.ones(300_000)]}, folder / "training.pt")
    command = ["apply", "training.pt", "-o", output, "--verify-output", "--extras", "keep" if kept else "drop"]
    library = preload("calls")
    log = folder.parent / f"{folder.name}.log"
    assert run(*command, cwd=folder, env=environment(LD_PRELOAD=str(library), FAULT_AT="0", FAULT_LOG=str(log))).status == 0
    whole = (folder / output).read_bytes()
    (folder / output).unlink()
    found = 0
    for at, call in enumerate(log.read_text().split(), 1):
        if call != "pwrite":
            continue
        result = run(*command, cwd=folder, env=environment(LD_PRELOAD=str(library), FAULT_AT=str(at), FAULT_ERROR="flip"))
        assert_error(result, 3, "file-write")
        assert not (folder / output).exists() and parts_in(folder) == []
        found += 1
    assert found >= 1 and len(whole) > 24_000 + kept * 1_200_000
