#!/usr/bin/env python3
"""Every figure that the docs state: ours beside a baseline, in the same run. bench/README.md says how to read it.

    run.py [CASE...]                  all cases, or some of: startup, plan, rename
    run.py rename --size 256 --repeats 3

$REGRAFT is the program (default build/regraft), $PYTHON the Python with torch (default: this one).
"""
import argparse
import json
import os
import platform
import random
import shutil
import statistics
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "build" / "bench"
RESULTS = ROOT / "bench" / "results"
PROGRAM = str(Path(os.environ.get("REGRAFT") or ROOT / "build" / "regraft").absolute())
PYTHON = os.environ.get("PYTHON") or sys.executable
IMPORT_TORCH = [PYTHON, "-c", "import torch"]
LOOP_SECONDS = 60  # the most that a baseline which is run once may take


# --- the machine ----------------------------------------------------------------------------------------


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
            "file_system": file_system(DATA), "system": platform.system(),
            # Others at work on the machine show here; more than a fraction of the cores is too much.
            "load_before": round(os.getloadavg()[0], 1)}


def version():
    return subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


# --- measuring ------------------------------------------------------------------------------------------


def read_once(path):
    """Into the page cache, so that nobody pays for the disk."""
    block = bytearray(1 << 22)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(block):
            pass


def once(command, cleans, limit=None):
    """Seconds of one run. What it made before is gone, and what it makes stays."""
    for path in cleans:
        path.unlink(missing_ok=True)
    begin = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          timeout=limit, check=False)
    seconds = time.perf_counter() - begin
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
                # machine gives free memory back to its host, and the next one to touch it waits.
                once(self.commands[name], self.cleans)
                self.seconds[name].append(once(self.commands[name], self.cleans))
        for path in self.cleans:
            path.unlink(missing_ok=True)
        return self

    def compare(self, ours, baseline):
        ratios = [a / b for a, b in zip(self.seconds[ours], self.seconds[baseline])]
        return {"ours": ours, "baseline": baseline, "repeats": len(ratios),
                "ours_ms": milliseconds(statistics.median(self.seconds[ours])),
                "baseline_ms": milliseconds(statistics.median(self.seconds[baseline])),
                "ratio": round(statistics.median(ratios), 4),
                "ratio_range": [round(min(ratios), 4), round(max(ratios), 4)]}


def milliseconds(seconds):
    return round(seconds * 1000, 1)


def show_time(value):
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def show(title, comparisons):
    print(f"\n{title}", flush=True)
    width = max(len(f"{one['ours']} / {one['baseline']}") for one in comparisons)
    print(f"  {'ours / baseline':<{width}}  {'ours':>10}  {'baseline':>10}  {'ratio':>7}  range of {comparisons[0]['repeats']}")
    for one in comparisons:
        low, high = one["ratio_range"]
        print(f"  {one['ours'] + ' / ' + one['baseline']:<{width}}  {show_time(one['ours_ms']):>10}  "
              f"{show_time(one['baseline_ms']):>10}  {one['ratio']:>7.3f}  {low:.3f} .. {high:.3f}", flush=True)


def save(case, facts, comparisons, **more):
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {"case": case, "engine": version(), "machine": facts, "comparisons": comparisons, **more}
    (RESULTS / f"{case}.json").write_text(json.dumps(result, indent=2) + "\n")


def python(program, *arguments):
    """A command that runs a few lines of Python."""
    return [PYTHON, "-c", textwrap.dedent(program), *map(str, arguments)]


