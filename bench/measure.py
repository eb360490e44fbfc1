"""Commands that are timed in turns, compared and shown. A case builds on this; it does not know of cases."""
import os
import random
import resource
import statistics
import subprocess
import textwrap
import time
from typing import NamedTuple

from places import PYTHON

LONG = 2.0  # seconds
IMPORT_TORCH = [PYTHON, "-c", "import torch"]
# Python is to find the modules as they were compiled when they were installed, or to keep what it compiles: else
# `import torch` compiles all of them each time, which takes longer than the rest of it.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name not in ("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")}


def python(program, *arguments):
    """A command that runs a few lines of Python."""
    return [PYTHON, "-c", textwrap.dedent(program), *map(str, arguments)]


def output_of(command):
    """What a command prints; to look at, not to be timed."""
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))[:300]}\nends with {done.returncode}: {done.stderr[-3000:]}")
    return done.stdout


def read_once(path):
    """Into the page cache, so that nobody pays for the disk."""
    block = bytearray(1 << 22)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(block):
            pass


class Seconds(NamedTuple):
    wall: float
    cpu: float  # of all threads, user and system


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def once(command, cleans=(), limit=None):
    """What one run takes. What it made before is gone, and what it makes stays."""
    for path in cleans:
        path.unlink(missing_ok=True)
    cpu, begin = cpu_of_children(), time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          env=ENVIRONMENT, timeout=limit, check=False)
    seconds = Seconds(time.perf_counter() - begin, cpu_of_children() - cpu)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))[:300]}\nends with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return seconds


class Rounds:
    """Commands that take turns; every round runs each once, in an order of its own."""

    def __init__(self, commands, cleans=()):
        self.commands, self.cleans = commands, cleans
        self.seconds = {name: [] for name in commands}

    def run(self, repeats):
        names = list(self.commands)
        for i in range(repeats):
            # Drawn, not rotated: nobody is to run behind the same one each time.
            for name in random.Random(i).sample(names, len(names)):
                # Once without looking: so it finds its own pages, and not what the one before left. A virtual
                # machine gives free memory back to its host, and the next one to touch it waits. To what takes
                # long that makes no difference.
                if max((one.wall for one in self.seconds[name]), default=0) < LONG:
                    once(self.commands[name], self.cleans)
                self.seconds[name].append(once(self.commands[name], self.cleans))
        for path in self.cleans:
            path.unlink(missing_ok=True)
        return self

    def compare(self, ours, baseline, must=None, aim=None, than=None, note=""):
        """A comparison as it is saved. `must`, `aim`: ratios. `than`: from the baseline's seconds in a round, by name of
        the command, those that ours is compared with; `note` says what it is."""
        rounds = [{name: seconds[i] for name, seconds in self.seconds.items()} for i in range(len(self.seconds[ours]))]
        than = than or (lambda seconds: seconds[baseline].wall)
        ratios = [seconds[ours].wall / than(seconds) for seconds in rounds]
        return {"ours": ours, "baseline": baseline + note, "repeats": len(ratios),
                "ours_ms": milliseconds(statistics.median(seconds[ours].wall for seconds in rounds)),
                "baseline_ms": milliseconds(statistics.median(than(seconds) for seconds in rounds)),
                "ratio": round(statistics.median(ratios), 4),
                "ratio_range": [round(min(ratios), 4), round(max(ratios), 4)],
                "cpu_ratio": round(statistics.median(seconds[ours].cpu / seconds[baseline].cpu for seconds in rounds), 4),
                "must": must, "aim": aim}


def milliseconds(seconds):
    return round(seconds * 1000, 1)


def show_time(value):
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def verdict(found, must, aim):
    if must is None:
        return ""
    return "missed" if found > must else "aim" if aim is not None and found <= aim else "met"


def show(title, comparisons):
    print(f"\n{title}", flush=True)
    width = max(len(f"{one['ours']} / {one['baseline']}") for one in comparisons)
    range_of = f"range of {comparisons[0]['repeats']}"
    print(f"  {'ours / baseline':<{width}}  {'ours':>10}  {'baseline':>10}  {'ratio':>7}  {range_of:<16}  {'cpu':>7}  "
          f"{'must':>6}")
    for one in comparisons:
        low, high = one["ratio_range"]
        must = "" if one["must"] is None else f"{one['must']:.3g}"
        print(f"  {one['ours'] + ' / ' + one['baseline']:<{width}}  {show_time(one['ours_ms']):>10}  "
              f"{show_time(one['baseline_ms']):>10}  {one['ratio']:>7.3f}  {f'{low:.3f} .. {high:.3f}':<16}  "
              f"{one['cpu_ratio']:>7.3f}  {must:>6} {verdict(one['ratio'], one['must'], one['aim'])}", flush=True)
