"""`pad`, `slice`, `pad_slice` and `reshape`: which region of the source lands where. Elements are moved as bytes, so that every
dtype can be moved and no value is changed on the way."""
from dataclasses import dataclass

import numpy
import torch

from . import checkpoint as checkpoints
from .errors import Misfit


@dataclass
class Window:
    source: list             # (start, stop) for each dimension, in the source's coordinates
    target: list             # the same region in the target's

    @property
    def elements(self):
        count = 1
        for start, stop in self.target:
            count *= stop - start
        return count


def window(do, parameters, source, target):
    """The page gives a direction for each `do`; a difference in the other direction, or in a dimension that is not in `dims`, does
    not fit."""
    if len(source) != len(target):
        raise Misfit("another number of dimensions")
    free = range(len(source))
    if "dims" in parameters:
        if not all(-len(source) <= dim < len(source) for dim in parameters["dims"]):
            raise Misfit("dims that the tensor does not have")
        free = {dim % len(source) for dim in parameters["dims"]}
    result = Window([], [])
    for dim, (have, want) in enumerate(zip(source, target)):
        if have != want and dim not in free:
            raise Misfit("a dimension that may not differ")
        if (do == "pad" and have > want) or (do == "slice" and have < want):
            raise Misfit(f"{do} does not go from {have} to {want}")
        difference, size = abs(have - want), min(have, want)
        offset = {"start": 0, "center": difference // 2, "end": difference}[parameters.get("align", "start")]
        inside, whole = (offset, offset + size), (0, size)
        result.source.append(inside if have > want else whole)
        result.target.append(inside if have < want else whole)
    return result


def reshape(data, shape):
    if data.numel() != torch.Size(shape).numel():
        raise Misfit("another number of elements")
    return from_bytes(to_bytes(data).reshape(*shape, data.element_size()), data.dtype)


def cut(data, region):
    return from_bytes(to_bytes(data)[_slices(region)], data.dtype)


def laid(data, around, region):
    """`around` with its region replaced by `data`; both have one dtype."""
    result = to_bytes(around).copy()
    result[_slices(region)] = to_bytes(data)
    return from_bytes(result, data.dtype)


def mask(shape, region):
    inside = torch.zeros(tuple(shape), dtype=torch.bool)
    inside[_slices(region)] = True
    return inside


def _slices(region):
    return tuple(slice(start, stop) for start, stop in region)


def to_bytes(data):
    raw = numpy.frombuffer(checkpoints.raw_bytes(data), numpy.uint8)
    return raw.reshape(*data.shape, data.element_size())


def from_bytes(raw, dtype):
    shape = raw.shape[:-1]
    if not raw.size:
        return torch.empty(shape, dtype=dtype)
    return torch.from_numpy(numpy.ascontiguousarray(raw).reshape(-1).copy()).view(dtype).reshape(shape)
