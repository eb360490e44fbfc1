"""`--limit`: each limit of the readers has a place where a file is read, and one less where it is not."""

import re
import struct
import zipfile

import pytest
import torch

from helpers import REPOSITORY, assert_error, entries, errors_of, run, snapshot, succeed, write_safetensors, write_spec

GIB = 1 << 30


def rows():
    """The table of docs/cli.md: name to default and to the largest value."""
    page = (REPOSITORY / "docs" / "cli.md").read_text()
    found = re.findall(r"^\| `([a-z-]+)` \| ([\d,]+) ?(KiB|MiB|GiB|) \|", page[page.index("### Limits"):], re.M)
    units = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": GIB}
    return {name: int(number.replace(",", "")) * units[unit] for name, number, unit in found}


@pytest.fixture
def folder(tmp_path):
    deep = []
    for _ in range(30):
        deep = [deep]
    torch.save({"model": {"w": torch.ones(3), "b": torch.ones(2)}, "deep": deep, "text": "x" * 500, "big": 2**800,
                "list": list(range(300))}, tmp_path / "m.pt")
    with zipfile.ZipFile(tmp_path / "m.pt") as plain, zipfile.ZipFile(tmp_path / "packed.pt", "w") as packed:
        for info in plain.infolist():
            packed.writestr(info.filename, plain.read(info), zipfile.ZIP_DEFLATED)
    torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))).save(tmp_path / "m.ts")
    write_safetensors(tmp_path / "m.safetensors", entries({"w": [3], "b": [2]}))
    write_spec(tmp_path / "s.yaml", "rules: []")
    return tmp_path


def record(path, name):
    with zipfile.ZipFile(path) as archive:
        return next(archive.getinfo(one).file_size for one in archive.namelist() if one.endswith(name))


def count_of_entries(path):
    with zipfile.ZipFile(path) as archive:
        return len(archive.namelist())


# The file that meets each limit, and where, if it can be seen from outside.
PLACES = {
    "pickle-bytes": ("m.pt", lambda path: record(path, "data.pkl")),
    "pickle-opcodes": ("m.pt", None),
    "pickle-depth": ("m.pt", None),
    "pickle-stack": ("m.pt", None),
    "pickle-memo": ("m.pt", None),
    "pickle-string-bytes": ("m.pt", lambda path: 500),
    "pickle-integer-bytes": ("m.pt", lambda path: 101),
    "value-bytes": ("m.pt", None),
    "zip-entries": ("m.pt", count_of_entries),
    "script-bytes": ("m.ts", None),
    "header-bytes": ("m.safetensors", lambda path: struct.unpack("<Q", path.read_bytes()[:8])[0]),
}


def test_the_page_has_them_all():
    assert set(rows()) == set(PLACES)
    said = succeed("inspect", "--help", cwd="/").out
    assert re.findall(r"[a-z]+-[a-z-]+", said[said.index("repeatable:"):].split("--color")[0]) == list(rows())


@pytest.mark.parametrize("name", PLACES)
def test_at_the_limit_and_one_past_it(folder, name):
    file, known = PLACES[name]

    def reads(number):
        result = run("inspect", file, "--limit", f"{name}={number}", cwd=folder)
        if result.status != 0:
            assert_error(result, 3, "limit", f"`--limit {name}=N` raises it")
        return result.status == 0

    low, high = 0, rows()[name]
    assert reads(high)
    while high - low > 1:  # the file is read with `high`, and not with `low`
        middle = (low + high) // 2
        low, high = (low, middle) if reads(middle) else (middle, high)
    assert low > 0, "the file does not meet the limit at all"
    if known:
        assert high == known(folder / file)
    before = snapshot(folder)
    for command in (["inspect", file], ["plan", "s.yaml", file], ["apply", "s.yaml", file, "-o", "new.pt"],
                    ["explain", "w", "s.yaml", file], ["invert", "s.yaml", file],
                    ["plan", "s.yaml", "m.safetensors", "-t", file]):
        result = run(*command, "--limit", f"{name}={low}", cwd=folder)
        assert {one.code for one in errors_of(result)} == {"limit"}, str(result)
        assert snapshot(folder) == before
        assert run(*command, "--limit", f"{name}={high}", cwd=folder).status in (0, 1, 2), str(result)
        (folder / "new.pt").unlink(missing_ok=True)


def test_a_compressed_record_at_its_limit(folder):
    file, size = "packed.pt", 12
    succeed("apply", "s.yaml", file, "-o", "new.pt", "--limit", f"value-bytes={1 << 20}", cwd=folder)
    result = run("apply", "s.yaml", file, "-o", "two.pt", "--limit", f"value-bytes={size - 1}", cwd=folder)
    assert_error(result, 3, "limit", "value-bytes")


