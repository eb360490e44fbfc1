"""docs/security.md says what the tests prove: no row without a test, no test without a row."""

import io
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest

from builders import (ENCRYPTED, FLOATS, IN_64, PROTO, STOP, UTF8, Record, beside_a_tensor, call, dict_of, integer,
                      make_pt, make_zip, name_of, records_of, state_dict, tensor, text, zip64_extra)

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parents[1] / "docs" / "security.md"


def rows():
    """Number -> cells."""
    lines = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text(), re.M)
    assert len({number for number, _ in lines}) == len(lines), "a number twice"
    return {int(number): [cell.strip() for cell in rest.split(" | ")] for number, rest in lines}


def numbers_tested():
    return {int(number) for folder in (FOLDER, FOLDER.parent / "faults") for path in folder.glob("test_*.py")
            for number in re.findall(r"^def test_case_(\d+)_", path.read_text(), re.M)}


def test_every_row_has_a_test_and_every_test_a_row():
    assert set(rows()) == numbers_tested()
    assert set(range(1, 41)) <= set(rows())


FLIPPED = bytes([FLOATS[0] ^ 1]) + FLOATS[1:]


def differences():
    """Files that torch reads and we refuse, by the number of their row."""
    records = records_of()
    whole = make_zip(list(records.values()))
    central = {"size": IN_64, "compressed": IN_64}
    overlapping = Record(b"a/data/1", FLOATS, written=False, central={"offset": whole.index(b"a/data/0") - 30})
    return [
        (3, make_pt(change={"data/0": {"compressed": FLIPPED}})),
        (4, make_zip([*records.values(), replace(records["data/0"], content=FLIPPED)])),
        (5, make_pt(change={"data/0": {"local": {"name": b"a/data/1"}}})),
        (6, make_pt(change={"data/0": {"local": {"size": 15}}})),
        (6, make_pt(change={"data/0": {"local": {"method": 8}}})),
        (7, make_zip([*records.values(), overlapping])),
        (8, whole + b"trailing"),
        (8, make_pt(prefix=b"PK\3\4" + bytes(100))),
        (12, make_pt(change={"data/0": {"central": central, "central_extra": zip64_extra(16, 16) * 2}})),
        (13, make_zip([*records.values(), Record(b"a/../x", b"x")])),
        (14, make_zip([*records.values(), Record(b"a/VERSION", b"x")])),
        (26, make_pt(beside_a_tensor(b"N" + b"\x85" * 5000))),
        (35, make_pt(state_dict("w") + b"after")),
        (36, make_pt(PROTO + dict_of((text("w"), tensor()), (text("w"), tensor())) + STOP)),
        (36, make_pt(PROTO + dict_of((integer(1), tensor()), (b"\x88", tensor())) + STOP)),
    ]


CODES = {3: "checksum", 26: "limit", 35: "pickle-corrupt", 36: "pickle-corrupt"}


@pytest.mark.parametrize("number, content", differences(), ids=lambda value: value if isinstance(value, int) else "")
def test_torch_reads_what_the_page_says_it_reads(place, number, content):
    import torch

    assert torch.load(io.BytesIO(content), weights_only=True)
    place.refuse(content, CODES.get(number, "zip-corrupt"), inspect=number != 3)


@pytest.mark.parametrize("content", [
    make_pt(change={"data/0": {"flags": UTF8 | ENCRYPTED}}), make_pt(change={"data/0": {"method": 12}}),
    make_zip(list(records_of(byteorder=b"middle").values())),
    make_pt(beside_a_tensor(name_of("os", "system") + b")R")),
    make_pt(beside_a_tensor(call("torch.storage", "_load_from_bytes", b"C\0"))),
], ids=["9-encrypted", "9-method", "16", "29", "32"])
def test_torch_refuses_what_the_page_says_it_refuses(content):
    import torch

    with pytest.raises((RuntimeError, ValueError, pickle.UnpicklingError)):
        torch.load(io.BytesIO(content), weights_only=True)


def test_the_page_marks_each_difference():
    refused = {number for number, _ in differences()}
    marked = {number for number, cells in rows().items() if number <= 40 and cells[-1].startswith(("reads", "takes"))}
    assert marked == refused
