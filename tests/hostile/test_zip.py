"""Zip archives that are broken or made to deceive: cases 1 to 19 of docs/security.md."""

import gzip
import struct
import zlib
from dataclasses import replace

import pytest

from builders import (DEFLATED, DESCRIPTOR, ENCRYPTED, FLOATS, IN_64, PROTO, STOP, STORED, UTF8, Record,
                      central_header, deflate, dict_of, extra_field, local_header, make_pt, make_zip, padded,
                      quantized, records_of, state_dict, tensor, text, zip64_extra)
from helpers import errors_of, run

STORAGE = "a/data/0"
START_OF_STORAGE = make_pt().index(FLOATS) - 30 - len(STORAGE)


def central_of(content, name):
    """Where the directory's entry of this name begins."""
    return content.rindex(b"PK\1\2", 0, content.rindex(name.encode()))


# --- genuine --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
@pytest.mark.parametrize("form", ["torch", "padded", "plain"])
def test_case_01_genuine_files(place, form, method, wide):
    records = [replace(one, method=method) for one in records_of(state_dict("w", "v"), byteorder=b"little").values()]
    if form == "padded":
        records = padded(records)
    elif form == "torch":
        import torch

        torch.save({"w": torch.arange(6.).reshape(2, 3), "half": torch.ones(3, dtype=torch.float16)},
                   place.folder / "made.pt")
        if method == STORED and not wide:
            content = (place.folder / "made.pt").read_bytes()
            assert content[6:8] == struct.pack("<H", DESCRIPTOR | UTF8) and content[14:26] == bytes(12)
            assert b"FBX"[:2] in content[:80] and b"PK\7\b" in content
            place.same_as_torch(content)
            return
    place.same_as_torch(make_zip(records, wide=wide))


@pytest.mark.parametrize("signature", [b"PK\7\b", b""])
@pytest.mark.parametrize("number", ["<3I", "<IQQ"])
def test_case_01_data_descriptors_of_all_forms(place, number, signature):
    crc = zlib.crc32(FLOATS)
    descriptor = signature + struct.pack(number, crc, len(FLOATS), len(FLOATS))
    place.same_as_torch(make_pt(change={"data/0": {"flags": UTF8 | DESCRIPTOR, "descriptor": descriptor}}))


# --- checksums ------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_case_02_crc_switched_off(place, streamed):
    flags = UTF8 | DESCRIPTOR if streamed else UTF8
    change = {name: {"crc": 0, "flags": flags} for name in records_of()}
    shown = place.same_as_torch(make_pt(change=change))
    assert "no CRC stated for 3 records" in shown.out, str(shown)


@pytest.mark.parametrize("method", [STORED, DEFLATED])
@pytest.mark.parametrize("bit", [0, 77, 127])
def test_case_03_a_flipped_byte_of_a_storage(place, bit, method):
    import torch

    flipped = bytearray(FLOATS)
    flipped[bit // 8] ^= 1 << bit % 8
    data = deflate(bytes(flipped)) if method == DEFLATED else bytes(flipped)
    content = make_pt(change={"data/0": {"compressed": data, "method": method}})
    place.refuse(content, "checksum", offset=START_OF_STORAGE + 30 + len(STORAGE), key=STORAGE, inspect=False)
    if method == STORED:
        assert torch.load(place.folder / "model.pt", weights_only=True)["w"].numel() == 4
        output, _ = place.accept(content, options=["--no-verify"])
        assert bytes(flipped) in output.read_bytes()


@pytest.mark.parametrize("entry", ["data.pkl", "version"])
def test_case_03_a_flipped_byte_of_what_is_read_first(place, entry):
    crc = zlib.crc32(records_of()[entry].content)
    place.refuse(make_pt(change={entry: {"crc": crc ^ 1 << 31}}), "checksum", key=f"a/{entry}")


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ["data.pkl", "data/0", "version"])
def test_case_04_duplicate_entry(place, entry):
    records = records_of()
    second = replace(records[entry], content=b"another")
    content = make_zip([*records.values(), second])
    place.refuse(content, "zip-corrupt", "two entries have this name", key=f"a/{entry}",
                 offset=content.rindex(b"PK\1\2"))


