#!/usr/bin/env python3
"""Reads the #include lines of engine/ and fails on an arrow that points the wrong way.

usage: include_directions.py [ROOT]

A folder may use itself and the folders left of it in ORDER. engine/pipeline.* is the one place where
files stand in engine/ itself; they count as `pipeline`. The public headers, include/regraft/*.h, are
for api/ and torch/module.cpp, which implement them.
"""

import re
import sys
from pathlib import Path

ORDER = ["base", "text", "catalog", "expr", "formats", "spec", "verbs", "compile", "plan", "invert",
         "schedule", "execute", "report", "pipeline", "chain", "batch", "api", "cli"]
RANK = {folder: rank for rank, folder in enumerate(ORDER)}

# torch/ stands beside the order: it implements one interface of the core, and nothing includes it
# but the header that the program and its plug-in share.
TORCH_FOLDERS = {"base", "text", "catalog", "expr", "torch"}
TORCH_FILES = {"execute/evaluator.h"}
OF_TORCH_FOR_CLI = "torch/plugin.h"

# Made by CMake, not in the tree.
GENERATED = {"regraft/version.h"}

# A library that is hidden behind one folder, so that it can be replaced there.
ONLY_IN = [(re.compile(r"yaml-cpp/"), "text"), (re.compile(r"re2/"), "text"),
           (re.compile(r"(ATen|c10|torch|caffe2)/"), "torch")]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SUFFIXES = {".h", ".hpp", ".cpp", ".cc", ".def", ".inc"}


def folder_of(path):
    """The folder that a path below engine/ counts as; None for a file that may not stand there."""
    parts = path.split("/")
    if len(parts) > 1:
        return parts[0]
    return "pipeline" if path.startswith("pipeline.") else None


def implements_the_api(path):
    return folder_of(path) == "api" or path == "torch/module.cpp"


def torch_rule(target):
    if target in TORCH_FILES or folder_of(target) in TORCH_FOLDERS:
        return None
    return "torch/ may use base, text, catalog, expr and execute/evaluator.h"


def quoted_rule(path, target, engine):
    """What is wrong with `#include "target"` in the file `path`, or None."""
    if target in GENERATED:
        return None
    if target.startswith("regraft/") and (engine.parent / "include" / target).is_file():
        return None if implements_the_api(path) else "only api/ and torch/module.cpp use the public headers"
    if ".." in target.split("/") or not (engine / target).is_file():
        return "write the path from engine/, of a file that exists"
    source_folder, target_folder = folder_of(path), folder_of(target)
    if source_folder == "torch":
        return torch_rule(target)
    if target_folder == "torch":
        if source_folder == "cli" and target == OF_TORCH_FOR_CLI:
            return None
        return f"nothing outside torch/ may use torch/, but cli/ {OF_TORCH_FOR_CLI}"
    if target_folder not in RANK:
        return f"{target} is in no folder of the order"
    if RANK[target_folder] > RANK[source_folder]:
        return f"{source_folder} may not use {target_folder}: {' < '.join(ORDER)}"
    return None


def library_rule(path, target):
    for library, folder in ONLY_IN:
        if library.match(target) and folder_of(path) != folder:
            return f"only {folder}/ may use this library"
    if target == "torch/torch.h" and path != "torch/module.cpp":
        return "only torch/module.cpp may use torch/torch.h"
    return None


def faults_of(path, text, engine):
    if folder_of(path) not in RANK and folder_of(path) != "torch":
        yield 1, path, "the file is in no folder of the order"
        return
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        bracket, target = found.groups()
        if bracket == "<" and (engine / target).is_file() and folder_of(target) != "torch":
            yield number, target, 'a file of the engine is included with "..."'
            continue
        # With torch/ a quoted path can be ours or LibTorch's: ours is the one that exists.
        ours = bracket == '"' and (engine / target).is_file()
        fault = None if ours else library_rule(path, target)
        if fault is None and bracket == '"':
            fault = quoted_rule(path, target, engine)
        if fault:
            yield number, target, fault


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    engine = root / "engine"
    files = sorted(p for p in engine.rglob("*") if p.suffix in SUFFIXES)
    faults = 0
    for file in files:
        path = file.relative_to(engine).as_posix()
        for number, target, rule in faults_of(path, file.read_text(encoding="utf-8"), engine):
            print(f"engine/{path}:{number}: {target}: {rule}")
            faults += 1
    print(f"include directions: {len(files)} files, {faults} faults")
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit(main())
