"""Genuine files with something changed in them. A case is drawn from its format, seed and number alone."""

import collections
import io
import json
import pickletools
import random
import re
import struct
import warnings
import zipfile

import safetensors.torch
import torch

INTERESTING = [0, 1, 2, 3, 4, 7, 8, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1]


def tensors():
    base = torch.arange(24.0)
    return {"a.weight": base[:12].view(3, 4), "a.bias": base[12:15], "tied": base[:12].view(3, 4),
            "steps": torch.tensor(7), "half": torch.arange(6).to(torch.bfloat16).view(2, 3),
            "turned": torch.arange(6, dtype=torch.int16).view(2, 3).t(), "empty": torch.zeros(0, 2),
            "flags": torch.tensor([True, False, True])}


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def bases(form):
    """Small files of a format, from its own writer."""
    if form == "pt":
        net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        yield saved(tensors())
        yield saved(net.state_dict())
        yield saved({"model": net.state_dict(), "more": [torch.ones(2), {"x": torch.zeros(1)}], "epoch": 3})
        yield saved({"p": torch.nn.Parameter(torch.ones(2, 2)), "u": torch.arange(4).to(torch.uint16), 5: torch.ones(1),
                     "c": torch.complex(torch.ones(2), torch.zeros(2)).conj()})
        yield saved(collections.OrderedDict(tensors()), pickle_protocol=4)
    elif form == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for net in (torch.nn.Linear(3, 2), torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))):
                buffer = io.BytesIO()
                torch.jit.save(torch.jit.script(net), buffer)
                yield buffer.getvalue()
    elif form == "safetensors":
        apart = {name: tensor.clone().contiguous() for name, tensor in tensors().items()}
        yield safetensors.torch.save(apart)
        yield safetensors.torch.save(apart, {"format": "pt", "note": "\u00e9"})
        yield safetensors.torch.save({"w": torch.ones(2)})
    else:
        entries = {name: {"dtype": str(tensor.dtype)[6:], "shape": list(tensor.shape)}
                   for name, tensor in tensors().items()}
        yield json.dumps({"regraft_schema": 1, "tensors": entries}).encode()
        lines = [f"  {name}: {{dtype: {one['dtype']}, shape: {one['shape']}}}" for name, one in entries.items()]
        yield ("regraft_schema: 1\ntensors:\n" + "\n".join(lines) + "\n").encode()
        yield (b"regraft_schema: 1\ntensors:\n  w:\n    dtype: float32\n    shape:\n      - 2\n      - 3\n"
               b"  'a b': {shape: [], dtype: int64}\n")


