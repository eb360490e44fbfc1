"""Zip archives and pickles made byte by byte, so that every field can be wrong on its own."""

import struct
import zlib
from dataclasses import dataclass, field, replace

# --- zip ------------------------------------------------------------------------------------------

ENCRYPTED, DESCRIPTOR, UTF8 = 1, 8, 0x800
STORED, DEFLATED = 0, 8
IN_64 = 0xFFFFFFFF


@dataclass
class Record:
    """One entry. What is None is as it should be; `central` and `local` set fields of one header alone."""

    name: bytes
    content: bytes
    method: int = STORED
    flags: int = UTF8
    compressed: bytes = None  # other bytes than the content makes
    central: dict = field(default_factory=dict)
    local: dict = field(default_factory=dict)
    central_extra: bytes = b""
    local_extra: bytes = b""
    descriptor: bytes = None  # in place of the right one
    crc: int = None  # in both headers
    attributes: int = 0  # of the file, as the system that packed it has them
    before: bytes = b""  # bytes in front of the local header
    written: bool = True  # False: only the directory knows of it

    def data(self):
        if self.compressed is not None:
            return self.compressed
        return deflate(self.content) if self.method == DEFLATED else self.content


def deflate(content):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def zip64_extra(*numbers):
    return extra_field(1, struct.pack(f"<{len(numbers)}Q", *numbers))


def extra_field(kind, body):
    return struct.pack("<HH", kind, len(body)) + body


def header_fields(record, offset):
    data = record.data()
    return {"flags": record.flags, "method": record.method, "time": 0, "date": 0,
            "crc": zlib.crc32(record.content) if record.crc is None else record.crc, "compressed": len(data),
            "size": len(record.content), "name": record.name, "offset": offset}


def local_header(record):
    fields = header_fields(record, 0)
    if record.flags & DESCRIPTOR:
        fields.update(crc=0, compressed=0, size=0)
    fields.update(record.local)
    return struct.pack("<4s5H3I2H", b"PK\3\4", 0, fields["flags"], fields["method"], fields["time"], fields["date"],
                       fields["crc"], fields["compressed"], fields["size"], len(fields["name"]),
                       len(record.local_extra)) + fields["name"] + record.local_extra


def central_header(record, offset):
    fields = header_fields(record, offset)
    fields.update(record.central)
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", 0, 0, fields["flags"], fields["method"], fields["time"],
                       fields["date"], fields["crc"], fields["compressed"], fields["size"], len(fields["name"]),
                       len(record.central_extra), 0, 0, 0, record.attributes, fields["offset"]) + fields["name"] + record.central_extra


def make_zip(records, *, wide=False, prefix=b"", suffix=b"", before_directory=b"", count=None, directory_offset=None,
             wide_fields=None):
    """The archive; `wide` puts the zip64 end record in, `wide_fields` overrides its offset, size or count."""
    content, directory = bytearray(prefix), b""
    for record in records:
        content += record.before
        offset = len(content)
        if record.written:
            content += local_header(record) + record.data()
        if record.flags & DESCRIPTOR and record.written:
            fields = header_fields(record, 0)
            right = struct.pack("<4s3I", b"PK\7\b", fields["crc"], fields["compressed"], fields["size"])
            content += right if record.descriptor is None else record.descriptor
        directory += central_header(record, offset)
    content += before_directory
    start = len(content) if directory_offset is None else directory_offset
    count = len(records) if count is None else count
    content += directory
    if wide:
        numbers = {"offset": start, "size": len(directory), "count": count, "locator": len(content),
                   **(wide_fields or {})}
        content += struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 0, 0, 0, 0, numbers["count"], numbers["count"],
                               numbers["size"], numbers["offset"])
        content += struct.pack("<4sIQI", b"PK\6\7", 0, numbers["locator"], 1)
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, IN_64, IN_64, 0)
    else:
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
    return bytes(content + end) + suffix


# --- pickle ---------------------------------------------------------------------------------------

PROTO, STOP = b"\x80\x02", b"."


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -2 ** 31 <= value < 2 ** 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def integers(values):
    return tuple_of(*map(integer, values))


def name_of(module, name):
    return f"c{module}\n{name}\n".encode()


def call(module, name, *arguments):
    return name_of(module, name) + tuple_of(*arguments) + b"R"


def ordered_dict():
    return name_of("collections", "OrderedDict") + b")R"


def dict_of(*pairs):
    return b"}(" + b"".join(key + value for key, value in pairs) + b"u"


def storage(key="0", numel=4, kind="FloatStorage", location="cpu"):
    return tuple_of(text("storage"), name_of("torch", kind), text(key), text(location), integer(numel)) + b"Q"


def tensor(key="0", shape=(4,), offset=0, strides=None, kind="FloatStorage", numel=None):
    count = 1
    right = []
    for size in reversed(shape):
        right.insert(0, count)
        count *= size
    return call("torch._utils", "_rebuild_tensor_v2", storage(key, count if numel is None else numel, kind),
                integer(offset), integers(shape), integers(right if strides is None else strides), b"\x89",
                ordered_dict())


def quantized(key="0"):
    """Four elements of int8 with a scale, which torch reads and the program lists without values."""
    scheme = tuple_of(name_of("torch", "per_tensor_affine"), b"G" + struct.pack(">d", 1.0), integer(0))
    return call("torch._utils", "_rebuild_qtensor", storage(key, 16, "QInt8Storage"), integer(0), integers((4,)),
                integers((1,)), scheme, b"\x89", ordered_dict())


def state_dict(*names):
    """One tensor of four floats for each name, all on storage 0."""
    return PROTO + dict_of(*((text(name), tensor()) for name in names)) + STOP


def beside_a_tensor(value):
    """A checkpoint with a tensor `w` and this value under `extra`."""
    return PROTO + dict_of((text("w"), tensor()), (text("extra"), value)) + STOP


# --- .pt ------------------------------------------------------------------------------------------

FLOATS = struct.pack("<4f", 1.5, -2.25, 3.0, 1e-3)


def records_of(pickle=None, storages=None, byteorder=None, root="a"):
    """The entries of a plain .pt file by their name without the root."""
    pickle = state_dict("w") if pickle is None else pickle
    storages = {"0": FLOATS} if storages is None else storages
    parts = {"data.pkl": pickle, **({"byteorder": byteorder} if byteorder is not None else {}),
             **{f"data/{key}": data for key, data in storages.items()}, "version": b"3\n"}
    return {name: Record(f"{root}/{name}".encode(), content) for name, content in parts.items()}


def make_pt(pickle=None, storages=None, *, change=None, **options):
    """A .pt file; `change` maps an entry's name to other fields of its Record."""
    records = records_of(pickle, storages)
    for name, fields in (change or {}).items():
        records[name] = replace(records[name], **fields)
    return make_zip(list(records.values()), **options)


def padded(records):
    """The records as torch writes them: data descriptors, and `FB` fields that put data on multiples of 64."""
    made, at = [], 0
    for record in records:
        start = at + 30 + len(record.name) + 4
        room = -start % 64
        record = replace(record, flags=UTF8 | DESCRIPTOR, local_extra=extra_field(0x4246, b"Z" * room))
        made.append(record)
        at = start + room + len(record.data()) + 16
    return made


def place_of_pickle(content, root=b"a"):
    """Where the pickle of a stored archive begins."""
    at = content.index(b"PK\3\4")
    while content[at + 30:at + 30 + len(root) + 9] != root + b"/data.pkl":
        at = content.index(b"PK\3\4", at + 4)
    name, extra = struct.unpack("<2H", content[at + 26:at + 30])
    return at + 30 + name + extra
