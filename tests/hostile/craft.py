"""Files put together byte by byte, tensors' metadata and headers as a stranger may write them, and what
the program has to do with them: accept or refuse, and in both cases leave everything else alone."""

import hashlib
import json
import os
import re
import struct
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("REGRAFT") or REPOSITORY / "build" / "regraft").absolute()
SPEC = "regraft: 1\nrules: []\n"

# --- pickle: an assembler for what a .pt file holds ---------------------------------------------------


def integer(value):
    """LONG1, which takes any size."""
    data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def sequence(*items):
    return b"(" + b"".join(items) + b"t"


def integers(values):
    return sequence(*map(integer, values))


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def call(module, name, *arguments):
    return named(module, name) + sequence(*arguments) + b"R"


def dictionary(entries):
    return b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"


EMPTY_HOOKS = call("collections", "OrderedDict")


def storage(key="0", kind="FloatStorage", numel=6):
    return sequence(text("storage"), named("torch", kind), text(key), text("cpu"), integer(numel)) + b"Q"


def tensor(size=(2, 3), stride=(3, 1), offset=0, of=None, tail=b"", **stored):
    """A call of _rebuild_tensor_v2; `size`, `stride` and `offset` may also be pickled objects."""
    return call("torch._utils", "_rebuild_tensor_v2", of or storage(**stored),
                offset if isinstance(offset, bytes) else integer(offset),
                size if isinstance(size, bytes) else integers(size),
                stride if isinstance(stride, bytes) else integers(stride), b"\x89", EMPTY_HOOKS, tail)


def write_pt(path, tensors, records=None):
    """`tensors`: name -> pickled tensor; `records`: key -> bytes. The container is torch's own."""
    import torch

    content = b"\x80\x02" + (tensors if isinstance(tensors, bytes) else dictionary(tensors)) + b"."
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record("data.pkl", content, len(content))
    for key, data in ({"0": bytes(range(24))} if records is None else records).items():
        writer.write_record(f"data/{key}", data, len(data))
    writer.write_record("byteorder", b"little", 6)
    writer.write_end_of_file()
    return Path(path)


# --- safetensors --------------------------------------------------------------------------------------


def with_header(header, data=b"", length=None):
    """A file with this header: bytes, text, or what becomes JSON."""
    if not isinstance(header, (bytes, str)):
        header = json.dumps(header)
    header = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def one(dtype="U8", shape=(4,), begin=0, end=4, **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **more}


# --- the program --------------------------------------------------------------------------------------


def run(*arguments, cwd, timeout=60, **options):
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM", "COLUMNS")}
    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", check=False, timeout=timeout, **options)


def said(result):
    return f"exit status {result.returncode}\n{result.stdout}{result.stderr}"


def snapshot(folder):
    """Everything below a folder: kinds, permission bits, contents, times of change."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        status = path.lstat()
        content = (os.readlink(path) if path.is_symlink()
                   else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        found[str(path.relative_to(folder))] = (status.st_mode, 0 if path.is_dir() else status.st_mtime_ns, content)
    return found


def prepare(folder):
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "neighbour.pt").write_bytes(b"precious")
    (folder / "out").mkdir(exist_ok=True)


HEAD = re.compile(r"^(?P<file>.*?)(?::\d+)?(?::\d+)?: error\[(?P<code>[a-z-]+)\]: ", re.M)


def check_refusal(result, code, words=(), file=None, status=3):
    assert result.returncode == status, said(result)
    heads = list(HEAD.finditer(result.stderr))
    assert any(head["code"] == code and file in (None, head["file"]) for head in heads), said(result)
    for word in words:
        assert word in result.stderr, f"nothing says {word!r}\n{said(result)}"


def refused(folder, name, code, *words, inspect=True, status=3, output="out/new.pt", options=()):
    """`apply` of the file, and `inspect` of it, end with this error of this file and change nothing."""
    prepare(folder)
    before = snapshot(folder)
    results = [run("apply", "spec.yaml", name, "-o", output, *options, cwd=folder)]
    if inspect:
        results.append(run("inspect", name, cwd=folder))
    for result in results:
        check_refusal(result, code, words, name if status == 3 else None, status)
    assert snapshot(folder) == before, said(results[0])
    return results[0]


def accepted(folder, name, output="out/new.pt", options=()):
    """`inspect` and `apply` take the file; what `apply` said, and the output's path."""
    prepare(folder)
    before = snapshot(folder)
    seen = run("inspect", name, cwd=folder)
    assert seen.returncode == 0, said(seen)
    result = run("apply", "spec.yaml", name, "-o", output, "--json", *options, cwd=folder)
    assert result.returncode == 0, said(result)
    after = snapshot(folder)
    assert after.pop(output) and after == before, said(result)
    return result, folder / output


def load_pt(path):
    import torch

    return torch.load(path, weights_only=True)


def same_bits(ours, theirs):
    """Two state dicts, also where NaN is not equal to itself."""
    import torch

    assert list(ours) == list(theirs)
    for name, mine in ours.items():
        other = theirs[name]
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape), name
        assert torch.equal(mine.contiguous().flatten().view(torch.uint8),
                           other.contiguous().flatten().view(torch.uint8)), name