@pytest.mark.parametrize("entry, other", [("data/0", b"a/data/1"), ("data.pkl", b"a/data.pkk"),
                                          ("version", b"b/version"), ("version", b"a/version2")])
def test_case_05_another_name_in_the_local_header(place, entry, other):
    place.refuse(make_pt(change={entry: {"local": {"name": other}}}), "zip-corrupt", key=f"a/{entry}")


LOCAL = {"size": ("size", 15), "no size": ("size", 0), "larger size": ("size", 2 ** 31), "method": ("method", 8),
         "compressed size": ("compressed", 15), "no compressed size": ("compressed", 0), "checksum": ("crc", 1),
         "no checksum": ("crc", 0), "flags": ("flags", 0), "encrypted flag": ("flags", UTF8 | ENCRYPTED)}


@pytest.mark.parametrize("kind", LOCAL)
def test_case_06_local_header_and_directory_disagree(place, kind):
    name, value = LOCAL[kind]
    what = {"compressed": "compressed size", "crc": "checksum"}.get(name, name)
    place.refuse(make_pt(change={"data/0": {"local": {name: value}}}), "zip-corrupt", f"disagree on the {what}",
                 key=STORAGE, offset=START_OF_STORAGE)


@pytest.mark.parametrize("part", range(3))
def test_case_06_data_descriptor_and_directory_disagree(place, part):
    numbers = [zlib.crc32(FLOATS), len(FLOATS), len(FLOATS)]
    numbers[part] ^= 1
    change = {"flags": UTF8 | DESCRIPTOR, "descriptor": b"PK\7\b" + struct.pack("<3I", *numbers)}
    place.refuse(make_pt(change={"data/0": change}), "zip-corrupt", "descriptor", key=STORAGE)


@pytest.mark.parametrize("descriptor", [b"", b"PK", bytes(16), bytes(13), bytes(100)])
def test_case_06_damaged_data_descriptor(place, descriptor):
    place.refuse(make_pt(change={"data/0": {"flags": UTF8 | DESCRIPTOR, "descriptor": descriptor}}), "zip-corrupt",
                 key=STORAGE)


# --- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", ["same", 1, 29, 30, 40])
def test_case_07_overlapping_entries(place, offset):
    records = list(records_of(storages={"0": FLOATS, "1": FLOATS}).values())
    content = make_zip(records)
    first = content.index(b"a/data/0") - 30
    records[2] = replace(records[2], written=False, central={"offset": first + (0 if offset == "same" else offset)})
    place.refuse(make_zip(records), "zip-corrupt")


def test_case_07_many_entries_share_one_kernel(place):
    """A bomb without recursion: a hundred entries, each of which holds the same bytes."""
    kernel = Record(b"a/data/0", FLOATS)
    records = [*records_of().values()]
    at = make_zip(records).index(b"a/data/0") - 30
    more = [replace(kernel, name=f"a/data/{i}".encode(), written=False, central={"offset": at})
            for i in range(1, 100)]
    place.refuse(make_zip(records + more), "zip-corrupt", "overlaps", offset=at)


@pytest.mark.parametrize("extra", [b"\0", b"trailing", b"PK\5\6", bytes(70000)])
def test_case_08_bytes_behind_the_archive(place, extra):
    content = make_pt()
    place.refuse(content + extra, "zip-corrupt")


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("prefix", [b"PK\3\4", b"PK\3\4" + bytes(100)])
def test_case_08_bytes_before_the_archive(place, prefix, wide):
    place.refuse(make_pt(prefix=prefix, wide=wide), "zip-corrupt", f"{len(prefix)} bytes stand before", offset=0)
    place.refuse(prefix + make_pt(wide=wide), "zip-corrupt")


