"""Pickles that are broken or made to do harm: cases 20 to 40 of docs/security.md."""

import pickletools
import resource
import struct

import pytest

from builders import (FLOATS, PROTO, STOP, beside_a_tensor, call, dict_of, integer, integers, make_pt, name_of,
                      ordered_dict, place_of_pickle, state_dict, storage, tensor, text, tuple_of)
from helpers import run

PICKLE = "a/data.pkl"
START = place_of_pickle(make_pt())  # of the pickle in the file
GIB = 1 << 30


def little_memory():
    """An allocation of what a length states fails, instead of going unseen."""
    resource.setrlimit(resource.RLIMIT_AS, (2 * GIB, 2 * GIB))


def refuse(place, pickle, *words, code="pickle-corrupt", at=None, **options):
    """Refused in the pickle; `at` is where the opcode stands in it."""
    return place.refuse(make_pt(pickle), code, *words, key=PICKLE, offset=None if at is None else START + at,
                        **options)


def names_in(place, pickle, *options, storages=None):
    place.write(make_pt(pickle, storages))
    result = run("inspect", "model.pt", "--keys", "--root", "", *options, cwd=place.folder)
    assert result.status == 0, str(result)
    return result.out.splitlines()


# --- the stack ------------------------------------------------------------------------------------

# What stands before the opcode that fails, and that opcode with its operands.
UNDERFLOWS = [
    (b"", b"."), (b"", b"0"), (b"", b"1"), (b"", b"2"), (b"(", b"."), (b"", b"a"), (b"N", b"a"), (b"", b"e"),
    (b"(", b"e"), (b"N", b"e"), (b"", b"s"), (b"N", b"s"), (b"}N", b"s"), (b"", b"u"), (b"(", b"u"), (b"}", b"u"),
    (b"", b"\x90"), (b"(", b"\x90"), (b"\x8f", b"\x90"), (b"", b"t"), (b"N", b"t"), (b"", b"\x85"), (b"N", b"\x86"),
    (b"NN", b"\x87"), (b"", b"l"), (b"", b"d"), (b"", b"\x91"), (b"", b"R"), (b"N", b"R"), (b"", b"\x81"),
    (b"N", b"\x81"), (b"", b"\x92"), (b"N", b"\x92"), (b"NN", b"\x92"), (b"", b"b"), (b"N", b"b"), (b"", b"o"),
    (b"(", b"o"), (b"", b"ios\nsystem\n"), (b"", b"\x93"), (b"N", b"\x93"), (b"", b"Q"), (b"", b"q\0"),
    (b"", b"p0\n"), (b"", b"r\0\0\0\0"), (b"", b"\x94"), (b"", b"h\0"), (b"", b"g0\n"), (b"", b"j\0\0\0\0"),
    # Below a MARK is out of reach.
    (b"N(", b"\x85"), (b"NN(", b"\x86"), (b"NNN(", b"\x87"), (b"](", b"a"), (b"N(", b"2"), (b"N(", b"q\0"),
    (b"N(", b"\x94"), (b"}NN(", b"s"), (b"cos\nsystem\n)(", b"R"),
]


@pytest.mark.parametrize("before, opcode", UNDERFLOWS, ids=lambda part: part.hex() or "-")
def test_case_20_stack_underflow_and_missing_mark(place, before, opcode):
    refuse(place, PROTO + before + opcode + b".", at=2 + len(before))


@pytest.mark.parametrize("rest, count", [(b"NN", 2), (b"N(", 1), (b"(N", 1), (b"((", 0), (b"N" * 50, 50)])
def test_case_20_stop_with_more_or_less_than_one_value(place, rest, count):
    refuse(place, PROTO + rest + b".", f"STOP with {count} values", at=2 + len(rest))


# --- operands -------------------------------------------------------------------------------------

