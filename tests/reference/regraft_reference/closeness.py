"""How closely an output has to agree with what is expected.

`None` is bit for bit. Otherwise the elements under `mask` have more room: a converted NaN is any NaN (torch's vectorised and plain
conversions differ in its bits), and a computed number may lie anywhere in `low`..`high`, the results that the least and the
greatest intermediate number would have led to; rounding is monotone, so what an intermediate number in between leads to lies in
between. For `normal` that is more than a bound on how many numbers may be their neighbours: only one that lies within the
allowed error of the middle between two can be.
"""
from dataclasses import dataclass

import torch

from . import windows
from .dtypes import INTEGERS, name_of


@dataclass
class Closeness:
    mask: torch.Tensor
    low: torch.Tensor = None
    high: torch.Tensor = None

    def map(self, move):
        return Closeness(*(None if tensor is None else move(tensor) for tensor in (self.mask, self.low, self.high)))

    def with_bounds(self, data):
        return self if self.low is not None else Closeness(self.mask, data, data)


def between(low, high):
    return Closeness(torch.ones(low.shape, dtype=torch.bool), low, high)


def exact(data):
    return Closeness(torch.zeros(data.shape, dtype=torch.bool))


def converted(shape):
    return Closeness(torch.ones(tuple(shape), dtype=torch.bool))


def agrees(expected, actual, close):
    """For each element of two tensors of one dtype and shape whether they agree."""
    same = torch.tensor((windows.to_bytes(expected) == windows.to_bytes(actual)).all(-1))
    if close is None:
        return same
    mine, theirs = _parts(expected), _parts(actual)
    room = torch.zeros_like(same)
    if name_of(expected.dtype) not in INTEGERS:        # doubles do not tell all of int64 apart
        room = ((mine.isnan() & theirs.isnan()) | ((mine == theirs) & (mine.signbit() == theirs.signbit()))).all(-1)
    if close.low is not None:
        room |= ((_parts(close.low) <= theirs) & (theirs <= _parts(close.high))).all(-1)
    return same | (close.mask & room)


def _parts(tensor):
    """As doubles, with the parts of a complex number on a last dimension."""
    if tensor.dtype.is_complex:
        return torch.view_as_real(tensor.to(torch.complex128).contiguous())
    return tensor.to(torch.float64)[..., None]