@pytest.mark.parametrize("entry", ["data/0", "version"])
def test_case_08_bytes_between_entries(place, entry):
    place.refuse(make_pt(change={entry: {"before": b"hidden"}}), "zip-corrupt", "6 bytes stand between")
    place.refuse(make_pt(before_directory=b"hidden"), "zip-corrupt", "6 bytes stand between")


@pytest.mark.parametrize("flag", [ENCRYPTED, ENCRYPTED | 0x40, 0x20, 0x2000])
def test_case_09_encrypted_or_patched(place, flag):
    content = make_pt(change={"data/0": {"flags": UTF8 | flag}})
    place.refuse(content, "zip-corrupt", "encrypted" if flag & ENCRYPTED else "not supported", key=STORAGE,
                 offset=central_of(content, STORAGE))


@pytest.mark.parametrize("method", [1, 6, 9, 12, 14, 93, 95, 99, 65535])
def test_case_09_other_methods(place, method):
    content = make_pt(change={"data/0": {"method": method}})
    place.refuse(content, "zip-corrupt", f"method {method}", key=STORAGE, offset=central_of(content, STORAGE))


# --- sizes that lie ----------------------------------------------------------------------------------


def test_case_10_deflate_bomb(place):
    """Honest headers, and 101 MiB in 100 kB."""
    content = make_pt(change={"data.pkl": {"content": bytes(101 << 20), "method": DEFLATED}})
    assert len(content) < 200_000
    place.refuse(content, "limit", key="a/data.pkl")


@pytest.mark.parametrize("size", [2_000_000_000, 2 ** 32 - 2])
def test_case_10_a_size_that_no_deflate_has(place, size):
    place.refuse(make_pt(change={"data.pkl": {"method": DEFLATED, "central": {"size": size}, "local": {"size": size}}}),
                 "zip-corrupt", "size that its compressed bytes cannot have", key="a/data.pkl")


@pytest.mark.parametrize("more", [-1, 1, 1000])
def test_case_10_inflates_to_another_size(place, more):
    size = len(state_dict("w")) + more
    place.refuse(make_pt(change={"data.pkl": {"method": DEFLATED, "central": {"size": size}, "local": {"size": size}}}),
                 "zip-corrupt", key="a/data.pkl")


@pytest.mark.parametrize("entry", ["data.pkl", "data/0", "version"])
@pytest.mark.parametrize("size", [2_200_000_000, 2 ** 32 - 2, 5000])
def test_case_11_a_size_past_the_file(place, size, entry):
    sizes = {"size": size, "compressed": size}
    place.refuse(make_pt(change={entry: {"central": sizes, "local": sizes}}), "zip-corrupt",
                 "past the end of the data", key=f"a/{entry}")


ENTRY_64 = {
    "offset wraps": ({"offset": IN_64}, zip64_extra(2 ** 64 - 4)),
    "offset is negative": ({"offset": IN_64}, zip64_extra(2 ** 63)),
    "sizes wrap": ({"size": IN_64, "compressed": IN_64}, zip64_extra(2 ** 64 - 1, 2 ** 64 - 1)),
    "sizes wrap to what is right": ({"size": IN_64, "compressed": IN_64}, zip64_extra(2 ** 63 + 16, 2 ** 63 + 16)),
    "one field twice": ({"size": IN_64, "compressed": IN_64}, zip64_extra(16, 16) * 2),
    "two fields that differ": ({"size": IN_64, "compressed": IN_64}, zip64_extra(16, 16) + zip64_extra(8, 8)),
    "no field": ({"size": IN_64, "compressed": IN_64}, b""),
    "field too short": ({"size": IN_64, "compressed": IN_64}, zip64_extra(16)),
    "field too long": ({"size": IN_64, "compressed": IN_64}, zip64_extra(16, 16, 0)),
    "field past its header": ({}, b"\1\0\xff\xff"),
    "field cut short": ({}, b"\1\0"),
    "a second name": ({}, extra_field(0x7075, b"\1\0\0\0\0a/data/1")),
}


