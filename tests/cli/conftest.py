"""What the tests of the command line share: the program, and a way to run it."""

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def program():
    """The program's path: $REGRAFT, or build/regraft."""
    path = Path(os.environ.get("REGRAFT") or REPOSITORY / "build" / "regraft").absolute()
    if not path.is_file():
        pytest.fail(f"there is no program at {path}; ./dev build makes it")
    return path


@pytest.fixture
def regraft(program, tmp_path):
    """regraft(ARGUMENT..., status=0): runs the program in tmp_path and checks its exit status."""

    def run(*arguments, status=0, **options):
        result = subprocess.run([program, *map(str, arguments)], cwd=tmp_path, text=True,
                                stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                timeout=300, **options)
        assert result.returncode == status, (
            f"exit status {result.returncode}, not {status}\n{result.stdout}{result.stderr}")
        return result

    return run