OPERANDS = {
    "PROTO": b"\x80\2", "INT": b"I-7\n", "BININT": b"J\1\2\3\4", "BININT1": b"K\1", "BININT2": b"M\1\2",
    "LONG": b"L12L\n", "LONG1": b"\x8a\3abc", "LONG4": b"\x8b\3\0\0\0abc", "FLOAT": b"F0.5\n",
    "BINFLOAT": b"G" + bytes(8), "STRING": b"S'abc'\n", "BINSTRING": b"T\3\0\0\0abc", "SHORT_BINSTRING": b"U\3abc",
    "UNICODE": b"Vabc\n", "BINUNICODE": b"X\3\0\0\0abc", "SHORT_BINUNICODE": b"\x8c\3abc",
    "BINUNICODE8": b"\x8d\3" + bytes(7) + b"abc", "BINBYTES": b"B\3\0\0\0abc", "SHORT_BINBYTES": b"C\3abc",
    "BINBYTES8": b"\x8e\3" + bytes(7) + b"abc", "BYTEARRAY8": b"\x96\3" + bytes(7) + b"abc",
    "GLOBAL": b"cos\nsystem\n", "INST": b"ios\nsystem\n", "PERSID": b"Pabc\n", "PUT": b"p12\n", "BINPUT": b"q\1",
    "LONG_BINPUT": b"r\1\0\0\0", "GET": b"g12\n", "BINGET": b"h\1", "LONG_BINGET": b"j\1\0\0\0",
    "FRAME": b"\x95\3" + bytes(7) + b"NN.", "EXT1": b"\x82\1", "EXT2": b"\x83\1\0", "EXT4": b"\x84\1\0\0\0",
}


@pytest.mark.parametrize("opcode", OPERANDS)
def test_case_21_truncated_operand(place, opcode):
    stream = OPERANDS[opcode]
    before = b"" if opcode == "PROTO" else PROTO + {"PUT": b"N", "INST": b"("}.get(opcode.replace("BIN", "").replace(
        "LONG_", ""), b"")
    end = 9 if opcode == "FRAME" else len(stream)
    for size in range(1, end):
        refuse(place, before + stream[:size], at=len(before), inspect=size == 1)


HUGE = {
    "BINUNICODE of 4 GiB": b"X\xff\xff\xff\xff", "BINBYTES of 4 GiB": b"B\xff\xff\xff\xff",
    "BINUNICODE of 1 GiB": b"X\0\0\0\x40", "BINSTRING of 2 GiB": b"T\xff\xff\xff\x7f",
    "LONG4 of 2 GiB": b"\x8b\xff\xff\xff\x7f", "BINBYTES8 of 2^63": b"\x8e" + struct.pack("<Q", 2 ** 63),
    "BINBYTES8 of 2^64-1": b"\x8e" + b"\xff" * 8, "BINBYTES8 that wraps": b"\x8e" + struct.pack("<Q", 2 ** 64 - 9),
    "BINUNICODE8 of 2^63": b"\x8d" + struct.pack("<Q", 2 ** 63), "BINUNICODE8 of 2^64-1": b"\x8d" + b"\xff" * 8,
    "BYTEARRAY8 of 2^63": b"\x96" + struct.pack("<Q", 2 ** 63),
    "BYTEARRAY8 of 2^40": b"\x96" + struct.pack("<Q", 2 ** 40),
    "FRAME of 2^64-1": b"\x95" + b"\xff" * 8, "FRAME of 2^63": b"\x95" + struct.pack("<Q", 2 ** 63),
}


@pytest.mark.parametrize("kind", HUGE)
def test_case_22_a_length_past_the_end(place, kind):
    """The length is compared with what is left before anything is allocated."""
    refuse(place, PROTO + HUGE[kind] + b"abc.", at=2, preexec_fn=little_memory)


@pytest.mark.parametrize("opcode", [b"X%b", b"B%b", b"T%b"])
def test_case_22_a_string_past_the_limit(place, opcode):
    string = opcode % struct.pack("<I", (16 << 20) + 1) + bytes((16 << 20) + 1)
    refuse(place, beside_a_tensor(string), "the limit is 16777216", code="limit", inspect=False)