@pytest.mark.parametrize("kind", ENTRY_64)
def test_case_12_zip64_fields_of_an_entry(place, kind):
    central, extra = ENTRY_64[kind]
    place.refuse(make_pt(change={"data/0": {"central": central, "central_extra": extra}}), "zip-corrupt", key=STORAGE)


SECOND_NAMES = {"too short": b"\1\0\0\0", "another": b"\1\0\0\0\0a/data/1", "none": b"\1\0\0\0\0"}


@pytest.mark.parametrize("header", ["central_extra", "local_extra"])
@pytest.mark.parametrize("kind", SECOND_NAMES)
def test_case_5_a_second_name(place, kind, header):
    extra = extra_field(0x7075, SECOND_NAMES[kind])
    place.refuse(make_pt(change={"data/0": {header: extra}}), "zip-corrupt", "a second name", key=STORAGE)


def test_case_5_the_same_name_twice(place):
    extra = extra_field(0x7075, b"\1\0\0\0\0a/data/0")
    place.same_as_torch(make_pt(change={"data/0": {"central_extra": extra, "local_extra": extra}}))


def test_case_17_a_directory_that_is_larger_than_names_make_it(place):
    extra = extra_field(0x9999, bytes(65_000))
    content = make_pt(change={name: {"central_extra": extra} for name in ("data.pkl", "data/0", "version")})
    place.refuse(content, "limit", "the central directory has", "zip-entries", inspect=False,
                 options=["--limit", "zip-entries=3"])
    place.same_as_torch(content)


def test_case_12_zip64_field_that_is_right(place):
    change = {"central": {"size": IN_64, "compressed": IN_64}, "central_extra": zip64_extra(16, 16)}
    place.same_as_torch(make_pt(change={"data/0": change}))


END_64 = {"offset wraps": {"offset": 2 ** 64 - 8}, "offset past the end": {"offset": 10 ** 6},
          "size wraps": {"size": 2 ** 64 - 8},
          "size and offset wrap to what is right": {"offset": 2 ** 64 - 1, "size": 400},
          "too few": {"count": 2}, "too many": {"count": 4}, "nearly 2^64": {"count": 2 ** 64 - 1},
          "locator past the end": {"locator": 10 ** 6}, "locator wraps": {"locator": 2 ** 64 - 1},
          "locator elsewhere": {"locator": 0}}


@pytest.mark.parametrize("kind", END_64)
def test_case_12_zip64_end_record(place, kind):
    place.refuse(make_pt(wide=True, wide_fields=END_64[kind]), "limit" if "2^64" in kind else "zip-corrupt")


NAMES = {b"": "empty name", b"/a/data/0": "absolute", b"/etc/passwd": "absolute", b"a/../x": "leads out",
         b"../x": "leads out", b"a/..": "leads out", b"a/data/../../../x": "leads out", b"a\\x": "backslash",
         b"a/..\\x": "backslash", b"C:\\x": "backslash", b"a/x\0y": "NUL", b"\0": "NUL", b"x": "in no folder"}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[2:-1] or "empty")
def test_case_13_names_that_lead_elsewhere(place, name):
    content = make_zip([*records_of().values(), Record(name, b"x")])
    place.refuse(content, "zip-corrupt", NAMES[name], offset=content.rindex(b"PK\1\2"))


@pytest.mark.parametrize("name", [b"a/..x", b"a/x..", b"a/...", b"a/.hidden"])
def test_case_13_dots_that_lead_nowhere(place, name):
    assert "not part of the format" in place.same_as_torch(
        make_zip([*records_of().values(), Record(name, b"x")])).out


