"""Branch coverage of what reads untrusted input: each file below at 95%, or a reason beside every branch that no
test takes. `./dev coverage` runs the tests and then this.

A reason is a comment on the branch's line or on the one before it: `// unreached: why`. The branch of REGRAFT_TRY and
its kin, that an error is handed on, is the macro's and not counted: the error is, where it is made.

usage: branches.py PROFILE PROGRAM...     an indexed profile of llvm-profdata, and what was run"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MUST = 95.0
PARSERS = [
    "engine/formats/file.cpp",
    "engine/formats/limits.cpp",
    "engine/formats/registry.cpp",
    "engine/formats/safetensors.cpp",
    "engine/formats/schema.cpp",
    "engine/formats/torch/*.cpp",
    "engine/text/*.cpp",
    "engine/verbs/formula_parse.cpp",
    "engine/verbs/rearrangement.cpp",
]
REASON = re.compile(r"//.*\bunreached: \S")


def parsers():
    found = []
    for pattern in PARSERS:
        files = sorted(ROOT.glob(pattern))
        if not files:
            sys.exit(f"no file is {pattern}: bring PARSERS up to date")
        found += files
    return found


def exported(profile, programs, files):
    objects = [programs[0]] + [f"--object={program}" for program in programs[1:]]
    command = ["llvm-cov-19", "export", f"--instr-profile={profile}", *objects, "--sources", *map(str, files)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["data"][0]["files"]


def branches_of(entry, lines):
    """{(line, column, end line): [times true, times false]} of one file. A template, and a function in several programs,
    stands there once for each."""
    counts = defaultdict(lambda: [0, 0])
    for line, column, end_line, end_column, taken, not_taken, *_ in entry["branches"]:
        if lines[line - 1][column - 1:end_column - 1] == "true":
            continue  # `while (true)` is none
        counts[line, column, end_line][0] += taken
        counts[line, column, end_line][1] += not_taken
    return counts


def main(profile, *programs):
    files = parsers()
    by_name = {Path(entry["filename"]).resolve(): entry for entry in exported(profile, programs, files)}
    passed = failed = 0
    for file in files:
        lines = file.read_text().split("\n")
        counts = branches_of(by_name[file], lines) if file in by_name else {}
        taken = sum((yes > 0) + (no > 0) for yes, no in counts.values())
        share = 100.0 * taken / (2 * len(counts)) if counts else 100.0
        without_reason, reasons = [], 0
        for (line, column, end_line), (yes, no) in sorted(counts.items()):
            if yes and no:
                continue
            if any(REASON.search(text) for text in lines[max(0, line - 2):end_line]):
                reasons += 1
                continue
            what = "never true" if no else "never false" if yes else "never reached"
            without_reason.append(f"    {line}:{column} {what}: {lines[line - 1].strip()[:90]}")
        good = share >= MUST or not without_reason
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok    ' if good else 'FAILED'} {share:5.1f}% of {2 * len(counts):4d}, {len(without_reason):3d} without a reason, "
              f"{reasons} with one: {file.relative_to(ROOT)}")
        print("\n".join(without_reason if not good or "--all" in sys.argv else []), end="\n" if without_reason and not good else "")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--all"]
    if len(words) < 2:
        sys.exit(__doc__)
    sys.exit(main(*words))
