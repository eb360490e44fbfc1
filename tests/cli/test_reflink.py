"""Extents that are shared with the input, on a file system that can: the same bytes, no room, and nothing that is read."""

import array
import fcntl
import json
import os
import shutil
import struct
import subprocess

import numpy
import pytest
import torch
from safetensors.numpy import load_file, save_file

PLAIN = ["--no-sync", "--digest", "none", "--no-verify"]


@pytest.fixture(scope="module")
def xfs(tmp_path_factory):
    """A folder on XFS, in a file that is mounted."""
    folder = tmp_path_factory.mktemp("xfs")
    image, place = folder / "image", folder / "mount"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(1 << 30)
    if not shutil.which("mkfs.xfs") or os.geteuid() != 0:
        pytest.skip("takes root and mkfs.xfs, of xfsprogs")
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no loop mounts here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def shared_bytes(path):
    """Of extents that another file has too: FS_IOC_FIEMAP, linux/fiemap.h."""
    header, extent, most = "=QQLLLL", "=QQQQQLLLL", 500
    buffer = array.array("B", bytes(struct.calcsize(header) + most * struct.calcsize(extent)))
    struct.pack_into(header, buffer, 0, 0, 2**64 - 1, 1, 0, most, 0)
    with open(path, "rb") as file:
        fcntl.ioctl(file, 0xC020660B, buffer)
    count = struct.unpack_from(header, buffer)[3]
    total = 0
    for i in range(count):
        one = struct.unpack_from(extent, buffer, struct.calcsize(header) + i * struct.calcsize(extent))
        total += one[2] if one[5] & 0x2000 else 0
    return total


@pytest.fixture
def sources(xfs):
    folder = xfs / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    draw = numpy.random.default_rng(1)
    tensors = {f"module.{i}": draw.standard_normal((1100, 700 + i), dtype=numpy.float32) for i in range(5)}
    tensors["module.small"] = numpy.arange(100, dtype=numpy.float32)
    save_file(tensors, folder / "in.safetensors")
    torch.save({name: torch.from_numpy(value) for name, value in tensors.items()}, folder / "in.pt")
    return folder, tensors


@pytest.mark.parametrize("rule, kept", [("{rename: ^module\\., to: ''}", 6), ("{drop: '[13]$'}", 4)])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_shared_and_copied_are_the_same(regraft, sources, suffix, rule, kept):
    folder, tensors = sources
    apply = ["apply", "-e", rule, folder / f"in.{suffix}", *PLAIN]
    regraft(*apply, "-o", folder / f"copied.{suffix}", "--reflink", "never")
    regraft(*apply, "-o", folder / f"shared.{suffix}", "--threads", 3)
    assert shared_bytes(folder / f"copied.{suffix}") == 0
    data = sum(value.nbytes for value in tensors.values()) * (kept - 1) // 5
    # Of safetensors all that moves by one distance can be shared, of .pt files every record.
    assert shared_bytes(folder / f"shared.{suffix}") > data * (0.99 if suffix == "pt" or kept == 6 else 0.2)
    assert (folder / f"shared.{suffix}").read_bytes() == (folder / f"copied.{suffix}").read_bytes()
    if suffix == "safetensors":
        assert len(load_file(folder / "shared.safetensors")) == kept
    else:
        assert len(torch.load(folder / "shared.pt", weights_only=True)) == kept


def test_shared_beside_what_is_changed(regraft, sources):
    """Only some of the output is as it was: what is cast, cut, put together and computed lies among it."""
    folder, _ = sources
    rules = ["-e", "{cast: '1$', dtype: bfloat16}", "-e", "{cast: '2$', dtype: float64}", "-e", "{slice: '3$', dim: 0, stop: 100}"]
    for suffix in ("pt", "safetensors"):
        written = []
        for options in (["--reflink", "never"], [], ["--threads", 4, "--tile-size", "64KiB"]):
            regraft("apply", *rules, folder / f"in.{suffix}", "-o", folder / f"out.{suffix}", "--force", *PLAIN, *options)
            written.append((folder / f"out.{suffix}").read_bytes())
        assert written[0] == written[1] == written[2]
        assert suffix == "safetensors" or shared_bytes(folder / "out.pt") > 0


@pytest.mark.parametrize("flags", [["--digest", "none"], ["--no-verify"], [*PLAIN, "--verify-output"], []])
def test_what_is_read_is_not_shared(regraft, sources, flags):
    folder, _ = sources
    regraft("apply", "-e", "{rename: ^module\\., to: ''}", folder / "in.pt", "-o", folder / "out.pt", *flags)
    assert shared_bytes(folder / "out.pt") == 0


def test_the_source_stays_what_it_was(regraft, sources):
    """Also when the output is written to later: shared is not the same."""
    folder, _ = sources
    before = (folder / "in.pt").read_bytes()
    regraft("apply", "-e", "{rename: ^module\\., to: ''}", folder / "in.pt", "-o", folder / "out.pt", *PLAIN)
    with open(folder / "out.pt", "r+b") as file:
        file.write(bytes(os.path.getsize(folder / "out.pt")))
    assert (folder / "in.pt").read_bytes() == before


def test_large_tensors_lie_at_congruent_offsets_everywhere(regraft, tmp_path):
    """On this file system too, which need not share anything."""
    torch.save({"module.a": torch.randn(600, 700), "module.b": torch.randn(3), "module.c": torch.randn(700, 701)},
               tmp_path / "in.pt")
    regraft("apply", "-e", "{rename: ^module\\., to: longer name.}", "in.pt", "-o", "out.pt", "--no-sync")
    offsets = {}
    for name in ("in", "out"):
        shown = json.loads(regraft("inspect", f"{name}.pt", "--json").stdout)
        offsets[name] = [one["file_offset"] % 4096 for one in shown["storages"] if one["bytes"] >= 1 << 20]
    assert len(offsets["in"]) == 2 and offsets["in"] == offsets["out"]
