#!/usr/bin/env python3
"""Every figure that the docs state: ours beside a baseline, in the same run. bench/README.md says how to read it.

    run.py [CASE...]                  all cases, or some
    run.py passthrough --size 256 --repeats 3 --no-save

$REGRAFT is the program (default build/regraft), $PYTHON the Python with torch (default: this one).
"""
import argparse
import importlib
import json
from pathlib import Path

from machine import machine
from measure import output_of
from places import DATA, PROGRAM, RESULTS


def find_cases():
    """name -> module. A case is a file in cases/: what it is in its docstring, and `run(options)`, which measures, shows,
    and returns what is to be saved: `comparisons` and whatever else the figures depend on."""
    files = sorted((Path(__file__).resolve().parent / "cases").glob("*.py"))
    return {path.stem.replace("_", "-"): importlib.import_module(f"cases.{path.stem}") for path in files}


def save(case, result):
    RESULTS.mkdir(parents=True, exist_ok=True)
    engine = output_of([PROGRAM, "--version"]).split()[1]
    text = json.dumps({"case": case, "engine": engine, "machine": machine(), **result}, indent=2)
    (RESULTS / f"{case}.json").write_text(text + "\n")


def main():
    cases = find_cases()
    width = max(map(len, cases))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="cases:\n" + "\n".join(f"  {name:<{width}}  {case.__doc__}" for name, case in cases.items()))
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all")
    parser.add_argument("--repeats", type=int, default=9, help="rounds (default 9)")
    parser.add_argument("--size", type=int, default=2048, help="MiB of a large file (default 2048)")
    parser.add_argument("--no-save", action="store_true", help="show the figures and leave bench/results as it is")
    options = parser.parse_args()
    for case in options.cases:
        if case not in cases:
            parser.error(f"there is no case {case}; the cases are {', '.join(cases)}")
    if options.repeats < 1 or options.size < 1:
        parser.error("--repeats and --size are at least 1")
    if not Path(PROGRAM).is_file():
        parser.error("there is no program; ./dev build makes it")
    DATA.mkdir(parents=True, exist_ok=True)
    for case in options.cases or cases:
        result = cases[case].run(options)
        if not options.no_save:
            save(case, result)


if __name__ == "__main__":
    main()
