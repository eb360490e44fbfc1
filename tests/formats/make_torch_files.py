"""Genuine files of torch.save, for a round trip: make_torch_files.py make FOLDER writes them,
make_torch_files.py compare A B says whether two files hold the same tensors, bit for bit, under the
dotted names that regraft gives them, with the same sharing."""

import argparse
import collections
import os
import sys
import zipfile

import torch

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
    "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2", "complex32", "complex64", "complex128",
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bits8",
    "bits16", "bits1x8", "bits2x4", "bits4x2",
]


def raw(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count,), dtype=torch.uint8, generator=generator)


def of_dtype(name, count=12):
    dtype = getattr(torch, name)
    if name == "bool":
        return raw(count, 1) > 127
    # Any bytes: NaN payloads, -0 and subnormals are among them.
    return raw(count * dtype.itemsize, 2).view(dtype)


def files():
    yield "dtypes", {name: of_dtype(name) for name in DTYPES}
    yield "scalars", {name: of_dtype(name, 1)[0] for name in DTYPES if name != "float4_e2m1fn_x2"}

    base = torch.arange(60.0)
    yield "views", {
        "base": base, "slice": base[7:19], "step": base[1::3], "matrix": base.view(3, 20),
        "transposed": base.view(3, 20).t(), "permuted": base.view(3, 4, 5).permute(2, 0, 1),
        "expanded": base[:1].expand(4, 5), "overlapping": base.as_strided((5, 4), (2, 1), 3),
        "tied": base, "scalar": base[5], "empty": base[3:3], "empty2": torch.zeros(0, 3),
        "empty_end": torch.zeros(3, 0)[2],
    }
    shared = torch.arange(8, dtype=torch.uint8)
    yield "uint8_and_untyped", {"bytes": shared, "float8": shared.view(torch.float8_e4m3fn)}
    nothing = torch.zeros(0)
    yield "empty_of_two_dtypes", {"a": nothing, "b": nothing.view(torch.int32)}
    complex_ = torch.randn(3, 2, dtype=torch.complex64)
    yield "bits", {
        "conj": complex_.conj(), "neg": torch._neg_view(torch.randn(3)), "plain": complex_,
        "both": torch._neg_view(complex_.conj()),
        "resolved": complex_.conj().resolve_conj(),
    }
    parameter = torch.nn.Parameter(torch.ones(2, 3))
    named = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    named.note = "attribute"
    leaf = torch.ones(3, requires_grad=True)
    yield "parameters", {
        "parameter": parameter, "frozen": named, "leaf": leaf,
        "int": torch.nn.Parameter(torch.arange(3), requires_grad=False),
    }
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3),
        torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()))
    yield "state_dict", model.state_dict()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 1, 6, 6)).sum().backward()
    optimizer.step()
    yield "training", {
        "epoch": 12, "loss": 0.1, "name": "adam", "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(), "args": argparse.Namespace(lr=0.1),
        "history": [0.5, 0.25], "seed": 2**63 + 5, "none": None, "ok": True, "raw": b"\0\xff",
        "nested": [(torch.ones(2), {"x": torch.zeros(1)}), [1, 2]],
        "counter": collections.Counter("hello"),
        "default": collections.defaultdict(list, {"a": torch.ones(1)}),
        "set": {1}, "size": torch.Size([2]),
        "device": torch.device("cpu"), "dtype": torch.float16, 7: torch.ones(1), -3: torch.zeros(2),
        (1, 2): torch.ones(2), 0.5: 1, "rng": torch.get_rng_state(),
    }
    yield "names", {
        "": torch.ones(1), "a.b": torch.ones(2), "\u00e9\u4e2d\U0001f600": torch.ones(3),
        "\ud800": torch.ones(4), "nul\0": torch.ones(5), "../../etc/passwd": torch.ones(6),
        "x" * 300: torch.ones(7),
    }
    yield "many", {f"layer.{i}.weight": torch.full((3,), float(i)) for i in range(3000)}
    yield "tensor", torch.arange(6).view(2, 3)
    yield "list", [torch.ones(2), torch.zeros(3)]
    yield "module", model
    yield "unsupported", {
        "plain": torch.ones(2),
        "quantized": torch.quantize_per_tensor(torch.randn(2, 3), 0.1, 2, torch.qint8),
        "per_channel": torch.quantize_per_channel(
            torch.randn(2, 3), torch.ones(2), torch.zeros(2), 0, torch.quint8),
        "coo": torch.eye(3).to_sparse(), "csr": torch.eye(3).to_sparse_csr(),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "meta": torch.empty(3, 4, device="meta"),
    }
    one = {"a": torch.ones(1)}
    yield "shared_dict", {"x": one, "y": one}
    cycle = {"a": torch.ones(1)}
    cycle["self"] = cycle
    yield "cycle", cycle


