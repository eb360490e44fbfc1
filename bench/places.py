"""Where things are: the program, the Python that it is measured beside, data and results."""
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "build" / "bench"
RESULTS = ROOT / "bench" / "results"
PROGRAM = str(Path(os.environ.get("REGRAFT") or ROOT / "build" / "regraft").absolute())
PYTHON = os.environ.get("PYTHON") or sys.executable
