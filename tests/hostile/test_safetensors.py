"""Cases 61 to 71: safetensors headers that lie."""

import json
import os
import signal
import struct
import subprocess
import time

import pytest

from craft import (PROGRAM, accepted, check_refusal, one, prepare, refused, run, said, snapshot, tensor, with_header,
                   write_pt)

CORRUPT = "safetensors-corrupt"
ENTRY = json.dumps(one())


def refused_file(folder, content, *words, code=CORRUPT, read_elsewhere=False, **more):
    """`read_elsewhere`: safetensors itself reads it."""
    assert (reference(content) is not None) == read_elsewhere
    (folder / "m.safetensors").write_bytes(content)
    return refused(folder, "m.safetensors", code, "at offset ", *words, **more)


def reference(content):
    """What safetensors itself reads, or None."""
    import safetensors.numpy

    try:
        return safetensors.numpy.load(content)
    except Exception:  # of whatever type: it refuses
        return None


# --- 61: the length of the header ---------------------------------------------------------------------


@pytest.mark.parametrize("length", [3, 100, 100_000_001, 2**31, 2**32 + 2, 2**63 - 1, 2**63, 2**63 + 2, 2**64 - 8,
                                    2**64 - 1])
def test_case_61_header_past_the_file(tmp_path, length):
    refused_file(tmp_path, with_header("{}", length=length), "at offset 0",
                 f"the header has {length} bytes, but 2 follow")


@pytest.mark.parametrize("length", [0, 1])
@pytest.mark.parametrize("follow", [b"", b"{}"])
def test_case_61_header_too_short(tmp_path, length, follow):
    if length > len(follow):
        refused_file(tmp_path, struct.pack("<Q", length) + follow, "at offset 0")
    else:
        refused_file(tmp_path, struct.pack("<Q", length) + follow,
                     f"the header has {length} bytes, fewer than {{}} has")


@pytest.mark.parametrize("size", range(1, 8))
def test_case_61_file_that_ends_in_the_length(tmp_path, size):
    refused_file(tmp_path, with_header("{}")[:size], "the file ends inside the length of its header")


def test_case_61_header_over_the_limit(tmp_path):
    with open(tmp_path / "m.safetensors", "wb") as file:
        file.write(struct.pack("<Q", 100_000_001) + b"{")
        file.truncate(100_000_200)
    refused(tmp_path, "m.safetensors", "limit", "100000000")


# --- 62, 63: there twice ------------------------------------------------------------------------------


@pytest.mark.parametrize("header, key", [
    ('{"a":%s,"a":%s}' % (ENTRY, ENTRY), "a"),
    ('{"__metadata__":{"k":"1","k":"2"},"a":%s}' % ENTRY, "k"),
    ('{"__metadata__":{"k":"1","k":"1"},"a":%s}' % ENTRY, "k"),
    ('{"__metadata__":{},"__metadata__":{},"a":%s}' % ENTRY, "__metadata__"),
    ('{"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}}', "dtype"),
    ('{"a":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}}', "shape"),
    ('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"data_offsets":[0,4]}}', "data_offsets"),
])
def test_case_62_duplicates(tmp_path, header, key):
    refused_file(tmp_path, with_header(header, b"abcd"), f"the key '{key}' is there twice",
                 read_elsewhere=key in ("a", "k"))


@pytest.mark.parametrize("end", [(0, 4), (4, 8)])
def test_case_63_a_duplicate_through_an_escape(tmp_path, end):
    second = json.dumps(one(begin=end[0], end=end[1]))
    refused_file(tmp_path, with_header('{"a":%s,"\\u0061":%s}' % (ENTRY, second), bytes(end[1])),
                 "the key 'a' is there twice", read_elsewhere=end == (0, 4))


def test_case_63_duplicates_of_fields_through_escapes(tmp_path):
    header = '{"a":{"dtype":"U8","d\\u0074ype":"U8","shape":[4],"data_offsets":[0,4]}}'
    refused_file(tmp_path, with_header(header, b"abcd"), "the key 'dtype' is there twice")
    header = '{"__metadata__":{},"\\u005f_metadata__":{},"a":%s}' % ENTRY
    refused_file(tmp_path, with_header(header, b"abcd"), "the key '__metadata__' is there twice")


# --- 64: where the data is ----------------------------------------------------------------------------


