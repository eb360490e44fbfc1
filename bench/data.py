"""Checkpoints and schemas to measure with."""
import json
import shutil
import struct

from measure import once, output_of, python
from places import DATA, PROGRAM, ROOT

FORMATS = (".pt", ".safetensors")


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


def read_safetensors(path):
    """name -> (dtype, bytes)"""
    content = path.read_bytes()
    begin = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:begin])
    header.pop("__metadata__", None)
    return {name: (one["dtype"], content[begin + one["data_offsets"][0]:begin + one["data_offsets"][1]])
            for name, one in header.items()}


def write_schema(path, tensors):
    """A target without values. `tensors`: name -> (dtype, shape)."""
    path.write_text(json.dumps({"regraft_schema": 1, "tensors": {
        name: {"dtype": dtype, "shape": shape} for name, (dtype, shape) in tensors.items()}}))


def tensors_of(path):
    """What write_schema takes, of a checkpoint that is there."""
    report = json.loads(output_of([PROGRAM, "inspect", "--json", str(path)]))
    return {one["name"]: (one["dtype"], one["shape"]) for one in report["tensors"]}


MAKE_WEIGHTS = """
    import sys, torch, safetensors.torch
    path, mib = sys.argv[1], int(sys.argv[2])
    torch.manual_seed(0)
    count = max(1, mib // 5)
    rows = mib * 2**20 // count // 4 // 1024
    state = {f"module.layers.{i}.weight": torch.randn(rows, 1024) for i in range(count)}
    torch.save(state, path + ".pt")
    safetensors.torch.save_file(state, path + ".safetensors")
"""


def weights(mib):
    """format -> a file of float32 matrices of about 5 MiB each, the same in each format."""
    stem = DATA / f"float32-{mib}"
    files = {suffix: stem.with_suffix(suffix) for suffix in FORMATS}
    if not all(path.exists() for path in files.values()):
        # The two, what is made of one, and some more.
        if shutil.disk_usage(DATA).free < mib * 4 * 2**20:
            raise SystemExit(f"{mib * 4} MiB are needed below {DATA.relative_to(ROOT)}; try --size")
        once(python(MAKE_WEIGHTS, stem, mib))
    return files