def test_case_22_a_string_at_the_limit(place):
    place.accept(make_pt(beside_a_tensor(b"X" + struct.pack("<I", 16 << 20) + bytes(16 << 20))))


@pytest.mark.parametrize("put, get", [(b"r\xff\xff\xff\xff", b"j\xff\xff\xff\xff"), (b"p18446744073709551615\n",
                                      b"g18446744073709551615\n"), (b"r\0\0\0\x80", b"j\0\0\0\x80")])
def test_case_23_a_memo_index_is_no_size(place, put, get):
    pickle = PROTO + b"}" + text("w") + put + b"0" + get + tensor() + b"s."
    place.accept(make_pt(pickle), preexec_fn=little_memory)
    assert names_in(place, pickle) == ["w"]


@pytest.mark.parametrize("index", [b"9" * 25, b"18446744073709551616", b"-1", b"", b"0x10", b" 1", b"1 ", b"1.0"])
@pytest.mark.parametrize("opcode", [b"p", b"g"])
def test_case_23_a_memo_index_that_is_none(place, opcode, index):
    refuse(place, PROTO + b"N" + opcode + index + b"\n.", at=3)


@pytest.mark.parametrize("more", [0, 1])
def test_case_23_the_memo_at_its_limit(place, more):
    pickle = PROTO + b"}" + b"\x94" * (10_000_000 + more) + text("w") + tensor() + b"s."
    if more:
        refuse(place, pickle, "memo", "the limit is 10000000", code="limit", at=3 + 10_000_000, inspect=False)
    else:
        assert names_in(place, pickle) == ["w"]


def test_case_23_a_memo_entry_that_is_not_there(place):
    refuse(place, PROTO + b"Nq\x01" + b"0h\x02.", "memo 2", at=6)


INTEGERS = {"LONG1": lambda size: b"\x8a" + bytes([size % 256]) + b"\1" * size,
            "LONG4": lambda size: b"\x8b" + struct.pack("<I", size) + b"\1" * size,
            "LONG": lambda size: b"L" + b"7" * size + b"\n", "INT": lambda size: b"I" + b"7" * size + b"\n"}


@pytest.mark.parametrize("opcode", ["LONG4", "LONG", "INT"])
@pytest.mark.parametrize("size", [1024, 1025, 1_000_000])
def test_case_24_an_integer_of_so_many_bytes(place, opcode, size):
    pickle = beside_a_tensor(INTEGERS[opcode](size))
    if size > 1024:
        refuse(place, pickle, f"an integer of {size}", "the limit is 1024", code="limit")
    else:
        place.accept(make_pt(pickle))


# --- shapes of graphs -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind, levels", [("DUP", 500), ("memo", 30), ("lists", 30)])
def test_case_25_billion_laughs(place, kind, levels):
    """Small to hold; what refers to itself so often is not walked to the end."""
    value = {"DUP": b"N\x85" + b"2\x86" * levels,
             "memo": b"N\x85" + b"".join(b"r" + struct.pack("<I", 100 + i) + b"j" + struct.pack("<I", 100 + i)
                                         + b"\x86" for i in range(levels)),
             "lists": b"]" + b"".join(b"r" + struct.pack("<I", i) + b"0](j" + struct.pack("<I", i) + b"j"
                                      + struct.pack("<I", i) + b"e" for i in range(levels))}[kind]
    refuse(place, beside_a_tensor(value), "refer to one another so often", code="limit", inspect=False,
           preexec_fn=little_memory)


@pytest.mark.parametrize("more", [0, 1])
def test_case_25_the_stack_at_its_limit(place, more):
    value = b"(" + b"N" * (1_000_000 - 6 + more) + b"t"  # a dict, two marks, two keys and a tensor are there already
    if more:
        refuse(place, beside_a_tensor(value), "stack", "the limit is 1000000", code="limit", inspect=False)
    else:
        place.accept(make_pt(beside_a_tensor(value)))