def check(program, *arguments):
    done = subprocess.run(python(program, *arguments), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the output is wrong\n{done.stderr[-3000:]}")


# --- data -----------------------------------------------------------------------------------------------


def write_safetensors(path, tensors):
    """`tensors`: name -> bytes of float32 in one dimension."""
    header, offset = {}, 0
    for name, data in tensors.items():
        header[name] = {"dtype": "F32", "shape": [len(data) // 4], "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for data in tensors.values():
            file.write(data)


# --- startup --------------------------------------------------------------------------------------------


def startup(options):
    """How long it takes to look at a small file, beside what any torch script pays before its first line."""
    small = DATA / "small.safetensors"
    names = [f"layers.{i}.weight" for i in range(20)]
    write_safetensors(small, {name: bytes(64) for name in names})
    shown = subprocess.run([PROGRAM, "inspect", "--keys", small], capture_output=True, text=True, check=True).stdout
    if shown.split() != names:
        raise SystemExit("inspect shows other names")
    facts = machine()
    rounds = Rounds({"inspect": [PROGRAM, "inspect", str(small)], "import torch": IMPORT_TORCH}).run(options.repeats)
    comparisons = [rounds.compare("inspect", "import torch")]
    show("startup: `regraft inspect` of 20 tensors, beside `python -c 'import torch'`", comparisons)
    save("startup", facts, comparisons)


# --- plan -----------------------------------------------------------------------------------------------

LOOP = """
    import json, re, struct, sys
    with open(sys.argv[1], "rb") as file:
        names = list(json.loads(file.read(struct.unpack("<Q", file.read(8))[0])))
    rules = [line.rstrip("\\n").split("\\t") for line in open(sys.argv[2])]
    for pattern, to in rules:
        sub = re.compile(pattern).sub
        names = [sub(to, name, count=1) for name in names]
    if len(set(names)) != len(names):
        raise SystemExit("names collide")
    if len(sys.argv) > 3:
        json.dump(names, open(sys.argv[3], "w"))
"""


def plan(options):
    """The names of 100,000 tensors under 1,000 rename rules, from the start of the process to its end."""
    source, spec, table = DATA / "names.safetensors", DATA / "names.yaml", DATA / "names.tsv"
    rules, tensors = 1_000, 100_000
    names = [f"layers.{i % rules}.block.{i // rules}.weight" for i in range(tensors)]
    write_safetensors(source, dict.fromkeys(names, bytes(4)))
    patterns = [(rf"^layers\.{i}\.", f"stages.{i}.") for i in range(rules)]
    table.write_text("".join(f"{pattern}\t{to}\n" for pattern, to in patterns))
    spec.write_text("regraft: 1\nrules:\n" + "".join(f"  - rename: '{pattern}'\n    to: '{to}'\n"
                                                     for pattern, to in patterns))
    command = [PROGRAM, "plan", str(spec), str(source)]
    report = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True).stdout)
    if [one["name"] for one in report["tensors"]] != [name.replace("layers", "stages", 1) for name in names]:
        raise SystemExit("the plan has other names")
    facts = machine()
    rounds = Rounds({"plan": command, "import torch": IMPORT_TORCH}).run(options.repeats)
    comparisons = [rounds.compare("plan", "import torch")]
    show("plan: 100,000 tensors, 1,000 rename rules; the yardstick is `python -c 'import torch'`", comparisons)
    ours = comparisons[0]["ours_ms"]
    print(f"  goal: under a second; it takes {show_time(ours)}")
    # The same in Python takes too long to be repeated, so it is run once.
    try:
        loop = milliseconds(once(python(LOOP, source, table), (), LOOP_SECONDS))
        print(f"  a loop over `re`, rule by rule, run once: {show_time(loop)}, {loop / ours:.0f} times as long")
    except subprocess.TimeoutExpired:
        loop = None
        print(f"  a loop over `re`, rule by rule: not done after {LOOP_SECONDS} s")
    save("plan", facts, comparisons, tensors=tensors, rules=rules, goal_ms=1000,
         python_loop_once_ms=loop, python_loop_limit_ms=LOOP_SECONDS * 1000)


# --- rename ---------------------------------------------------------------------------------------------

MAKE = """
    import sys, torch, safetensors.torch
    path, mib = sys.argv[1], int(sys.argv[2])
    torch.manual_seed(0)
    count = max(1, mib // 5)
    rows = mib * 2**20 // count // 2 // 1024
    state = {f"module.layers.{i}.weight": torch.randint(-2**15, 2**15, (rows, 1024), dtype=torch.int16).view(torch.float16)
             for i in range(count)}
    torch.save(state, path + ".pt")
    safetensors.torch.save_file(state, path + ".safetensors")
"""
RENAME_PT = """
    import sys, torch
    state = torch.load(sys.argv[1], weights_only=True)
    torch.save({name.removeprefix("module."): tensor for name, tensor in state.items()}, sys.argv[2])
"""
RENAME_SAFETENSORS = """
    import sys
    from safetensors.torch import load_file, save_file
    state = load_file(sys.argv[1])
    save_file({name.removeprefix("module."): tensor for name, tensor in state.items()}, sys.argv[2])
"""
SAME = """
    import sys, torch, safetensors.torch
    def load(path):
        if path.endswith(".pt"):
            return torch.load(path, weights_only=True, mmap=True)
        return safetensors.torch.load_file(path)
    source, new = load(sys.argv[1]), load(sys.argv[2])
    assert list(new) == [name.removeprefix("module.") for name in source], "names"
    for name, tensor in source.items():
        other = new[name.removeprefix("module.")]
        assert other.dtype == tensor.dtype and other.shape == tensor.shape, name
        assert torch.equal(other.view(torch.int16), tensor.view(torch.int16)), name
"""
BARE = ["--no-sync", "--digest", "none", "--no-verify"]


def rename(options):
    """A file of which all names change and no value: beside cp of the same file, and beside Python."""
    stem = DATA / f"weights-{options.size}"
    if not all(stem.with_suffix(suffix).exists() for suffix in (".pt", ".safetensors")):
        free = shutil.disk_usage(DATA).free
        if free < options.size * 5 * 2**20:
            raise SystemExit(f"rename needs {options.size * 5} MiB below {DATA.relative_to(ROOT)}; try --size")
        subprocess.run(python(MAKE, stem, options.size), check=True)
    spec = DATA / "rename.yaml"
    spec.write_text("regraft: 1\nrules:\n  - rename: '^module\\.'\n    to: ''\n")
    facts = machine()
    all_comparisons = []
    for suffix, by_hand in ((".pt", RENAME_PT), (".safetensors", RENAME_SAFETENSORS)):
        source, output = stem.with_suffix(suffix), DATA / f"new{suffix}"
        ours = [PROGRAM, "apply", str(spec), str(source), "-o", str(output), "--progress", "off"]
        read_once(source)
        for flags in (BARE, ["--no-sync"]):
            once([*ours, *flags], [output])
            check(SAME, source, output)
        kind = suffix[1:]
        rounds = Rounds({f"{kind} bare": [*ours, *BARE], f"{kind} cp": ["cp", str(source), str(output)],
                         f"{kind} digest": [*ours, "--no-sync"], f"{kind} Python": python(by_hand, source, output)},
                        [output]).run(options.repeats)
        comparisons = [rounds.compare(f"{kind} {a}", f"{kind} {b}")
                       for a, b in (("bare", "cp"), ("digest", "cp"), ("digest", "Python"))]
        show(f"rename: {options.size} MiB of {kind}, every name changes", comparisons)
        all_comparisons += comparisons
    print(f"  bare: {' '.join(BARE)}; digest: --no-sync and else the defaults")
    save("rename", facts, all_comparisons, mib=options.size, bare=BARE, digest=["--no-sync"])


CASES = {"startup": startup, "plan": plan, "rename": rename}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--size", type=int, default=1024, help="MiB of the file in rename (default 1024)")
    options = parser.parse_args()
    for case in options.cases:
        if case not in CASES:
            parser.error(f"there is no case {case}; the cases are {', '.join(CASES)}")
    if options.repeats < 1 or options.size < 1:
        parser.error("--repeats and --size are at least 1")
    if not Path(PROGRAM).is_file():
        parser.error("there is no program; ./dev build makes it")
    DATA.mkdir(parents=True, exist_ok=True)
    for case in options.cases or CASES:
        CASES[case](options)


if __name__ == "__main__":
    main()