@pytest.mark.parametrize("entries, size", [
    ({"a": one(), "b": one(begin=5, end=9)}, 9),
    ({"a": one(begin=1, end=5)}, 5),
    ({"a": one(), "b": one(begin=3, end=7)}, 7),
    ({"a": one(), "b": one()}, 4),
    ({"a": one()}, 5),
    ({"a": one()}, 4 + 4096),
    ({"a": one(shape=(0,), begin=0, end=0)}, 1),
    ({"a": one()}, 3),
    ({"a": one()}, 0),
    ({"a": one(begin=4, end=0)}, 4),
    ({"a": one(begin=4, end=8)}, 4),
    ({"a": one(end=5)}, 5),
    ({"a": one(end=3)}, 3),
    ({"a": one(shape=(5,))}, 4),
    ({"a": one("F32")}, 4),
    ({"a": one(end=2**63)}, 4),
    ({"a": one(begin=2**63 - 4, end=2**63)}, 4),
    ({"a": one(begin=2**64 - 4, end=2**64 - 1)}, 4),
])
def test_case_64_holes_overlaps_and_trailing_bytes(tmp_path, entries, size):
    content = with_header(entries, bytes(size))
    refused_file(tmp_path, content)


# --- 65, 66, 67: what an entry says ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype, shape", [
    ("U8", (2**32, 2**33)), ("U8", (0, 2**64 - 1, 2)), ("U8", (2, 2**64 - 1, 0)), ("U8", (0, 2**63 - 1, 3)),
    ("U8", (3, 2**63 - 1, 0)), ("U8", (3, 0, 2**63 - 1)), ("F64", (2**61,)), ("F32", (2**62 + 1,)),
    ("F64", (2**60 + 1, 2)), ("C64", (2**61,)),
])
@pytest.mark.parametrize("end", [0, 4])
def test_case_65_shapes_that_overflow(tmp_path, dtype, shape, end):
    refused_file(tmp_path, with_header({"a": one(dtype, shape, end=end)}, bytes(end)), "in 'a'")


@pytest.mark.parametrize("text", ["4.0", "4e0", "-4", str(2**64), str(2**64 + 4), "1e400", "true", "null", '"4"',
                                  "[4]"])
@pytest.mark.parametrize("place", ["shape", "begin", "end"])
def test_case_66_numbers_that_are_no_sizes(tmp_path, text, place):
    shape, begin, end = (text if at == place else right for at, right in (("shape", "4"), ("begin", "0"), ("end", "4")))
    header = '{"a":{"dtype":"U8","shape":[%s],"data_offsets":[%s,%s]}}' % (shape, begin, end)
    refused_file(tmp_path, with_header(header, bytes(4)))


@pytest.mark.parametrize("dtype", ["F128", "u8", "float32", "", "U8 ", "FLOAT", "F8", "I128", "\u00ff"])
def test_case_66_unknown_dtypes(tmp_path, dtype):
    refused_file(tmp_path, with_header({"a": one(dtype)}, bytes(4)), "in 'a': the tensor has an unknown dtype")


@pytest.mark.parametrize("dtype", [None, 1, [], {}, True])
def test_case_66_dtypes_that_are_no_text(tmp_path, dtype):
    refused_file(tmp_path, with_header({"a": one(dtype)}, bytes(4)), "in 'a': the tensor has a dtype that is no string")


@pytest.mark.parametrize("left_out", ["dtype", "shape", "data_offsets"])
def test_case_66_fields_that_are_missing(tmp_path, left_out):
    entry = {key: value for key, value in one().items() if key != left_out}
    refused_file(tmp_path, with_header({"a": entry}, bytes(4)), f"in 'a': the tensor has no field '{left_out}'")


@pytest.mark.parametrize("field", ["extra", "Dtype", "data_offset", "", "__metadata__"])
def test_case_67_unknown_fields(tmp_path, field):
    content = with_header({"a": one(**{field: 1})}, bytes(4))
    refused_file(tmp_path, content, f"in 'a': the tensor has an unknown field '{field}'", read_elsewhere=True)


@pytest.mark.parametrize("space", [" ", "\n", "\t", "\r\n", " " * 100])
def test_case_67_leading_space(tmp_path, space):
    content = with_header(space + '{"a":%s}' % ENTRY, bytes(4))
    refused_file(tmp_path, content, "at offset 8: the header does not begin with {", read_elsewhere=True)


@pytest.mark.parametrize("space", [" ", " " * 7, "\n"])
def test_case_67_padding_behind_is_genuine(tmp_path, space):
    from safetensors.numpy import load_file

    content = with_header('{"a":%s}%s' % (ENTRY, space), b"abcd")
    (tmp_path / "m.safetensors").write_bytes(content)
    _, output = accepted(tmp_path, "m.safetensors", output="out/new.safetensors")
    assert load_file(output)["a"].tobytes() == reference(content)["a"].tobytes() == b"abcd"


# --- 68: what is no JSON of ours ------------------------------------------------------------------------