@pytest.mark.parametrize("entry", ["data.pkl", "data/0", "version"])
@pytest.mark.parametrize("attributes", [0x10, 0x41ED0010, 0xFFFFFFFF])
def test_case_13_a_file_that_is_marked_as_a_folder(place, entry, attributes):
    """Of which torch reads nothing, and gives memory as it was for what it would have read."""
    place.refuse(make_pt(change={entry: {"attributes": attributes}}), "zip-corrupt", "marked as a folder", key=f"a/{entry}")


@pytest.mark.parametrize("attributes", [0x20, 0x81A40000, 0o100600 << 16])
def test_case_13_other_attributes(place, attributes):
    place.same_as_torch(make_pt(change={"data/0": {"attributes": attributes}}))


@pytest.mark.parametrize("name", [b"a/VERSION", b"a/Data.pkl", b"A/data/0", b"a/DATA/0"])
def test_case_14_names_that_differ_in_case(place, name):
    place.refuse(make_zip([*records_of().values(), Record(name, b"x")]), "zip-corrupt", "but for case",
                 key=name.decode())


@pytest.mark.parametrize("name", [b"b/version", b"b/data/0", b"aa/x", b"ab/"])
def test_case_14_two_roots(place, name):
    place.refuse(make_zip([*records_of().values(), Record(name, b"")]), "zip-corrupt", "two folders at the top")


@pytest.mark.parametrize("entry", ["version", "data.pkl", "data/0"])
def test_case_15_a_record_is_missing(place, entry):
    records = records_of()
    del records[entry]
    place.refuse(make_zip(list(records.values())), "zip-corrupt", f"'{entry}'", "missing")


def test_case_15_the_second_of_three_storages_is_missing(place):
    pickle = PROTO + dict_of(*((text(f"w{key}"), tensor(key)) for key in "012")) + STOP
    place.refuse(make_pt(pickle, {"0": FLOATS, "2": FLOATS}), "zip-corrupt", "'data/1'", "missing", key="a/data.pkl")


@pytest.mark.parametrize("version", [b"", b"0\n", b"99\n", b"-3\n", b"3.0\n", b"three", b"3\n\n", b"3 ", bytes(65),
                                     b"9" * 64])
def test_case_15_a_version_that_is_none(place, version):
    place.refuse(make_pt(change={"version": {"content": version}}), "limit" if len(version) > 64 else "zip-corrupt",
                 key="a/version")


def test_case_15_the_version_where_torch_looks_first(place):
    records = records_of()
    first = replace(records["version"], name=b"a/.data/version")
    place.same_as_torch(make_zip([*list(records.values())[:-1], first]))
    place.refuse(make_zip([*records.values(), replace(first, content=b"99\n")]), "zip-corrupt", key="a/.data/version")


def test_case_13_folders_are_no_records(place):
    folders = [Record(b"a/", b""), Record(b"a/data/", b""), Record(b"a/more/", b"")]
    shown = place.same_as_torch(make_zip([*folders, *records_of().values()]))
    assert "more" not in shown.out, str(shown)