@pytest.mark.parametrize("more", [0, 1])
def test_case_25_opcodes_at_their_limit(place, more):
    left = 20_000_000 - sum(1 for _ in pickletools.genops(beside_a_tensor(b"N"))) + more
    value = b"N" + b"20" * (left // 2) + b"q\0" * (left % 2)
    if more:
        refuse(place, beside_a_tensor(value), "too many opcodes", "the limit is 20000000", code="limit", inspect=False)
    else:
        place.accept(make_pt(beside_a_tensor(value)))


@pytest.mark.parametrize("more", [0, 1])
def test_case_25_bytes_of_a_pickle_at_their_limit(place, more):
    size = (100 << 20) + more - len(beside_a_tensor(b"N"))
    string = b"B" + struct.pack("<I", 16 << 20) + bytes(16 << 20) + b"0"
    rest = size % len(string)
    value = string * (size // len(string)) + b"B" + struct.pack("<I", rest - 6) + bytes(rest - 6) + b"0N"
    if more:
        refuse(place, beside_a_tensor(value), "the limit is 104857600", code="limit", inspect=False)
    else:
        assert len(beside_a_tensor(value)) == 100 << 20
        place.accept(make_pt(beside_a_tensor(value)))


def nested(levels, kind):
    return {"tuples": b"N" + b"\x85" * levels, "lists": b"]" * levels + b"a" * (levels - 1),
            "dicts": b"}" + (text("k") + b"}") * (levels - 1) + b"s" * (levels - 1)}[kind]


@pytest.mark.parametrize("kind", ["tuples", "lists", "dicts"])
@pytest.mark.parametrize("levels", [900, 999, 1000, 300_000])
def test_case_26_depth(place, kind, levels):
    pickle = beside_a_tensor(nested(levels, kind))
    if levels < 1000:  # the dict is one more
        place.accept(make_pt(pickle))
    else:
        refuse(place, pickle, "too deep", "the limit is 1000", code="limit", preexec_fn=little_memory)


def test_case_26_depth_of_a_million(place):
    refuse(place, PROTO + b"N" + b"\x85" * 1_000_000 + b".", "too deep", code="limit", at=2 + 1 + 1000)


@pytest.mark.parametrize("value", [b"]q\x63h\x63a", b"]q\x63h\x63\x85a", b"}q\x63" + text("self") + b"h\x63s"])
def test_case_27_a_container_that_holds_itself(place, value):
    shown = place.same_as_torch(make_pt(beside_a_tensor(value)))
    assert "extra" in shown.out, str(shown)


def test_case_27_the_root_holds_itself(place):
    pickle = PROTO + b"}q\0" + text("self") + b"h\0s" + text("w") + tensor() + b"s."
    assert names_in(place, pickle) == ["w"]


def test_case_28_both_aliases_of_a_dict_change(place):
    import torch

    pickle = PROTO + b"}(" + text("x") + b"}q\1" + text("y") + b"h\1" + text("late") + tensor() + b"su."
    assert names_in(place, pickle) == ["x.late", "y.late"]
    theirs = torch.load(place.folder / "model.pt", weights_only=True)
    assert list(theirs) == ["x", "y"] and list(theirs["x"]) == ["late"] and theirs["x"] is theirs["y"]


def test_case_28_both_aliases_of_a_list_change(place):
    import torch

    pickle = PROTO + b"](]q\1h\1" + tensor() + b"ae."
    assert names_in(place, pickle) == ["0.0", "1.0"]
    theirs = torch.load(place.folder / "model.pt", weights_only=True)
    assert len(theirs[0]) == 1 and theirs[0] is theirs[1]


# --- code -----------------------------------------------------------------------------------------

COMMAND = "touch ran"
# What makes the value, and the name under which the report shows it.
CALLS = {
    "GLOBAL": (b"cos\nsystem\n" + tuple_of(text(COMMAND)) + b"R", "os.system"),
    "GLOBAL of posix": (b"cposix\nsystem\n" + tuple_of(text(COMMAND)) + b"R", "posix.system"),
    "GLOBAL that is not called": (b"cos\nsystem\n", "os.system"),
    "INST": (b"(" + text(COMMAND) + b"ios\nsystem\n", "os.system"),
    "OBJ": (b"(cos\nsystem\n" + text(COMMAND) + b"o", "os.system"),
    "STACK_GLOBAL": (text("os") + text("system") + b"\x93" + tuple_of(text(COMMAND)) + b"R", "os.system"),
    "NEWOBJ": (b"cos\nsystem\n" + tuple_of(text(COMMAND)) + b"\x81", "os.system"),
    "NEWOBJ_EX": (b"cos\nsystem\n" + tuple_of(text(COMMAND)) + b"}\x92", "os.system"),
    "BUILD": (b"cos\nsystem\n" + tuple_of(text(COMMAND)) + b"R" + dict_of((text("a"), integer(1))) + b"b", "os.system"),
    "eval": (b"cbuiltins\neval\n" + tuple_of(text("open('ran', 'w')")) + b"R", "builtins.eval"),
    "exec of Python 2": (b"c__builtin__\nexec\n" + tuple_of(text("open('ran', 'w')")) + b"R", "builtins.exec"),
    "getattr": (call("builtins", "getattr", name_of("os", "path"), text("system")), "builtins.getattr"),
    "a dotted name": (name_of("torch", "serialization.os.system") + tuple_of(text(COMMAND)) + b"R",
                      "torch.serialization.os.system"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_case_29_code_is_inert_and_reported(place, kind):
    import pickle

    import torch

    value, name = CALLS[kind]
    output, shown = place.accept(make_pt(beside_a_tensor(value)))
    assert "extra" in shown.out and name in shown.out, str(shown)
    assert not (place.folder / "ran").exists()
    assert torch.load(output, weights_only=True)["w"].tolist() == list(struct.unpack("<4f", FLOATS))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(place.folder / "model.pt", weights_only=True)


@pytest.mark.parametrize("kind", CALLS)
def test_case_29_code_in_place_of_a_tensor_or_a_key(place, kind):
    value, _ = CALLS[kind]
    place.accept(make_pt(PROTO + dict_of((text("w"), tensor()), (value, integer(1))) + STOP))
    arguments = [storage(), integer(0), integers([4]), integers([1]), b"\x89", ordered_dict()]
    for i in range(4):
        wrong = [value if i == j else argument for j, argument in enumerate(arguments)]
        pickle = PROTO + dict_of((text("w"), call("torch._utils", "_rebuild_tensor_v2", *wrong))) + STOP
        refuse(place, pickle, code="tensor-corrupt", inspect=i == 0)
    assert not (place.folder / "ran").exists()


@pytest.mark.parametrize("module, name", [(b"C\2os", b"C\6system"), (b"K\1", b"K\2"), (text("os"), b"K\1"),
                                          (b"N", text("x")), (text("os"), b"]"), (b"cos\nsystem\n", text("x"))])
def test_case_30_a_global_made_of_what_is_no_text(place, module, name):
    refuse(place, PROTO + module + name + b"\x93.", "STACK_GLOBAL", at=2 + len(module + name))


@pytest.mark.parametrize("puts, gets", [
    ((b"p5\n", b"\x94"), (b"h\5", b"h\1")), ((b"\x94", b"\x94"), (b"h\0", b"h\1")),
    ((b"q\0", b"\x94"), (b"h\0", b"h\1")), ((b"r\xff\0\0\0", b"\x94"), (b"h\xff", b"h\1"))])
def test_case_30_put_mixed_with_memoize(place, puts, gets):
    """Numbered as Python does: MEMOIZE takes the memo's length."""
    import pickle as python

    made = PROTO + text("a") + puts[0] + b"0" + text("b") + puts[1] + b"0" + b"}(" + gets[0] + b"%s" + gets[1] \
        + b"%su."
    assert python.loads(made.replace(b"%s", b"N")) == {"a": None, "b": None}
    assert names_in(place, made.replace(b"%s", tensor())) == ["a", "b"]


@pytest.mark.parametrize("stream", [b"\x82\1", b"\x82\0", b"\x83\1\0", b"\x84\1\0\0\0", b"\x84\xff\xff\xff\xff",
                                    b"\x97", b"N\x98"])
def test_case_31_what_refers_to_something_outside(place, stream):
    refuse(place, PROTO + stream + b".", "outside of the file", at=2 + (stream[0] == ord("N")))


@pytest.mark.parametrize("byte", [0x00, 0x21, 0x7f, 0x81 + 0x18, 0xa0, 0xfe, 0xff])
def test_case_31_a_byte_that_is_no_opcode(place, byte):
    refuse(place, PROTO + bytes([byte]) + b".", f"0x{byte:02x} is not an opcode", at=2)


@pytest.mark.parametrize("protocol", [6, 7, 127, 255])
def test_case_31_a_protocol_that_is_not_known(place, protocol):
    refuse(place, b"\x80" + bytes([protocol]) + b"N.", f"protocol {protocol}", at=0)


@pytest.mark.parametrize("nested_pickle", [b"cos\nsystem\n(X\x09\0\0\0touch ranotR.", b"", b"\xff\xff", b"." * 100])
def test_case_32_a_nested_pickle_is_opaque(place, nested_pickle):
    value = call("torch.storage", "_load_from_bytes", b"B" + struct.pack("<I", len(nested_pickle)) + nested_pickle)
    _, shown = place.accept(make_pt(beside_a_tensor(value)))
    assert "_load_from_bytes" in shown.out and not (place.folder / "ran").exists(), str(shown)


# --- types ----------------------------------------------------------------------------------------

WRONG_TYPES = {
    "SETITEM on a list": (b"]NN", b"s"), "SETITEMS on a list": (b"](NN", b"u"), "SETITEMS on a tuple": (b")(NN", b"u"),
    "SETITEMS on None": (b"N(NN", b"u"), "SETITEMS on a name": (b"cos\nsystem\n(NN", b"u"),
    "odd SETITEMS": (b"}(N", b"u"), "SETITEMS of three": (b"}(NNN", b"u"), "odd DICT": (b"(N", b"d"),
    "APPEND on a dict": (b"}N", b"a"), "APPEND on a tuple": (b")N", b"a"), "APPEND on a set": (b"\x8fN", b"a"),
    "APPENDS on a dict": (b"}(NN", b"e"), "APPENDS on a text": (text("x") + b"(NN", b"e"),
    "ADDITEMS on a list": (b"](N", b"\x90"), "ADDITEMS on a dict": (b"}(N", b"\x90"),
    "BUILD on a list": (b"]}", b"b"), "BUILD on a dict": (b"}}", b"b"), "BUILD on a name": (b"cos\nsystem\n}", b"b"),
    "BUILD on None": (b"N}", b"b"), "BUILD twice": (b"cos\nx\n)R}b}", b"b"), "REDUCE of None": (b"N)", b"R"),
    "REDUCE with a list": (b"cos\nx\n]", b"R"), "REDUCE with None": (b"cos\nx\nN", b"R"),
    "NEWOBJ of a text": (text("x") + b")", b"\x81"), "NEWOBJ_EX with a tuple": (b"cos\nx\n))", b"\x92"),
    "OBJ of None": (b"(N", b"o"),
}


@pytest.mark.parametrize("kind", WRONG_TYPES)
def test_case_33_an_opcode_on_the_wrong_type(place, kind):
    before, opcode = WRONG_TYPES[kind]
    refuse(place, PROTO + before + opcode + b".", at=2 + len(before))


@pytest.mark.parametrize("frame, stream", [(1, b"M\1\0."), (2, b"M\1\0."), (3, b"X\1\0\0\0a."), (5, b"X\1\0\0\0a."),
                                           (1, b"K\1."), (4, b"cos\nsystem\n."), (8, b"cos\nsystem\n."),
                                           (3, b"I12\n.")])
def test_case_34_an_opcode_across_the_end_of_a_frame(place, frame, stream):
    refuse(place, b"\x80\4\x95" + struct.pack("<Q", frame) + stream, at=11)


def test_case_34_a_frame_in_a_frame(place):
    refuse(place, b"\x80\4\x95" + struct.pack("<Q", 12) + b"\x95" + struct.pack("<Q", 1) + b"NN..", "inside of another",
           at=11)


@pytest.mark.parametrize("size", ["all", "all but STOP"])
def test_case_34_a_frame_that_ends_between_opcodes(place, size):
    body = state_dict("w")[2:]
    frame = len(body) - (size != "all")
    pickle = b"\x80\4\x95" + struct.pack("<Q", frame) + body
    assert names_in(place, pickle) == ["w"]


@pytest.mark.parametrize("after", [b".", b"\0", b"N.", state_dict("w"), bytes(1000)])
def test_case_35_bytes_after_stop(place, after):
    pickle = state_dict("w")
    refuse(place, pickle + after, f"{len(after)} bytes follow", at=len(pickle) - 1)


@pytest.mark.parametrize("pickle, words", [(b"", "empty"), (PROTO, "without STOP"), (PROTO + b"N", "without STOP"),
                                           (state_dict("w")[:-1], "without STOP"), (b"N", "without STOP")])
def test_case_35_no_stop(place, pickle, words):
    refuse(place, pickle, words, at=len(pickle))


ONE = {"1": integer(1), "True": b"\x88", "1.0": b"G" + struct.pack(">d", 1.0), "LONG1": b"\x8a\1\1", "INT": b"I1\n",
       "LONG": b"L1L\n"}


@pytest.mark.parametrize("first", ONE)
@pytest.mark.parametrize("second", ONE)
def test_case_36_keys_that_python_holds_for_equal(place, first, second):
    pickle = PROTO + dict_of((ONE[first], tensor()), (ONE[second], tensor())) + STOP
    refuse(place, pickle, "twice", inspect=False)


@pytest.mark.parametrize("key", [text("w"), b"U\1w", b"\x8c\1w", b"Vw\n", b"S'w'\n", b"T\1\0\0\0w"])
def test_case_36_a_tensor_twice(place, key):
    pickle = PROTO + dict_of((text("w"), tensor()), (text("v"), tensor()), (key, tensor())) + STOP
    refuse(place, pickle, "'w' twice")


def test_case_36_keys_that_only_look_alike(place):
    pickle = PROTO + dict_of((text("1"), tensor()), (text("True"), tensor()), (text("1.0"), tensor())) + STOP
    place.same_as_torch(make_pt(pickle))


# --- texts ----------------------------------------------------------------------------------------

BAD_TEXTS = [b"\xff", b"a\x80", b"\xc3", b"\xc0\x80", b"\xe0\x80\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80"]


@pytest.mark.parametrize("name", BAD_TEXTS, ids=bytes.hex)
def test_case_37_text_that_is_no_utf8(place, name):
    refuse(place, PROTO + b"}" + text(name) + tensor() + b"s.", "is not UTF-8", at=3)


NAMES = {"NUL": b"a\0b", "empty": b"", "surrogate": b"a\xed\xa0\x80b", "newline": b"a\nb",
         "emoji": "\U0001f642".encode(), "path": b"../../etc/passwd", "right to left": "\u202egnp.x".encode()}


@pytest.mark.parametrize("kind", NAMES)
def test_case_37_odd_names_are_byte_exact_in_pt(place, kind):
    import torch

    pickle = PROTO + b"}" + text(NAMES[kind]) + tensor() + b"s."
    output, _ = place.accept(make_pt(pickle))
    key, = torch.load(output, weights_only=True)
    assert key.encode("utf-8", "surrogatepass") == NAMES[kind]


@pytest.mark.parametrize("name", [NAMES["surrogate"], b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb9\x82"], ids=bytes.hex)
def test_case_37_a_surrogate_is_refused_for_safetensors(place, name):
    place.refuse(make_pt(PROTO + b"}" + text(name) + tensor() + b"s."), "cannot-write", status=2, inspect=False,
                 output="out/new.safetensors")


# --- torch's own ------------------------------------------------------------------------------------

FLOAT = name_of("torch", "FloatStorage")
PERSISTENT = {
    "tag": tuple_of(text("module"), FLOAT, text("0"), text("cpu"), integer(4)),
    "no tag": tuple_of(FLOAT, text("0"), text("cpu"), integer(4)),
    "four": tuple_of(text("storage"), FLOAT, text("0"), text("cpu")),
    "six": tuple_of(text("storage"), FLOAT, text("0"), text("cpu"), integer(4), b"N"),
    "none": b")", "a text": text("storage"), "a number": integer(7), "a list": b"](" + text("storage") + b"e",
    "key is a number": tuple_of(text("storage"), FLOAT, integer(0), text("cpu"), integer(4)),
    "class is a text": tuple_of(text("storage"), text("torch.FloatStorage"), text("0"), text("cpu"), integer(4)),
    "size is a text": tuple_of(text("storage"), FLOAT, text("0"), text("cpu"), text("4")),
    "size is negative": tuple_of(text("storage"), FLOAT, text("0"), text("cpu"), integer(-4)),
    "size is 2^64": tuple_of(text("storage"), FLOAT, text("0"), text("cpu"), integer(2 ** 64)),
    "size is a float": tuple_of(text("storage"), FLOAT, text("0"), text("cpu"), b"G" + struct.pack(">d", 4.0)),
}


@pytest.mark.parametrize("kind", PERSISTENT)
def test_case_38_persistent_id(place, kind):
    refuse(place, beside_a_tensor(PERSISTENT[kind] + b"Q"), "persistent id")


def test_case_38_persistent_id_as_a_line(place):
    refuse(place, beside_a_tensor(b"Pstorage\n"), "persistent id")


@pytest.mark.parametrize("opcode", [b"T", b"\x8b"])
@pytest.mark.parametrize("length", [-1, -2 ** 31, -4])
def test_case_39_negative_length(place, opcode, length):
    refuse(place, PROTO + opcode + struct.pack("<i", length) + b"abcd.", "negative length", at=2)


REBUILD = [name_of("torch._utils", "_rebuild_tensor_v2"), name_of("torch.nn.parameter", "Parameter"),
           tuple_of(storage(), integer(0), integers([4]), integers([1]), b"\x89", ordered_dict()), b"}"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_case_40_rebuild_from_type_with_other_arguments(place, count):
    arguments = (REBUILD + [b"N"])[:count]
    refuse(place, PROTO + dict_of((text("w"), call("torch._tensor", "_rebuild_from_type_v2", *arguments))) + STOP,
           f"{count} arguments, not 4", code="tensor-corrupt")


@pytest.mark.parametrize("wrong", [1, 2])
def test_case_40_rebuild_from_type_of_wrong_types(place, wrong):
    arguments = [b"N" if i == wrong else one for i, one in enumerate(REBUILD)]
    refuse(place, PROTO + dict_of((text("w"), call("torch._tensor", "_rebuild_from_type_v2", *arguments))) + STOP,
           code="tensor-corrupt")


@pytest.mark.parametrize("function, right", [("_rebuild_tensor", 4), ("_rebuild_tensor_v2", 6),
                                             ("_rebuild_tensor_v3", 7), ("_rebuild_parameter", 3),
                                             ("_rebuild_parameter_with_state", 4)])
def test_case_40_every_rebuild_with_arguments_missing(place, function, right):
    tensors = [storage(), integer(0), integers([4]), integers([1]), b"\x89", ordered_dict(),
               name_of("torch", "float32")]
    arguments = [tensor(), b"\x89", ordered_dict(), b"N"] if "parameter" in function else tensors
    for count in range(right):
        refuse(place, PROTO + dict_of((text("w"), call("torch._utils", function, *arguments[:count]))) + STOP,
               f"{count} arguments, not {right}", code="tensor-corrupt", inspect=count == 0)


def test_case_40_rebuild_from_type_that_is_right(place):
    place.same_as_torch(make_pt(PROTO + dict_of((text("w"), call("torch._tensor", "_rebuild_from_type_v2", *REBUILD)))
                                + STOP))
