"""What the hostile inputs share: a folder with neighbours, and the two ends that a run may have."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))

from helpers import assert_error, diagnostics, errors_of, parts_in, run, snapshot, write_spec  # noqa: E402


class Place:
    """A folder with a spec, an output folder and a file that nobody may touch."""

    def __init__(self, folder):
        self.folder = folder
        write_spec(folder / "spec.yaml", "rules: []")
        (folder / "out").mkdir()
        (folder / "out" / "neighbour.pt").write_bytes(b"not to be touched")

    def write(self, content, name="model.pt"):
        (self.folder / name).write_bytes(content)
        return name

    def refuse(self, content, code, *words, status=3, name="model.pt", offset=None, key=None, output="out/new.pt",
               inspect=True, options=(), **process):
        """Both commands end with this one error, and nothing is other than before."""
        self.write(content, name)
        before = snapshot(self.folder)
        commands = [["apply", "spec.yaml", name, "-o", output, "--no-sync", *options]]
        if inspect:
            commands.append(["inspect", name])
        for command in commands:
            result = run(*command, cwd=self.folder, timeout=60, **process)
            found = assert_error(result, status, code, *words, file=name if status == 3 else None)
            assert len(errors_of(result)) == 1, str(result)
            if offset is not None:
                assert offset_of(result.err) == offset, f"offset {offset} expected\n{result}"
            if key is not None:
                assert f"in '{key}'" in found.message, f"{key!r} is not named\n{result}"
            assert snapshot(self.folder) == before and parts_in(self.folder) == [], str(result)
        return found

    def accept(self, content, name="model.pt", output="out/new.pt", options=(), **process):
        """Both commands end well; the output's path and what was printed."""
        self.write(content, name)
        before = snapshot(self.folder)
        shown = run("inspect", name, "--root", "", cwd=self.folder, timeout=60, **process)
        assert shown.status == 0, str(shown)
        result = run("apply", "spec.yaml", name, "-o", output, "--root", "", "--force", "--no-sync", *options,
                     cwd=self.folder, timeout=60, **process)
        assert result.status == 0 and not errors_of(result), str(result)
        after = snapshot(self.folder)
        after.pop(output), before.pop(output, None)
        assert after == before and parts_in(self.folder) == []
        return self.folder / output, shown

    def same_as_torch(self, content, **options):
        """Accepted, and the output holds what torch.load reads from the input."""
        import torch

        output, shown = self.accept(content, **options)
        theirs = torch.load(self.folder / options.get("name", "model.pt"), weights_only=True)
        theirs = {key: value for key, value in theirs.items() if isinstance(value, torch.Tensor)}
        ours = torch.load(output, weights_only=True)
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert ours[key].dtype == value.dtype and ours[key].shape == value.shape, key
            assert ours[key].contiguous().view(torch.uint8).tolist() \
                == value.contiguous().view(torch.uint8).tolist(), key
        return shown


def offset_of(text):
    """The offset that an error names."""
    found = re.search(r": at offset (\d+)[,:]", text)
    return int(found[1]) if found else None


@pytest.fixture
def place(tmp_path):
    yield Place(tmp_path)
    for path in tmp_path.rglob("*"):  # pytest keeps the folders of some runs
        if path.is_file() and path.stat().st_size > 1 << 20:
            path.unlink()