class Mutator:
    def __init__(self, chance):
        self.chance = chance

    # --- bytes and texts ---------------------------------------------------------------------------

    def bytes(self, data):
        """A few bytes changed, left out, doubled, moved, or cut off."""
        if not data:
            return b"\x00"
        at, chance = self.chance.randrange(len(data)), self.chance
        length = chance.choice([1, 1, 2, 4, 8, chance.randrange(1, 64)])
        kind = chance.randrange(8)
        if kind <= 2:
            return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1:]
        if kind == 3:
            return data[:at] + chance.randbytes(length) + data[at + length:]
        if kind == 4:
            return data[:at] + data[at + length:]
        if kind == 5:
            return data[:at] + data[at:at + length] + data[at:]
        if kind == 6:
            other = chance.randrange(len(data))
            return data[:at] + data[other:other + length] + data[at + length:]
        return data[:at] if chance.random() < 0.5 else data + chance.randbytes(length)

    def number(self, value):
        return self.chance.choice([value + 1, value - 1, value * 2, -value, self.chance.choice(INTERESTING),
                                   self.chance.choice(INTERESTING) + 1])

    def text(self, text):
        """A line, a word or a number of a text."""
        chance = self.chance
        kind = chance.randrange(6)
        if kind == 0:
            found = list(re.finditer(r"-?\d+", text))
            if found:
                one = chance.choice(found)
                return text[:one.start()] + str(self.number(int(one[0]))) + text[one.end():]
        if kind in (1, 2):
            found = list(re.finditer(r"[A-Za-z_][\w.]*|[\[\]{}(),:'\"#&*-]|\s+", text))
            if len(found) >= 2:
                one, other = chance.choice(found), chance.choice(found)
                return text[:one.start()] + chance.choice([other[0], "", one[0] * 2]) + text[one.end():]
        if kind == 3:
            lines = text.split("\n")
            i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
            lines[i:i + 1] = chance.choice([[], [lines[i]] * 2, [lines[j]], [lines[i] + lines[j]], [" " + lines[i]]])
            return "\n".join(lines)
        return self.bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    # --- pickles ------------------------------------------------------------------------------------

    @staticmethod
    def opcodes(stream):
        """The bytes of each opcode with its operand."""
        try:
            starts = [position for _, _, position in pickletools.genops(stream)]
        except Exception:
            return []
        return [stream[a:b] for a, b in zip(starts, starts[1:] + [len(stream)])]

    def pickle(self, stream, others):
        ops, chance = self.opcodes(stream), self.chance
        if not ops or chance.random() < 0.15:
            return self.bytes(stream)
        at = chance.randrange(len(ops))
        kind = chance.randrange(11)
        if kind <= 2:  # an operand
            wide = [i for i, op in enumerate(ops) if len(op) > 1] or [at]
            i = chance.choice(wide)
            code, operand = ops[i][:1], ops[i][1:]
            if code == b"K":
                operand = bytes([self.number(operand[0]) & 0xFF])
            elif code == b"M":
                operand = struct.pack("<H", self.number(struct.unpack("<H", operand)[0]) & 0xFFFF)
            elif code == b"X" and len(operand) > 4:
                words = [op[5:] for op in ops if op[:1] == b"X"]
                text = chance.choice([self.bytes(operand[4:]), chance.choice(words)])
                operand = struct.pack("<I", len(text)) + text
            elif code == b"c":
                operand = chance.choice([op[1:] for op in ops if op[:1] == b"c"])
            else:
                operand = self.bytes(operand)
            ops[i] = code + operand
        elif kind == 3:
            other = chance.randrange(len(ops))
            ops[at], ops[other] = ops[other], ops[at]
        elif kind == 4:
            del ops[at]
        elif kind == 5:
            ops.insert(at, ops[chance.randrange(len(ops))])
        elif kind == 6:
            ops.insert(at, chance.choice([b"N", b"\x88", b"]", b"}", b")", b"(", b"0", b"2", b"K\x01", b"\x85", b"R",
                                          b"s", b"u", b"e", b"t"]))
        elif kind == 7:
            begin, length = chance.randrange(len(ops)), chance.randrange(1, 12)
            ops[at:at + chance.choice([0, length])] = ops[begin:begin + length]
        elif kind == 8:  # the operands of two opcodes of a kind
            alike = [i for i, op in enumerate(ops) if len(op) > 1 and op[:1] == ops[at][:1]] or [at]
            other = chance.choice(alike)
            ops[at], ops[other] = ops[other], ops[at]
        elif kind == 9:  # two pickles spliced
            foreign = self.opcodes(chance.choice(others))
            ops[at:] = foreign[chance.randrange(len(foreign)):]
        else:
            foreign = self.opcodes(chance.choice(others))
            begin = chance.randrange(len(foreign))
            ops[at:at + 1] = foreign[begin:begin + chance.randrange(1, 12)]
        return b"".join(ops)

    # --- archives ------------------------------------------------------------------------------------

    def archive(self, content, others):
        """Mostly what is in it, with checksums and a directory that fit again."""
        if self.chance.random() < 0.15:
            return self.bytes(content)
        chance = self.chance
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            records = [(name, archive.read(name)) for name in archive.namelist()]
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            pickles = [i for i, (name, _) in enumerate(records) if name.endswith(".pkl")]
            texts = [i for i, (name, _) in enumerate(records)
                     if name.endswith((".py", "version", "byteorder", "alignment"))]
            kind = chance.random()
            i = chance.randrange(len(records))
            if kind < 0.65 and pickles:
                i = chance.choice(pickles)
                records[i] = (records[i][0], self.pickle(records[i][1], others))
            elif kind < 0.75 and texts:
                i = chance.choice(texts)
                text = self.text(records[i][1].decode("utf-8", "surrogateescape"))
                records[i] = (records[i][0], text.encode("utf-8", "surrogateescape"))
            elif kind < 0.85:
                records[i] = (records[i][0], self.bytes(records[i][1]))
            elif kind < 0.9:
                j = chance.randrange(len(records))
                records[i], records[j] = (records[i][0], records[j][1]), (records[j][0], records[i][1])
            elif kind < 0.94:
                name = self.bytes(records[i][0].encode()).decode("utf-8", "replace").replace("\0", "0") or "x"
                records[i] = (name, records[i][1])
            elif kind < 0.97:
                del records[i]
                if not records:
                    records.append(("archive/version", b"3\n"))
            else:
                records.insert(i, records[chance.randrange(len(records))])
        out = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as archive:
            warnings.simplefilter("ignore")
            for name, data in records:
                method = zipfile.ZIP_DEFLATED if chance.random() < 0.05 else zipfile.ZIP_STORED
                archive.writestr(zipfile.ZipInfo(name), data, method)
        return self.zip_field(out.getvalue()) if chance.random() < 0.08 else out.getvalue()

    # Name: offset in the local header, offset in the directory, width.
    ZIP_FIELDS = {"version": (4, 6, 2), "flags": (6, 8, 2), "method": (8, 10, 2), "time": (10, 12, 2),
                  "crc": (14, 16, 4), "packed": (18, 20, 4), "size": (22, 24, 4), "name": (26, 28, 2),
                  "extra": (28, 30, 2), "made": (None, 4, 2), "comment": (None, 32, 2), "disk": (None, 34, 2),
                  "inside": (None, 36, 2), "outside": (None, 38, 4), "place": (None, 42, 4)}

    def zip_field(self, content):
        """One field of one entry, where it stands or in one of the two places."""
        chance, data = self.chance, bytearray(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            directory, entries = archive.start_dir, archive.infolist()
        chosen = chance.randrange(len(entries))
        for _ in range(chosen):
            directory += 46 + sum(struct.unpack_from("<HHH", content, directory + 28))
        local, central, width = self.ZIP_FIELDS[chance.choice(list(self.ZIP_FIELDS))]
        form = {2: "<H", 4: "<I"}[width]
        value = struct.unpack_from(form, content, directory + central)[0]
        value = chance.choice([self.number(value), value ^ 1 << chance.randrange(8 * width)]) & 256**width - 1
        where = chance.randrange(4)
        if local is not None and where != 0:
            struct.pack_into(form, data, entries[chosen].header_offset + local, value)
        if local is None or where != 1:
            struct.pack_into(form, data, directory + central, value)
        return bytes(data)

    def safetensors(self, content, _):
        chance = self.chance
        length = struct.unpack("<Q", content[:8])[0]
        header, data = content[8:8 + length], content[8 + length:]
        kind = chance.random()
        if kind < 0.1:
            return self.bytes(content)
        if kind < 0.2:
            return content[:8 + length] + self.bytes(data)
        if kind < 0.25:
            return struct.pack("<Q", self.number(length) & (2**64 - 1)) + header + data
        if kind < 0.6:
            entries = json.loads(header)
            names = [name for name in entries if name != "__metadata__"]
            one, other = entries[chance.choice(names)], entries[chance.choice(names)]
            what = chance.randrange(6)
            if what == 0:
                one["dtype"], other["dtype"] = other["dtype"], one["dtype"]
            elif what == 1:
                one["shape"], other["shape"] = other["shape"], one["shape"]
            elif what == 2:
                one["data_offsets"], other["data_offsets"] = other["data_offsets"], one["data_offsets"]
            elif what == 3:
                key = chance.choice(["shape", "data_offsets"])
                if one[key]:
                    i = chance.randrange(len(one[key]))
                    one[key][i] = self.number(one[key][i])
            elif what == 4:
                one["dtype"] = chance.choice(["F64", "F32", "I32", "I16", "U8", "BOOL", "F8_E4M3", "F4", "C64", "U64",
                                              "f32"])
            else:
                items = list(entries.items())
                chance.shuffle(items)
                entries = dict(items)
                entries[chance.choice(["new", "a.weight", ""])] = dict(one)
            header = json.dumps(entries, ensure_ascii=chance.random() < 0.5,
                                indent=chance.choice([None, None, 1])).encode()
        elif kind < 0.65:  # its bytes stay, a letter of them is escaped
            at = chance.choice([found.start() for found in re.finditer(rb"[A-Za-z]", header)])
            header = header[:at] + f"\\u{header[at]:04x}".encode() + header[at + 1:]
        elif kind < 0.7:  # an entry of another name for the same or a name for two
            header = header.replace(*chance.choice([(b'"a.bias"', b'"a.weight"'), (b'"tied"', b'"a\\u002eweight"'),
                                                    (b'{"', b'{"w":{},"'), (b'"F32"', b'"I32"')]), 1)
        else:
            header = self.text(header.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        if chance.random() < 0.5:
            header += b" " * (-len(header) % 8)
        return struct.pack("<Q", len(header)) + header + data

    def schema(self, content, others):
        text = content.decode()
        if self.chance.random() < 0.1:  # the head of one, the tail of another
            tail = self.chance.choice(others).decode()
            return (text[:self.chance.randrange(len(text))] + tail[self.chance.randrange(len(tail)):]).encode()
        for _ in range(self.chance.choice([1, 1, 2, 3])):
            text = self.text(text)
        return text.encode("utf-8", "surrogateescape")


FORMATS = ["pt", "torchscript", "safetensors", "schema"]


def pickles_of(files):
    found = []
    for content in files:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found += [archive.read(name) for name in archive.namelist() if name.endswith(".pkl")]
    return found


class Drawer:
    def __init__(self, form, seed):
        torch.manual_seed(0)
        self.form, self.seed, self.files = form, seed, list(bases(form))
        self.others = pickles_of(self.files) if form in ("pt", "torchscript") else self.files

    def draw(self, index):
        chance = random.Random(f"{self.form}/{self.seed}/{index}")
        mutator = Mutator(chance)
        mutate = {"pt": mutator.archive, "torchscript": mutator.archive}.get(self.form) or getattr(mutator, self.form)
        return mutate(chance.choice(self.files), self.others)
