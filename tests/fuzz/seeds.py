"""Seeds of the fuzz targets, from genuine files and from what the other tests hold: seeds.py FOLDER
writes a folder for each target.

Small ones: a fuzzer spends its time on bytes. Files of torch are made here, not kept."""

import argparse
import collections
import datetime
import hashlib
import json
import pathlib
import pickle
import re
import struct
import sys
import zipfile

import safetensors.torch
import torch

TESTS = pathlib.Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
sys.path.insert(0, str(TESTS / "formats"))
import make_torch_files  # noqa: E402

MOST_BYTES = 60_000


class Seeds:
    def __init__(self, folder):
        self.folder = folder

    def add(self, target, content):
        content = content if isinstance(content, bytes) else content.encode()
        if len(content) > MOST_BYTES:
            return
        folder = self.folder / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


def torch_files(folder):
    make_torch_files.make(folder)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    model(torch.ones(4, 2)).sum().backward()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.step()
    torch.save({"epoch": 3, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(),
                "args": argparse.Namespace(lr=0.1)}, folder / "training.pt")
    loop = [1]
    loop.append(loop)
    shared = torch.ones(3)
    torch.save({"model": {"w": shared, "b": shared[:1]}, "ema": [shared], "loop": loop, "set": {1}, "raw": b"ab",
                "inner": {"c": collections.Counter("a"), (1, "k"): 2}}, folder / "kept.pt")
    torch.jit.script(torch.nn.Linear(2, 3)).save(folder / "scripted.pt")
    yield from sorted(folder.glob("*.pt"))


def pickles():
    loop = [1]
    loop.append(loop)
    values = [None, True, 7, -1, 2**40, 2**70, -(2**70), 0.5, "text", "\ud800", b"bytes", bytearray(b"b"), (), (1,),
              (1, 2, 3, 4), [], {}, {1: "a", "b": [None]}, {1, 2}, frozenset({3}), collections.OrderedDict(a=1),
              collections.Counter("aab"), collections.defaultdict(list, a=[1]), complex(1, 2), slice(1, 2),
              range(3), datetime.date(2020, 1, 2), pathlib.PurePosixPath("a/b"), argparse.Namespace(a=1),
              loop, [list(range(300))], ["a" * 300], [[[[[]]]]], Ellipsis, torch.float32, torch.Size([1, 2])]
    for value in values + [values[:10]]:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            yield pickle.dumps(value, protocol=protocol)


def literals(name):
    """The texts in a C++ test, which are of the language that it tests."""
    text = (TESTS / "unit" / name).read_text()
    found = re.findall(r'R"\((.*?)\)"', text, re.S)
    found += [bytes(one, "utf-8").decode("unicode_escape") for one in re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)]
    return [one for one in dict.fromkeys(found) if 0 < len(one) < 200]


def specs():
    for case in sorted((TESTS / "golden").iterdir()):
        if (case / "spec.yaml").exists():
            source = case / "source.yaml"
            yield (case / "spec.yaml").read_text(), source.read_text() if source.exists() else ""
    for rules in sorted((ROOT / "rules").rglob("*.yaml")):
        yield rules.read_text(), ""


def main(folder):
    seeds = Seeds(folder)
    files = [path.read_bytes() for path in torch_files(folder / "files")]
    for content in files:
        seeds.add("zip", content)
        seeds.add("torch", content)
    for path in sorted((folder / "files").glob("*.pt")):
        if path.stem == "no_crc":
            continue  # which Python's zipfile does not read
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    seeds.add("pickle", archive.read(name))
                    seeds.add("values", archive.read(name))
    deflated = folder / "files" / "deflated.zip"
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("a/version", "3\n")
    seeds.add("zip", deflated.read_bytes())
    seeds.add("torch", deflated.read_bytes())
    for stream in pickles():
        seeds.add("pickle", stream)

    tensors = {"w": torch.arange(6.0).view(2, 3), "b": torch.ones(2, dtype=torch.bfloat16), "e": torch.zeros(0, 4),
               "i": torch.tensor(7)}
    small = safetensors.torch.save({key: tensors[key] for key in "wb"}, {"format": "pt", "note": "\u00e9"})
    for content in [small, safetensors.torch.save(tensors), safetensors.torch.save({})]:
        seeds.add("safetensors", content)
        length = struct.unpack("<Q", content[:8])[0]
        seeds.add("json", content[8:8 + length])
    for text in ['{"a":[1,-2,3.5e-7,true,false,null,"\\u00e9\\ud83d\\ude00"]}', "[[[[]]]]", '{"a":{"b":{}}}', "1e999"]:
        seeds.add("json", text)

    for spec, source in specs():
        seeds.add("spec", spec + "\n---\n" + source)
        if source:
            seeds.add("schema", "y" + source)
    for schema in [{"regraft_schema": 1, "tensors": {"a": {"dtype": "float32", "shape": [2, "n"]}}},
                   {"regraft_schema": 1, "tensors": {}}]:
        seeds.add("schema", "j" + json.dumps(schema))

    for name, target in [("test_formula.cpp", "formula"), ("test_expression.cpp", "expression")]:
        for text in literals(name):
            seeds.add(target, text)
    for text in literals("test_rearrangement.cpp"):
        seeds.add("rearrange", text + "\nh=2\nd=3\n[6,4]\n")
    names = "blocks.0.attn.qkv.weight\nmodule.head.bias\n12.weight\n\u00e9\n"
    for text in literals("test_pattern.cpp"):
        seeds.add("patterns", text + "\n^head\\.\n---\nnew.\\1.{n}\n" + names)
    for text in literals("test_template.cpp"):
        seeds.add("patterns", "(\\d+)\\.(?P<part>\\w+)\n---\n" + text + "\n" + names)

    (folder / "files" / "two.pt").unlink(missing_ok=True)
    torch.save({"w": tensors["w"], "b": tensors["b"]}, folder / "files" / "two.pt")
    for rule in ["keep: w", "drop: b", "rename: '^(\\w)$'\n    to: 'new.\\1'", "cast: w\n    dtype: float16",
                 "transpose: w\n    dims: [0, 1]", "slice: w\n    dim: 0\n    start: 0\n    end: 1",
                 "copy: w\n    to: v", "split: w\n    dim: 0\n    to: [x, y]"]:
        spec = f"regraft: 1\nrules:\n  - {rule}\n\n---\n"
        for content in [small, (folder / "files" / "two.pt").read_bytes()]:
            seeds.add("end_to_end", spec.encode() + content)
            seeds.add("end_to_end", b"#\n" + spec.encode() + content)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
