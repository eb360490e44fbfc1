"""A checkpoint as names and tensors."""
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy
import torch

from . import strict_yaml
from .errors import OutOfScope, SpecError, Unsettled

SAFETENSORS_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16,
    "U8": torch.uint8, "BOOL": torch.bool, "C64": torch.complex64, "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2": torch.float8_e5m2, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
}


@dataclass(eq=False)
class Tensor:
    name: bytes
    data: torch.Tensor
    storage: object          # equal for tensors over one storage

    @property
    def tie(self):
        """Equal for names that are tied."""
        return (self.storage, self.data.storage_offset(), tuple(self.data.shape), self.data.stride(), self.data.dtype)

    @property
    def has_values(self):
        return not self.data.is_meta

    @property
    def dtype(self):
        return str(self.data.dtype).removeprefix("torch.")

    @property
    def shape(self):
        return list(self.data.shape)


@dataclass
class Checkpoint:
    """`top` is the nested object a .pt holds; a safetensors file and a schema have `flat` alone."""
    side: str
    top: object = None
    flat: list = None
    metadata: dict = field(default_factory=dict)

    def open(self, roots):
        """The tensors below the root, and whether there is content beside them."""
        if self.flat is not None:
            if roots is not None and "" not in roots:
                raise SpecError("no such root")
            return self.flat, False
        path = find_root(self.top) if roots is None else given_root(self.top, roots)
        tensors, seen, extras = [], set(), False
        for place, value in leaves(self.top, ()):
            if isinstance(value, torch.Tensor) and place[:len(path)] == path:
                name = ".".join(map(str, place[len(path):])).encode()
                if name in seen:
                    raise Unsettled("one name twice in a checkpoint: exit 2 or 3")
                seen.add(name)
                storage = (self.side, value.untyped_storage()._cdata)
                tensors.append(Tensor(name, value.detach(), storage))
            elif place != path:
                extras = True
        return tensors, extras


def children(node):
    if isinstance(node, Mapping):
        return list(node.items())
    if isinstance(node, (list, tuple)):
        return list(enumerate(node))
    return None


def leaves(node, path):
    below = children(node)
    if not below:                                # an empty container is content as well
        yield path, node
        return
    for key, child in below:
        yield from leaves(child, path + (key,))


def find_root(top):
    found = list(mostly_tensors(top, ()))
    if len(found) != 1:
        # Several are an error by the page; none at all is one too, as there is nothing to say what the names are relative to.
        raise SpecError(f"{len(found)} mappings could be the root")
    return found[0]


def mostly_tensors(node, path):
    if isinstance(node, Mapping):
        if "state" in node and "param_groups" in node:
            return
        if 2 * sum(isinstance(value, torch.Tensor) for value in node.values()) > len(node):
            yield path
            return
    for key, child in children(node) or ():
        yield from mostly_tensors(child, path + (key,))


def given_root(top, roots):
    containers = {}

    def collect(node, path):
        if children(node) is not None:
            containers.setdefault(".".join(map(str, path)), path)
            for key, child in children(node):
                collect(child, path + (key,))

    collect(top, ())
    for root in roots:
        if root in containers:
            return containers[root]
    raise SpecError("no such root")


def load_pt(file, side, **options):
    return Checkpoint(side, torch.load(file, weights_only=True, **options))


def read_safetensors(data):
    """Header and tensors of a safetensors file, in the order of the header, read here by hand: torch's loader puts all tensors
    into one storage and does not know every dtype of the format."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = SAFETENSORS_DTYPES[entry["dtype"]]
        raw = numpy.frombuffer(data[8 + size + begin:8 + size + end], numpy.uint8).copy()
        flat = torch.from_numpy(raw).view(dtype) if len(raw) else torch.empty(0, dtype=dtype)
        tensors[name] = flat.reshape(entry["shape"])
    return metadata, tensors


def load_safetensors(file, side):
    with open(file, "rb") as stream:
        metadata, tensors = read_safetensors(stream.read())
    flat = [Tensor(name.encode(), tensor, (side, name)) for name, tensor in tensors.items()]
    return Checkpoint(side, flat=flat, metadata=metadata)


def load_schema(file, side):
    """A target without values: tensors on the meta device."""
    with open(file, encoding="utf-8") as stream:
        schema = strict_yaml.load(stream.read())       # JSON is YAML
    if set(schema) != {"regraft_schema", "tensors"}:
        raise OutOfScope("a schema with more than tensors")
    views, flat = {}, []
    for name, entry in schema["tensors"].items():
        if not set(entry) <= {"dtype", "shape", "tie"}:
            raise OutOfScope("a schema with strides or storages")
        if "tie" not in entry:
            views[name] = torch.empty(entry["shape"], dtype=getattr(torch, entry["dtype"]), device="meta")
        first = entry.get("tie", name)
        flat.append(Tensor(name.encode(), views[first], (side, first)))
    return Checkpoint(side, flat=flat)


def storage_bytes(tensor):
    raw = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
    return raw.numpy()


def raw_bytes(tensor):
    """The elements in row-major order, bit for bit: no arithmetic type is involved that could quiet a NaN."""
    tensor = tensor.detach()
    size = tensor.element_size()
    if tensor.numel() == 0:
        return b""
    storage = storage_bytes(tensor)[tensor.storage_offset() * size:]
    shape = tuple(tensor.shape) + (size,)
    strides = tuple(stride * size for stride in tensor.stride()) + (1,)
    return numpy.lib.stride_tricks.as_strided(storage, shape, strides, writeable=False).tobytes()


def addresses(tensor):
    """For each element in row-major order its byte offset in the storage."""
    offsets = numpy.zeros(tuple(tensor.shape), numpy.int64)
    for axis, stride in enumerate(tensor.stride()):
        shape = [1] * tensor.dim()
        shape[axis] = -1
        offsets = offsets + (numpy.arange(tensor.shape[axis]) * stride).reshape(shape)
    return (offsets.reshape(-1) + tensor.storage_offset()) * tensor.element_size()