@pytest.mark.parametrize("header, words", [
    (b"\xef\xbb\xbf{}", "does not begin with {"), ("{}".encode("utf-16"), "does not begin with {"),
    (b"[]", "does not begin with {"), (b"null", "does not begin with {"), (b"[" * 100_000, "does not begin with {"),
    (b"{}\0\0\0\0\0\0", "a NUL byte"), (b'{"a\0":1}', "a NUL byte"),
    (b"{}x", "not JSON"), (b"{}{}", "not JSON"), (b"{,}", "not JSON"),
    (b'{"__metadata__":{},}', "not JSON"), (b"{'a':1}", "not JSON"), (b'{"a" 1}', "not JSON"),
    (b'{"a":NaN}', "not JSON"),
    (b'{"a":/**/1}', "not JSON"), (b'{"\xff":1}', "not JSON"), (b'{"\\ud800":1}', "not JSON"),
    (b'{"\\udc00":1}', "not JSON"),
    (b'{"\xed\xa0\x80":1}', "not JSON"), (b'{"\xc0\xaf":1}', "not JSON"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "more than 8 levels of nesting"),
    (b'{"a":{"dtype":' + b"[" * 100_000, "more than 8 levels of nesting"),
    (b'{"__metadata__":{"a":' + b"[" * 100_000, "more than 8 levels of nesting"),
])
def test_case_68_headers_that_are_no_json(tmp_path, header, words):
    refused_file(tmp_path, with_header(header), words)


@pytest.mark.parametrize("metadata", ['[]', '"x"', 'null', '{"k":1}', '{"k":null}', '{"k":{}}', '{"k":["v"]}'])
def test_case_68_metadata_that_is_no_map_of_texts(tmp_path, metadata):
    refused_file(tmp_path, with_header('{"__metadata__":%s,"a":%s}' % (metadata, ENTRY), bytes(4)), "in '__metadata__'",
                 read_elsewhere=metadata == "null")


@pytest.mark.parametrize("entry", ["1", "null", "[]", '"x"'])
def test_case_68_entries_that_are_no_objects(tmp_path, entry):
    refused_file(tmp_path, with_header('{"a":%s}' % entry), "'a'", "is not a JSON object")


# --- 69, 70, 71: writing and changing ---------------------------------------------------------------------


def test_case_69_a_tensor_named_as_the_metadata(tmp_path):
    write_pt(tmp_path / "m.pt", {"__metadata__": tensor()})
    refused(tmp_path, "m.pt", "cannot-write", "__metadata__", inspect=False, status=2, output="out/new.safetensors")
    (tmp_path / "m.safetensors").write_bytes(with_header({"a": one()}, bytes(4)))
    result = run("apply", "m.safetensors", "-e", "{rename: '^a$', to: __metadata__}", "-o", "out/new.safetensors",
                 cwd=tmp_path)
    check_refusal(result, "cannot-write", ["__metadata__"], status=2)
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("left", [1 << 20, 1000, 0])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_case_70_the_file_shrinks_while_it_is_read(tmp_path, left, suffix):
    size = 128 << 20
    head = with_header({f"t{i}": one(shape=(size,), begin=i * size, end=(i + 1) * size) for i in range(4)})
    prepare(tmp_path)
    for _ in range(5):
        with open(tmp_path / "m.safetensors", "wb") as file:
            file.write(head)
            file.truncate(len(head) + 4 * size)
        process = subprocess.Popen([PROGRAM, "apply", "spec.yaml", "m.safetensors", "-o", f"out/new{suffix}",
                                    "--no-sync", "--digest", "none"], cwd=tmp_path, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not os.listdir(tmp_path / "out"):
            time.sleep(0.0005)
        process.send_signal(signal.SIGSTOP)
        os.truncate(tmp_path / "m.safetensors", left)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
        if process.returncode != 0:
            assert process.returncode == 3 and ("error[file-read]" in err or "error[file-changed]" in err), err
            assert "m.safetensors" in err
            assert os.listdir(tmp_path / "out") == []
            return
        (tmp_path / f"out/new{suffix}").unlink()
    raise AssertionError("the program was done before the file could shrink")


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("output", ["m.safetensors", "./m.safetensors", "out/../m.safetensors", "hard.safetensors",
                                    "soft.safetensors", "out/soft.safetensors"])
def test_case_71_the_output_is_the_input(tmp_path, output, force):
    prepare(tmp_path)
    (tmp_path / "m.safetensors").write_bytes(with_header({"a": one()}, bytes(4)))
    os.link(tmp_path / "m.safetensors", tmp_path / "hard.safetensors")
    (tmp_path / "soft.safetensors").symlink_to("m.safetensors")
    (tmp_path / "out/soft.safetensors").symlink_to(tmp_path / "m.safetensors")
    before = snapshot(tmp_path)
    result = run("apply", "spec.yaml", "m.safetensors", "-o", output, *force, cwd=tmp_path)
    check_refusal(result, "file-is-input", ["m.safetensors"])
    assert snapshot(tmp_path) == before, said(result)