NUMBERS = {"FloatStorage": 4, "DoubleStorage": 8, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8,
           "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
           "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16}


@pytest.mark.parametrize("kind", NUMBERS)
def test_case_16_big_endian_numbers_are_swapped(place, kind):
    count = 64 // NUMBERS[kind]
    data = bytes(i % 2 for i in range(64)) if kind == "BoolStorage" else bytes(range(64))
    pickle = PROTO + dict_of((text("all"), tensor("0", (count,), kind=kind)),
                             (text("part"), tensor("0", (2,), 1, kind=kind, numel=count))) + STOP
    shown = place.same_as_torch(make_zip(list(records_of(pickle, {"0": data}, b"big").values())))
    assert "big-endian" in shown.out, str(shown)


def test_case_16_what_a_big_endian_file_has_no_numbers_of(place):
    """Empty storages and tensors that are not read say nothing of the widths of others."""
    pickle = PROTO + dict_of((text("w"), tensor()), (text("none"), tensor("1", (0,))), (text("q"), quantized("2"))) + STOP
    content = make_zip(list(records_of(pickle, {"0": FLOATS, "1": b"", "2": FLOATS}, b"big").values()))
    shown = run("inspect", place.write(content), cwd=place.folder)
    assert shown.status == 0 and "big-endian" in shown.out and "quantized" in shown.out, str(shown)


@pytest.mark.parametrize("word", [b"", b"Big", b"BIG", b"middle", b"little\n", b"big\0", b"littlebig", b"<",
                                  b"\xff\xfe"])
def test_case_16_another_byte_order(place, word):
    content = make_zip(list(records_of(byteorder=word).values()))
    place.refuse(content, "zip-corrupt", "neither 'little' nor 'big'", key="a/byteorder")


def with_empty_entries(count):
    """A whole checkpoint with so many entries in all."""
    records = list(records_of().values())
    head = b"".join(local_and_data(one) for one in records)
    body, directory, at = [head], [], 0
    for one in records:
        directory.append(central_header(one, at))
        at += len(local_and_data(one))
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 0, UTF8, 0, 0, 0, 0, 0, 0, 9, 0)
    central = struct.pack("<4s6H3I5HI", b"PK\1\2", 0, 0, UTF8, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0)
    for i in range(count - len(records)):
        name = b"a/%07d" % i
        body.append(local + name)
        directory.append(central + at.to_bytes(4, "little") + name)
        at += 39
    directory = b"".join(directory)
    end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 0, 0, 0, 0, count, count, len(directory), at)
    end += struct.pack("<4sIQI", b"PK\6\7", 0, at + len(directory), 1)
    end += struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, IN_64, IN_64, 0)
    return b"".join([*body, directory, end])


def local_and_data(record):
    return local_header(record) + record.data()


@pytest.mark.parametrize("count", [1_000_000, 1_000_001])
def test_case_17_a_million_empty_entries(place, count):
    place.write(with_empty_entries(count))
    result = run("inspect", "model.pt", cwd=place.folder)
    if count == 1_000_000:
        assert result.status == 0 and "999997 records that are not part" in result.out, str(result)
    else:
        only, = errors_of(result)
        assert (result.status, only.code, only.file) == (3, "limit", "model.pt"), str(result)
        assert "1000001 entries; the limit is 1000000" in only.message


# --- cut short ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("part", range(8))
def test_case_18_truncated_at_every_byte(place, part, wide):
    """Every length with `inspect`, every tenth with `apply`."""
    content = make_pt(wide=True) if wide else make_pt()
    for size in range(part, len(content), 8):
        if size % 10 == 0:
            place.refuse(content[:size], "not-a-checkpoint" if size < 4 else "zip-corrupt", inspect=False)
            continue
        place.write(content[:size])
        result = run("inspect", "model.pt", cwd=place.folder)
        only, = errors_of(result)
        assert result.status == 3 and only.file == "model.pt", str(result)
        assert only.code == ("not-a-checkpoint" if size < 4 else "zip-corrupt"), f"{size}\n{result}"


# --- something else ----------------------------------------------------------------------------------

OTHERS = {
    "empty": (b"", "empty"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "7z"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
    "html": (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "HTML"),
    "html without doctype": (b"\n\n<html><head></head></html>", "HTML"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n", "git-LFS"),
    "gzip": (gzip.compress(b"x" * 1000, mtime=0), "gzip"),
    "text": (b"epoch 1 loss 0.5\n" * 20, "text"),
    "json": (b'{"hidden_size": 4}\n', "JSON"),
    "zeros": (bytes(5000), "zero bytes"),
    "zip of nothing": (make_zip([]), "zip archive of nothing"),
}


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize("kind", OTHERS)
def test_case_19_something_else(place, kind, suffix):
    content, word = OTHERS[kind]
    place.refuse(content, "not-a-checkpoint", word, name=f"model{suffix}")
