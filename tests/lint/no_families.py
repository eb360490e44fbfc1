#!/usr/bin/env python3
"""Words that may not occur: model families in engine/ and include/; machine paths and unfinished work anywhere.

usage: no_families.py [ROOT]

The engine is general: what it knows about a model comes from a spec. A family's name counts as a
whole word and as a part of an identifier (vit_blocks, BertLayer), not inside another word.
"""

import re
import subprocess
import sys
from pathlib import Path

FAMILIES = set("""
    albert alexnet alpaca bart beit bert blip codellama convnext deberta deepseek deit densenet dino
    distilbert efficientnet electra falcon gemma googlenet gpt hubert inception internlm llama llava
    longformer lora mamba maxvit minilm mistral mixtral mnasnet mobilenet mpnet phi qwen regnet
    resnet resnext roberta rwkv segformer shufflenet squeezenet swin timm unet vgg vicuna vit whisper
    xlnet yolo
""".split())

# Written in pieces, so that this file has none of these words.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK"]) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}~])(/(?:home|root|work|Users|opt|mnt|scratch|srv)/[\w.]"
                          r"|[A-Z]:\\Users\b)")

EVERYWHERE = ["engine", "include", "cmake", "rules", "schemas", "tests", "bench", "docs", "dev", "README.md",
              ".ci", "CONTRIBUTING.md", "CHANGELOG.md", "CMakeLists.txt", "CMakePresets.json"]

RUN = re.compile(r"[A-Za-z]+")
CAMEL_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def family_in(line):
    """The first family that the line names, in the spelling of FAMILIES, or None."""
    for run in RUN.findall(line):
        if run.lower() in FAMILIES:
            return run.lower()
        for part in CAMEL_PART.findall(run):
            if part.lower() in FAMILIES:
                return part.lower()
        # Capitals inside a name that is one word: LoRALayer, DenseNetBlock.
        parts = [part.lower() for part in CAMEL_PART.findall(run)]
        for first, second in zip(parts, parts[1:]):
            if first + second in FAMILIES:
                return first + second
    return None


def faults_in(path, line):
    family = family_in(line) if path.startswith(("engine/", "include/")) else None
    if family:
        yield f"'{family}': the engine knows no model family"
    if UNFINISHED.search(line):
        yield "unfinished work: do it, or write an issue"
    if MACHINE_PATH.search(line):
        yield "a path of one machine"


def listed_files(root):
    """What git would commit, so that build output and caches beside the sources do not count."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
               "--exclude-standard", "--", *EVERYWHERE]
    listing = subprocess.run(command, capture_output=True, check=False)
    if listing.returncode == 0:
        return sorted({root / name for name in listing.stdout.decode().split("\0") if name})
    tops = [root / name for name in EVERYWHERE]
    return sorted(p for top in tops for p in (top.rglob("*") if top.is_dir() else [top]))


def text_of(file):
    """None for what is not a text: a binary fixture may hold any byte."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    faults = count = 0
    for file in listed_files(root):
        text = text_of(file) if file.is_file() and not file.is_symlink() else None
        if text is None:
            continue
        count += 1
        path = file.relative_to(root).as_posix()
        for fault in faults_in(path, path):
            print(f"{path}: {fault}")
            faults += 1
        for number, line in enumerate(text.splitlines(), 1):
            for fault in faults_in(path, line):
                print(f"{path}:{number}: {fault}")
                faults += 1
    print(f"forbidden words: {count} files, {faults} faults")
    return 1 if faults or not count else 0


if __name__ == "__main__":
    sys.exit(main())
