"""What a name stands for on its way through the rules: a tensor of a source, or what rules have made of some."""
from dataclasses import dataclass, replace

import numpy
import torch

from . import casts, closeness, windows
from .dtypes import lossy, name_of, torch_dtype
from .errors import SpecError, Unsettled


@dataclass
class Value:
    """`tie` is equal for values that are tied: of a source tensor its view, of a rule's result the rule and what it worked on.
    `alike` leaves the rule out: whether two rules that do the same to one tensor leave a tie is not said.
    """
    data: torch.Tensor
    tie: tuple
    alike: tuple
    storages: frozenset            # of the source tensors that went into it
    origins: list                  # their names
    original: object = None        # the source tensor, as long as this is it
    close: object = None           # closeness.Closeness, once something was computed
    overflow: bool = False         # a cast on the way met a value that its dtype cannot hold
    lossy: object = False          # a cast on the way did not keep every value of its dtype; None: computed
    loose: bool = False            # not every element of every origin is there any more

    @classmethod
    def of(cls, tensor):
        return cls(tensor.data, tensor.tie, tensor.tie, frozenset([tensor.storage]), [tensor.name], tensor)

    @property
    def dtype(self):
        return name_of(self.data.dtype)

    @property
    def shape(self):
        return list(self.data.shape)

    @property
    def has_values(self):
        return not self.data.is_meta

    @property
    def made(self):
        """By a rule, from one or more source tensors."""
        return self.original is None

    def statuses(self, tensors):
        """Of a result that arrives as it is. One of which the rules have moved every element back may be seen through."""
        if not self.made:
            return {"loaded"}
        for tensor in (tensors[name] for name in self.origins):
            if tensor.dtype == self.dtype and tensor.shape == self.shape:
                if (windows.to_bytes(tensor.data) == windows.to_bytes(self.data)).all():
                    return {"transformed", "loaded"}
        return {"transformed"}

    def settle(self, fates, fate):
        """Notes what becomes of the source tensors that are in it."""
        unsure = fate == "used" and self.made and (not self.data.numel() or (self.loose and len(self.origins) > 1))
        for name in self.origins:
            fates[name].add("perhaps used" if unsure else fate)

    @property
    def sources(self):
        """Their names for the report, where only one answer is possible."""
        return None if self.loose and len(self.origins) > 1 else self.origins


class Step:
    """One rule at work: makes its results, which are tied when they are made of the same in the same way."""

    def __init__(self, rule):
        self.rule = rule

    def result(self, parts, what, data, close=None, overflow=False, drops=False, lossy=False):
        losses = {lossy, *(part.lossy for part in parts)}
        return Value(data, ("rule", self.rule, what, tuple(part.tie for part in parts)),
                     ("rule", what, tuple(part.alike for part in parts)),
                     frozenset().union(*(part.storages for part in parts)),
                     list(dict.fromkeys(name for part in parts for name in part.origins)), None, close,
                     overflow or any(part.overflow for part in parts), None if None in losses else True in losses,
                     drops or any(part.loose for part in parts))

    def moved(self, part, what, move, drops=False):
        """`move` works on an array with one more dimension, the last: the bytes of an element."""
        if drops and part.overflow:
            raise Unsettled("a value that overflows is cut away after its cast: the run stops, or never meets it")
        def one(tensor):
            return moved(move, tensor)
        return self.result([part], what, one(part.data), part.close and part.close.map(one), drops=drops)

    def joined(self, parts, what, join, dtype):
        """`parts` cast to one dtype and brought together."""
        parts = [self.cast(part, dtype) for part in parts]
        close = None
        if any(part.close for part in parts):
            closes = [part.close or closeness.exact(part.data) for part in parts]
            if any(one.low is not None for one in closes):
                closes = [one.with_bounds(part.data) for one, part in zip(closes, parts)]
            close = closeness.Closeness(*(None if tensors[0] is None else moved(join, *tensors) for tensors in
                                          zip(*((one.mask, one.low, one.high) for one in closes))))
        return self.result(parts, what, moved(join, *(part.data for part in parts)), close)

    def cast(self, part, dtype):
        if dtype == part.dtype:
            return part
        data, close, overflow = casts.cast(part.data, part.close, dtype)
        return self.result([part], ("cast", dtype), data, close, overflow, lossy=lossy(part.dtype, dtype))


def moved(move, *tensors):
    """Elements brought to other places bit for bit, in whatever dtype."""
    arrays = [windows.to_bytes(tensor) for tensor in tensors]
    return windows.from_bytes(numpy.ascontiguousarray(move(*arrays)), tensors[0].dtype)


def promoted(parts, given):
    """The dtype of what is made of several: torch's, or the one that `dtype:` gives."""
    if given:
        return given
    names = [part.dtype for part in parts]
    results = {fold(names), fold(names[::-1])}
    if len(results) > 1:
        raise Unsettled("a promotion that depends on the order")
    result = results.pop()
    if result is None:
        raise SpecError(f"torch does not promote {names}", "rule-dtype")
    return result


def fold(names):
    result = torch_dtype(names[0])
    for name in names[1:]:
        try:
            result = torch.promote_types(result, torch_dtype(name))
        except RuntimeError:
            return None
    return name_of(result)
