"""`interpolate`: another grid of positions, with torch doing the arithmetic.

The engine has its own arithmetic in float32, so its results are given some room around torch's. Units are float32's last place of
the largest value in the plane that takes part.
- Sums of the same products in another order, or with fused multiply-add, and weights rounded on the way: 4 units for bilinear (4
  products, weights between 0 and 1), 16 for bicubic (16 products, weights that are polynomials and of which the absolute values add
  up to 2) and with antialiasing (more products, weights divided by their sum).
- A position in a row of n is rounded to n units, and a result moves with it: as many units as the source has rows and columns.
- Positions may also be computed exactly: so a result may lie anywhere between torch's in float32 and torch's in float64, and that
  many units beyond.
That result is then rounded to the source's dtype. A mistake of the kind that matters (another alignment, another coefficient of the
cubic) is a thousand times as large. `nearest` computes nothing: its bits are compared.
"""
import math
import re

import torch

from . import closeness
from .casts import convert
from .dtypes import PLAIN_FLOATS, name_of
from .errors import Misfit, SpecError, Unsettled

ROOM = {"bilinear": 4, "bicubic": 16}
UNIT = 2.0**-23                                        # float32's unit in the last place, relative
GROUPS = ("(h w)", "(w h)")


AXIS = re.compile(r"\s*(?:\(\s*(\w+)\s+(\w+)\s*\)|([A-Za-z_]\w*|1)(?=[\s(]|$))\s*")


class Pattern:
    """`1 (h w) c`: one axis for each dimension."""

    def __init__(self, text):
        self.axes, at = [], 0
        while at < len(text):
            match = AXIS.match(text, at)
            if not match:
                raise SpecError(f"{text!r} is not a pattern of axes")
            self.axes.append(match[3] or f"({match[1]} {match[2]})")
            at = match.end()
        names = [axis for axis in self.axes if axis != "1"]
        groups = [axis for axis in names if axis.startswith("(")]
        if len(set(names)) < len(names) or any(axis not in GROUPS for axis in groups) or len(groups) > 1:
            raise SpecError(f"{text!r}: an axis twice, or a group that is not of h and w")
        if {"h", "w"} & set(names) != (set() if groups else {"h", "w"}):
            raise SpecError(f"{text!r}: h and w have to stand in it once")
        self.group = self.axes.index(groups[0]) if groups else None
        self.flipped = groups == ["(w h)"]

    def __repr__(self):
        return " ".join(self.axes)


def interpolate(parameters, data, shape):
    """The interpolated tensor in the source's dtype, and its closeness."""
    pattern = parameters["pattern"]
    before, after = list(data.shape), list(shape)
    if name_of(data.dtype) not in PLAIN_FLOATS:
        raise Misfit("no floating-point dtype that can be computed with")
    if not len(pattern.axes) == len(before) == len(after):
        raise Misfit("another number of axes")
    for axis, have, want in zip(pattern.axes, before, after):
        if axis not in ("h", "w", *GROUPS) and (have != want or (axis == "1" and have != 1)):
            raise Misfit(f"axis {axis}: {have} against {want}")
    prefix, suffix = parameters.get("prefix_tokens", 0), parameters.get("suffix_tokens", 0)
    if pattern.group is None:
        places = [pattern.axes.index("h"), pattern.axes.index("w")]
        for key, sizes in (("from", before), ("size", after)):
            if key in parameters and parameters[key] != [sizes[place] for place in places]:
                raise Misfit(f"{key} is not the tensor's")
        grid, size = data, [after[place] for place in places]
    else:
        at = pattern.group
        source_size = _grid(before[at] - prefix - suffix, parameters.get("from"))
        size = _grid(after[at] - prefix - suffix, parameters.get("size"))
        grid = data.narrow(at, prefix, before[at] - prefix - suffix)
        grid = grid.unflatten(at, source_size[::-1] if pattern.flipped else source_size)
        places = [at + 1, at] if pattern.flipped else [at, at + 1]
    if 0 in (*size, *grid.shape):
        raise Unsettled("a grid without positions, or of nothing")
    results = _resampled(grid, places, size, parameters.get("mode", "bicubic"), parameters.get("antialias", False))
    mask = torch.ones_like(results[0], dtype=torch.bool)
    if pattern.group is not None:
        ends = [data.narrow(at, 0, prefix), data.narrow(at, before[at] - suffix, suffix)]
        results = [torch.cat([ends[0], result.flatten(at, at + 1), ends[1]], at) for result in results]
        mask = torch.zeros_like(results[0], dtype=torch.bool)
        mask.narrow(at, prefix, math.prod(size)).fill_(True)
    value, low, high = results
    return value, closeness.Closeness(mask, low, high)


def _grid(tokens, given):
    if given is not None:
        if math.prod(given) != tokens:
            raise Misfit(f"{given} does not make {tokens}")
        return given
    side = math.isqrt(max(tokens, 0))
    if side * side != tokens:
        raise Misfit(f"{tokens} are not a square")
    return [side, side]


def _resampled(grid, places, size, mode, antialias):
    """The result and the least and the greatest that are allowed, rounded to the grid's dtype."""
    others = [axis for axis in range(grid.dim()) if axis not in places]
    order = others + places
    planes = grid.permute(order)
    single = planes.to(torch.float32).reshape(1, -1, *planes.shape[-2:])
    shape = [grid.shape[axis] for axis in others] + size

    def back(values):
        return convert(values.reshape(shape).permute([order.index(axis) for axis in range(grid.dim())]), name_of(grid.dtype))

    if not grid.numel():
        return [back(single.new_empty(shape))] * 3
    if not single.isfinite().all():
        raise Unsettled("an infinity times a weight of zero")
    if mode == "nearest":
        return [back(torch.nn.functional.interpolate(single, size, mode="nearest"))] * 3
    value, exact = (_computed(numbers, size, mode, antialias) for numbers in (single, single.double()))
    units = (16 if antialias else ROOM[mode]) + sum(single.shape[-2:])
    room = units * UNIT * single.double().abs().amax((-2, -1), keepdim=True)
    low, high = torch.minimum(value.double(), exact) - room, torch.maximum(value.double(), exact) + room
    if not all(back(bound).isfinite().all() for bound in (low, high)):
        raise Unsettled("an interpolated number beyond the dtype")
    return [back(value), back(low), back(high)]


def _computed(planes, size, mode, antialias):
    if antialias and size[1] == 1 < size[0]:
        # torch 2.13 gives every row of a single column the first one's value; a single row it gets right.
        return _computed(planes.mT, size[::-1], mode, antialias).mT
    return torch.nn.functional.interpolate(planes.contiguous(), size, mode=mode, align_corners=False, antialias=antialias)
