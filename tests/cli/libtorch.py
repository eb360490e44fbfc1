"""A LibTorch that says that it is of another version."""

import re
from contextlib import contextmanager

import pytest


def other_version(content):
    """The library with another patch level in its TORCH_VERSION, and that version; None if it is not found.

    The compiler builds the short text in registers, in pieces of 8 and 4 bytes.
    """
    for name in re.finditer(rb"_VERS", content):
        near = content[name.end():name.end() + 200]
        number = re.search(rb"(\d\.\d\d)", near)
        if number:
            at = name.end() + number.end() - 1
            digit = b"1" if content[at:at + 1] != b"1" else b"2"
            changed = bytearray(content)
            changed[at:at + 1] = digit
            return changed, (number[1][:-1] + digit).decode()
    return None


@contextmanager
def another_libtorch(folder, other):
    """The libraries of `folder` in a new folder `other`, of which one says another version; gives both."""
    made = other_version((folder / "libtorch_cpu.so").read_bytes())
    if made is None:
        pytest.fail("this build of LibTorch has its version where the test does not find it")
    content, version = made
    other.mkdir()
    for file in folder.glob("*.so*"):
        (other / file.name).symlink_to(file)
    library = other / "libtorch_cpu.so"
    library.unlink()
    library.write_bytes(content)
    try:
        yield version, library
    finally:
        library.unlink()  # 400 MB that pytest would keep
