"""What the faults share: the libraries that make calls fail, built once, and the helpers of tests/cli."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cli"))


@pytest.fixture(scope="session")
def preload(tmp_path_factory):
    """The library of a C file in this folder."""
    folder = tmp_path_factory.mktemp("preload")

    def build(name):
        library = folder / f"{name}.so"
        if not library.exists():
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, HERE / f"{name}.c"],
                           check=True)
        return library

    return build
