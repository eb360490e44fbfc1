#!/usr/bin/env python3
"""Random migrations through the engine's command line and through the reference, compared bit for bit.

    run.py --program build/regraft --cases 500 --seed 1
    run.py --program build/regraft --seed 1 --only 17 --keep kept     one case, its files kept
    run.py --reference-only --cases 500                               the mix of the cases, without an engine
"""
import argparse
import os
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "reference")]
os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore", message="ComplexHalf support is experimental")

import torch  # noqa: E402  (after the paths and the thread count are set)

import cases  # noqa: E402
import compare  # noqa: E402
import pipelines  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", help="the engine's command line")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--family", choices=["names", "pipelines"], default="names",
                        help="names: renames, policies and promises; pipelines: the verbs that change tensors")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this case alone, its files are kept")
    parser.add_argument("--fraction", type=float, default=1.0, help="run this share of the cases, chosen by the seed")
    parser.add_argument("--keep", type=Path, help="where the files of failing cases go")
    parser.add_argument("--reference-only", action="store_true", help="make the cases and print their mix")
    options = parser.parse_args()
    if not options.program and not options.reference_only:
        parser.error("--program is needed")
    if options.program:
        options.program = str(Path(options.program).resolve())
    return options


def command(options, number):
    words = [sys.executable, sys.argv[0], "--program", os.path.relpath(options.program), "--family", options.family,
             "--seed", str(options.seed)]
    return " ".join(words + ["--only", str(number), "--keep", str(options.keep or "kept")])


def main():
    options = arguments()
    torch.set_num_threads(1)
    print(f"seed {options.seed}", flush=True)
    numbers = [options.only] if options.only is not None else list(range(options.cases))
    if options.fraction < 1:
        numbers = sorted(random.Random(options.seed).sample(numbers, max(1, round(len(numbers) * options.fraction))))
    work = Path(tempfile.mkdtemp(prefix="regraft-differential-"))
    kept = options.keep or work / "kept"
    mix, failed, passed = Counter(), 0, 0

    def one(number):
        folder = work / str(number)
        family = pipelines if options.family == "pipelines" else cases
        case = cases.make(family, options.seed, number, folder)
        problems = [] if options.reference_only else compare.differences(options.program, case, folder)
        if problems or options.only is not None:
            kept.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(kept / str(number), ignore_errors=True)
            shutil.move(folder, kept / str(number))
        else:
            shutil.rmtree(folder)
        return case, problems

    with ThreadPoolExecutor(2) as pool:
        for case, problems in pool.map(one, numbers):
            mix[case.aim, compare.text(case.outcome.exits or {0})] += 1
            if problems:
                failed += 1
                print(f"\ncase {case.number} ({case.aim}): files in {kept / str(case.number)}")
                for problem in problems:
                    print(f"  {problem}")
                print(f"  again: {command(options, case.number)}", flush=True)
            else:
                passed += 1
    if options.reference_only:
        for (aim, exits), count in sorted(mix.items()):
            print(f"{count:6} {aim:9} exit {exits}")
    if not kept.exists() or kept.parent != work:
        shutil.rmtree(work)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
