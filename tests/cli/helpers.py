"""Small checkpoints, most of them made by hand, and what a run of the program left behind."""

import hashlib
import json
import os
import random
import re
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("REGRAFT") or REPOSITORY / "build" / "regraft").absolute()
PART = ".regraft-part"

# --- safetensors by hand ------------------------------------------------------------------------

ITEM_SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1}
TORCH_NAMES = {"F64": "float64", "I64": "int64", "F32": "float32", "I32": "int32", "F16": "float16",
               "BF16": "bfloat16", "I16": "int16", "U8": "uint8", "I8": "int8", "BOOL": "bool"}


@dataclass(frozen=True)
class Entry:
    """A tensor of a safetensors file: dtype as the file names it."""

    dtype: str
    shape: tuple
    data: bytes

    @property
    def elements(self):
        return elements(self.shape)


def elements(shape):
    count = 1
    for size in shape:
        count *= size
    return count


def noise(name, size, seed=0):
    """Bytes that no other name or seed has."""
    return random.Random(f"{seed}/{name}").randbytes(size)


def entry(name, shape, dtype="F32", seed=0):
    return Entry(dtype, tuple(shape), noise(name, elements(shape) * ITEM_SIZES[dtype], seed))


def entries(shapes, seed=0):
    """{"a.weight": [2, 3]} or {"a.weight": ("F16", [2, 3])}, filled with noise."""
    made = {}
    for name, shape in shapes.items():
        dtype, sizes = shape if isinstance(shape, tuple) else ("F32", shape)
        made[name] = entry(name, sizes, dtype, seed)
    return made


def safetensors_header(sizes, metadata=None):
    """`sizes`: name -> (dtype, shape, bytes). The file up to where the data begins."""
    header = {"__metadata__": metadata} if metadata else {}
    offset = 0
    for name, (dtype, shape, size) in sizes.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def write_safetensors(path, tensors, metadata=None):
    sizes = {name: (one.dtype, one.shape, len(one.data)) for name, one in tensors.items()}
    Path(path).write_bytes(safetensors_header(sizes, metadata) + b"".join(one.data for one in tensors.values()))
    return Path(path)


def write_sparse_safetensors(path, total, tensors=8):
    """Zeros that take no room: tensors of uint8, `total` bytes in all."""
    size = total // tensors
    head = safetensors_header({f"layer.{i}.weight": ("U8", (size,), size) for i in range(tensors)})
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(len(head) + size * tensors)
    return Path(path)


def read_safetensors(path):
    """Name -> Entry, in the order of the file."""
    content = Path(path).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    data = content[8 + length:]
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    return {name: Entry(one["dtype"], tuple(one["shape"]), data[slice(*one["data_offsets"])])
            for name, one in header.items()}


# --- .pt ------------------------------------------------------------------------------------------

TORCH_OF = {"F32": "float32", "F16": "float16", "I64": "int64", "U8": "uint8", "F64": "float64"}


def to_torch(tensors):
    import torch

    return {name: torch.frombuffer(bytearray(one.data), dtype=getattr(torch, TORCH_OF[one.dtype])).reshape(one.shape)
            if one.elements else torch.empty(one.shape, dtype=getattr(torch, TORCH_OF[one.dtype]))
            for name, one in tensors.items()}


def write_pt(path, tensors):
    """`tensors`: name -> Entry, or any object that torch.save takes."""
    import torch

    whole = isinstance(tensors, dict) and all(isinstance(one, Entry) for one in tensors.values())
    torch.save(to_torch(tensors) if whole else tensors, path)
    return Path(path)


def read_pt(path):
    import torch

    names = {str(getattr(torch, torch_name)): name for name, torch_name in TORCH_OF.items()}
    return {name: Entry(names[str(tensor.dtype)], tuple(tensor.shape),
                        bytes(tensor.contiguous().flatten().view(torch.uint8).tolist()))
            for name, tensor in torch.load(path, weights_only=True).items()}


def write_any(path, tensors):
    return (write_safetensors if str(path).endswith(".safetensors") else write_pt)(path, tensors)


def read_any(path):
    return (read_safetensors if str(path).endswith(".safetensors") else read_pt)(path)


# --- specs ----------------------------------------------------------------------------------------


def write_spec(path, body, first="regraft: 1\n"):
    """`body` without its indentation, behind the version line."""
    lines = body.strip("\n").split("\n")
    indent = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    Path(path).write_text(first + "\n".join(line[indent:] for line in lines) + "\n")
    return Path(path)


def schema_text(shapes):
    """A target schema in YAML, from the same mapping as entries()."""
    lines = ["regraft_schema: 1", "tensors:" if shapes else "tensors: {}"]
    for name, shape in shapes.items():
        dtype, sizes = shape if isinstance(shape, tuple) else ("F32", shape)
        lines.append(f"  '{name}': {{dtype: {TORCH_NAMES[dtype]}, shape: {list(sizes)}}}")
    return "\n".join(lines) + "\n"


# --- running --------------------------------------------------------------------------------------


@dataclass
class Result:
    status: int
    out: str
    err: str
    command: list = field(repr=False, default_factory=list)

    def __str__(self):
        return f"$ {' '.join(map(str, self.command))}\nexit status {self.status}\n{self.out}{self.err}"


def environment(**changes):
    """Ours without what changes the program's manner; a value of None takes a variable away."""
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM", "COLUMNS")}
    clean.update({key: value for key, value in changes.items() if value is not None})
    for key, value in changes.items():
        if value is None:
            clean.pop(key, None)
    return clean