def make(folder):
    os.makedirs(folder, exist_ok=True)
    for name, value in files():
        torch.save(value, os.path.join(folder, name + ".pt"))
    values = dict(files())
    # Not 0 and 1: persistent ids are tuples, which PERSID cannot write.
    for protocol in (3, 4, 5):
        torch.save(values["training"], os.path.join(folder, f"protocol{protocol}.pt"),
                   pickle_protocol=protocol)
    torch.serialization.set_crc32_options(False)
    torch.save(values["state_dict"], os.path.join(folder, "no_crc.pt"))
    torch.serialization.set_crc32_options(True)
    repack(os.path.join(folder, "views.pt"), os.path.join(folder, "deflated.pt"))
    big_endian(os.path.join(folder, "dtypes.pt"), os.path.join(folder, "big_endian.pt"))


def repack(source, target):
    with zipfile.ZipFile(source) as a, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as b:
        for entry in a.infolist():
            b.writestr(entry.filename, a.read(entry))


def big_endian(source, target):
    """As a big-endian machine would have saved it: every number with its bytes reversed."""
    tensors = torch.load(source, weights_only=True)
    widths = []
    for tensor in tensors.values():
        width = tensor.dtype.itemsize // (2 if tensor.dtype.is_complex else 1)
        widths.append(width)
    with zipfile.ZipFile(source) as a, zipfile.ZipFile(target, "w") as b:
        for entry in a.infolist():
            data = a.read(entry)
            name = entry.filename.split("/", 1)[1]
            if name == "byteorder":
                data = b"big"
            elif name.startswith("data/"):
                width = widths[int(name[5:])]
                data = b"".join(data[i:i + width][::-1] for i in range(0, len(data), width))
            b.writestr(entry.filename, data)


def flatten(value, name="", out=None, top=True, above=()):
    out = {} if out is None else out
    if isinstance(value, torch.Tensor):
        out[name] = value
        return out
    if id(value) in above:
        return out
    pairs = ()
    if type(value) in (dict, collections.OrderedDict, collections.defaultdict, collections.Counter):
        pairs = [(k, v) for k, v in value.items() if type(k) in (str, int)]
    elif type(value) in (list, tuple):
        pairs = enumerate(value)
    for key, item in pairs:
        path = str(key) if top else f"{name}.{key}"
        flatten(item, path, out, False, above + (id(value),))
    return out


def carried(tensor):
    return (tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_nested
            and tensor.device.type == "cpu")


def bits(tensor):
    storage = tensor.untyped_storage()
    return bytes(storage.tolist()) if storage.nbytes() else b""


def same(a, b):
    if type(a) is not type(b):
        return "class"
    for what in ("dtype", "shape", "requires_grad"):
        if getattr(a, what) != getattr(b, what):
            return what
    if a.stride() != b.stride() or a.storage_offset() != b.storage_offset():
        return "view"
    if a.is_conj() != b.is_conj() or a.is_neg() != b.is_neg():
        return "conj or neg"
    if bits(a) != bits(b):
        return "bytes"
    return None


def groups(tensors):
    """Which names share a storage."""
    by_storage = collections.defaultdict(list)
    for name, tensor in tensors.items():
        if tensor.untyped_storage().nbytes():
            by_storage[tensor.untyped_storage().data_ptr()].append(name)
    return sorted(map(sorted, by_storage.values()))


def compare(a, b):
    source = torch.load(a, weights_only=False)
    first = {k: v for k, v in flatten(source).items() if carried(v)}
    for options in ({"weights_only": True}, {"weights_only": True, "mmap": True},
                    {"weights_only": False}):
        result = torch.load(b, **options)
        assert type(result) is collections.OrderedDict, type(result)
        assert list(first) == list(result), (list(first), list(result))
        for name in first:
            difference = same(first[name], result[name])
            assert difference is None, (name, difference, options)
        assert groups(first) == groups(result), options
        assert getattr(source, "_metadata", None) == getattr(result, "_metadata", None)
    with zipfile.ZipFile(b) as archive:
        assert archive.testzip() is None


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        compare(sys.argv[2], sys.argv[3])
