"""Tools that do the same job, from PyPI. What they would pull in is here already, or not needed for what they do here."""
import subprocess

from measure import ENVIRONMENT
from places import DATA, PYTHON

PEERS = ("mergekit==0.1.5", "torch-state-bridge==0.1.0")


def folder():
    """Where they are to be found, for PYTHONPATH; None where they could not be had."""
    place = DATA / "peers"
    if not (place / "mergekit").is_dir():
        got = subprocess.run([PYTHON, "-m", "pip", "install", "-q", "--no-deps", "--target", place, *PEERS],
                             stdin=subprocess.DEVNULL, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if got.returncode != 0:
            print(f"  without mergekit and torch-state-bridge: {got.stderr.strip()[-200:]}")
            return None
    return place


def with_path(command):
    """A command of Python's that finds them."""
    return ["env", f"PYTHONPATH={DATA / 'peers'}", *command]