def run(*arguments, cwd, env=None, timeout=120, **options):
    command = [str(PROGRAM), *map(str, arguments)]
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    done = subprocess.run(command, cwd=cwd, env=env or environment(), timeout=timeout, check=False, **options)
    return Result(done.returncode, (done.stdout or b"").decode("utf-8", "replace"),
                  (done.stderr or b"").decode("utf-8", "replace"), command)


def succeed(*arguments, **options):
    result = run(*arguments, **options)
    assert result.status == 0, str(result)
    return result


def start(*arguments, cwd, **options):
    """A process that runs beside the test."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.DEVNULL)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("env", environment())
    return subprocess.Popen([str(PROGRAM), *map(str, arguments)], cwd=cwd, **options)


# --- what is in a folder --------------------------------------------------------------------------


def snapshot(folder):
    """Everything below a folder: kinds, permission bits, contents, times of change."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = ""
        changed = 0 if path.is_dir() else status.st_mtime_ns
        found[str(path.relative_to(folder))] = (status.st_mode, changed, content)
    return found


def parts_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if PART in path.name)


# --- diagnostics ----------------------------------------------------------------------------------


@dataclass
class Diagnostic:
    """One of stderr: `file:line:column: error[code]: message`, source line, caret, hint, notes."""

    file: str
    line: int
    column: int
    severity: str
    code: str
    message: str
    source: str = ""
    caret: str = ""
    hint: str = ""
    notes: list = field(default_factory=list)


HEAD = re.compile(r"^(?:(?P<file>[^\n]*?)(?::(?P<line>\d+)(?::(?P<column>\d+))?)?: )?"
                  r"(?P<severity>error|warning)\[(?P<code>[a-z-]+)\]: (?P<message>.*)$")


def diagnostics(text):
    found = []
    last = None  # the line that was read before
    for line in text.splitlines():
        head = HEAD.match(line)
        if head:
            found.append(Diagnostic(head["file"] or "", int(head["line"] or 0), int(head["column"] or 0),
                                    head["severity"], head["code"], head["message"]))
            last = "head"
        elif not found:
            continue
        elif line.startswith("  hint: "):
            found[-1].hint = line[len("  hint: "):]
            last = "hint"
        elif last == "hint" and line.startswith("        "):
            found[-1].hint += "\n" + line[8:]
        elif re.search(r"(^|: )note: ", line):
            found[-1].notes.append(line)
            last = "note"
        elif line.startswith("    ") and last == "head":
            found[-1].source, last = line[4:], "source"
        elif line.startswith("    ") and last == "source":
            found[-1].caret, last = line[4:], "caret"
    return found


def errors_of(result):
    return [one for one in diagnostics(result.err) if one.severity == "error"]


def assert_error(result, status, code, *words, file=None):
    """One error has the code, and in its message, hint and notes every word."""
    assert result.status == status, str(result)
    with_code = [one for one in errors_of(result) if one.code == code]
    assert with_code, f"no error[{code}]\n{result}"
    for one in with_code:
        said = "\n".join([one.file, one.message, one.hint, one.source, *one.notes])
        if all(str(word) in said for word in words) and (file is None or one.file == str(file)):
            return one
    raise AssertionError(f"no error[{code}] of {file or 'any file'} says all of {words}\n{result}")


def assert_points_at(diagnostic, path, text, marked=None):
    """The place is where `marked` stands in the spec's text; the caret line lies under it."""
    assert diagnostic.file.endswith(Path(path).name), diagnostic
    assert diagnostic.line > 0 and diagnostic.column > 0, diagnostic
    line = text.splitlines()[diagnostic.line - 1]
    assert diagnostic.source.strip() and diagnostic.source.strip(".") in line, diagnostic
    assert "^" in diagnostic.caret and not diagnostic.caret.strip(" ^~\t"), diagnostic
    if marked is not None:
        at = line.find(marked)
        assert at >= 0, f"line {diagnostic.line} has no {marked!r}: {diagnostic}"
        assert at <= diagnostic.column - 1 <= at + len(marked), diagnostic


# --- groups of names in the text report -----------------------------------------------------------


def expand(pattern):
    """The names that a group of the report stands for: `a.{0,2}.w`, `a.{0..3}.w`, nested braces."""
    names, rest = _sequence(pattern, 0, top=True)
    assert rest == len(pattern), pattern
    return names


def _sequence(text, at, top):
    names = [""]
    while at < len(text):
        c = text[at]
        if c == "\\" and at + 1 < len(text):
            names = [name + text[at + 1] for name in names]
            at += 2
        elif c == "{":
            choices, at = _braces(text, at + 1)
            names = [name + choice for name in names for choice in choices]
        elif not top and c in ",}":
            break
        else:
            names = [name + c for name in names]
            at += 1
    return names, at


def _braces(text, at):
    span = re.compile(r"(\d+)\.\.(\d+)(?=[,}])")
    choices = []
    while True:
        numbers = span.match(text, at)
        if numbers:
            choices += [str(i) for i in range(int(numbers[1]), int(numbers[2]) + 1)]
            at = numbers.end()
        else:
            some, at = _sequence(text, at, top=False)
            choices += some
        assert at < len(text) and text[at] in ",}", text
        if text[at] == "}":
            return choices, at + 1
        at += 1


# --- a terminal -----------------------------------------------------------------------------------


def run_in_terminal(*arguments, cwd, columns=100, env=None):
    """The status, and what stood on a terminal that is stdout and stderr."""
    import fcntl
    import pty
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen([str(PROGRAM), *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL,
                               stdout=follower, stderr=follower,
                               env=env or environment(TERM="xterm-256color"))
    os.close(follower)
    read = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other end was closed
            break
        if not piece:
            break
        read += piece
    os.close(leader)
    return process.wait(timeout=120), read.decode("utf-8", "replace").replace("\r\n", "\n")
