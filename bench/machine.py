"""What a figure depends on, beside the program: it is saved with every result."""
import os
import platform
from pathlib import Path

from places import DATA


def load():
    """Others at work on the machine show here."""
    return round(os.getloadavg()[0], 1)


# More than a fraction of the cores is too much. What is measured is a load too, so this is asked for at the start.
LOAD_BEFORE = load()


def cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
                platform.machine())


def file_system(path):
    """The kind of file system that holds a path."""
    best = ("", "unknown")
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        mounts = []
    for line in mounts:
        place, kind = line.split()[1:3]
        inside = path == Path(place) or Path(place) in path.parents
        if inside and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1]


def machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": cpu_model(), "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory / 2**30, 1),
            "file_system": file_system(DATA), "system": platform.system(), "load_before": LOAD_BEFORE,
            "load_after": load()}