@pytest.mark.parametrize("more", [0, 4])
def test_a_compressed_storage_of_a_gibibyte(tmp_path, more):
    """Which is not inflated to be looked at."""
    torch.save({"w": torch.zeros(4), "b": torch.ones(2)}, tmp_path / "small.pt")
    with zipfile.ZipFile(tmp_path / "small.pt") as plain, zipfile.ZipFile(tmp_path / "m.pt", "w") as packed:
        for info in plain.infolist():
            content = plain.read(info)
            if info.filename.endswith("data.pkl"):
                numel = (GIB + more) // 4
                assert content.count(b"K\x04tq\x07Q") == 1  # the storage's numel
                content = content.replace(b"K\x04tq\x07Q", b"J" + struct.pack("<i", numel) + b"tq\x07Q")
            if info.filename.endswith("data/0"):
                with packed.open(zipfile.ZipInfo(info.filename), "w", force_zip64=True) as entry:
                    raise_compression(packed, entry)
                    for _ in range(GIB >> 20):
                        entry.write(bytes(1 << 20))
                    entry.write(bytes(more))
                continue
            packed.writestr(info.filename, content)
    result = run("inspect", "m.pt", cwd=tmp_path)
    if more == 0:
        assert result.status == 0, str(result)
    else:
        assert_error(result, 3, "limit", f"{GIB + more} bytes; the limit is {GIB}", "--limit value-bytes=N")
        succeed("inspect", "m.pt", "--limit", "value-bytes=2GiB", cwd=tmp_path)


def raise_compression(archive, entry):
    """Deflate for an entry that is written in parts."""
    entry._zinfo.compress_type = zipfile.ZIP_DEFLATED
    entry._compressor = zipfile._get_compressor(zipfile.ZIP_DEFLATED, 1)
    assert archive


@pytest.mark.parametrize("setting, said", [
    ("pickle-dept=5", "did you mean `pickle-depth`?"), ("wrong=1", "there are pickle-bytes, "), ("pickle-depth", "is not NAME=N"),
    ("pickle-depth=", "is a number, not ''"), ("pickle-depth=0", "from 1 to 10000, not 0"),
    ("pickle-depth=-1", "is a number"), ("pickle-depth=10001", "from 1 to 10000"), ("pickle-depth=5KiB", "is a number"),
    ("pickle-bytes=5kB", "KiB, MiB or GiB"), ("value-bytes=99999999999999999999999", "from 1 to"),
    ("value-bytes=99999999999GiB", "from 1 to"), ("value-bytes=1e9", "is a number"), ("=5", "there is no limit ''")])
def test_settings_that_are_none(folder, setting, said):
    result = run("inspect", "m.pt", "--limit", setting, cwd=folder)
    assert result.status == 2 and said in result.err, str(result)


def test_the_last_of_several_settings_holds_and_units_are_powers_of_two(folder):
    succeed("inspect", "m.pt", "--limit", "pickle-depth=1", "--limit", "pickle-depth=1000", cwd=folder)
    succeed("inspect", "m.safetensors", "--limit", "header-bytes=1KiB", cwd=folder)
    write_safetensors(folder / "m.safetensors", entries({f"tensor {i}": [1] for i in range(20)}))
    result = run("inspect", "m.safetensors", "--limit", "header-bytes=1KiB", cwd=folder)
    assert_error(result, 3, "limit", "the limit is 1024")


def test_depth_as_far_as_it_goes(folder):
    """The readers have no recursion that a deep value could exhaust, as far as the option goes."""
    def pickled(depth):
        return b"\x80\x02}(X\x01\x00\x00\x00w" + tensor + b"X\x01\x00\x00\x00x" + b"]" * depth + b"a" * (depth - 1) + b"u."

    tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
              b"X\x03\x00\x00\x00cpuK\x03tQK\x00K\x03\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")
    tuples = b"\x80\x02}(X\x01\x00\x00\x00w" + tensor + b")" + b"\x85" * 9_990 + b"K\x01u."
    for content in (pickled(9_990), tuples):
        with zipfile.ZipFile(folder / "deep.pt", "w") as archive:
            archive.writestr("a/data.pkl", content)
            archive.writestr("a/data/0", bytes(12))
            archive.writestr("a/version", "3\n")
        assert_error(run("inspect", "deep.pt", cwd=folder), 3, "limit", "pickle-depth")
        succeed("inspect", "deep.pt", "--limit", "pickle-depth=10000", cwd=folder)
        result = run("apply", "deep.pt", "-o", "new.pt", "--root", "", "--extras", "keep", "--limit", "pickle-depth=10000", "--force", cwd=folder)
        assert result.status == 0, str(result)
