"""The verbs that change a tensor by itself. A verb's function reads the rule and gives its entries and what it does: a function of
the step, the matches and the vars that gives an `Effect`."""
import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy
import torch

from . import casts, closeness, grids, parameters, policies, windows
from .checks import fields, typed
from .errors import Misfit, SpecError, Unsettled
from .expressions import Template
from .matches import Item, rewritten
from .parameters import Number, Numbers, axis
from .patterns import patterns
from .rearrangement import Rearrangement, names
from .values import moved


@dataclass
class Entry:
    """A pattern of a rule with what its find is rewritten to (nothing, where names stay)."""
    pattern: object
    to: object = None
    operand: object = None     # of `combine`


@dataclass
class Effect:
    consumed: set = field(default_factory=set)                           # places of names that go
    results: dict = field(default_factory=lambda: defaultdict(list))     # Items by the place at which they stand
    lost: set = field(default_factory=set)                               # places of which nothing is left


def misshapen(message):
    return SpecError(message, "rule-shape")


# One tensor in, one tensor out, under the same name

def one_to_one(read):
    def bind(value, words, variables):
        entries = [Entry(pattern) for pattern in patterns(value)]
        change = read(words)
        words.check(entries, variables)

        def apply(step, matches, variables):
            effect = Effect()
            for match in matches:
                effect.consumed.add(match.place)
                effect.results[match.place].append(Item(match.item.name, change(step, match.value, match.scope(variables))))
            return effect
        return entries, apply
    return bind


def permuted(step, value, dims):
    if dims == sorted(dims):
        return value
    return step.moved(value, ("permute", tuple(dims)), lambda array: array.transpose(dims + [len(dims)]))


@one_to_one
def transpose(words):
    dims = words.need("dims", Numbers)

    def change(step, value, scope):
        pair = dims.value(scope)
        if len(pair) != 2:
            raise SpecError("not two dimensions")
        if not value.shape:
            raise Unsettled("torch transposes a number as if it had one dimension")
        order = list(range(len(value.shape)))
        first, second = (axis(dim, value.shape) for dim in pair)
        order[first], order[second] = second, first
        return permuted(step, value, order)
    return change


@one_to_one
def permute(words):
    dims = words.need("dims", Numbers)

    def change(step, value, scope):
        order = [axis(dim, value.shape) for dim in dims.value(scope)]
        if sorted(order) != list(range(len(value.shape))):
            raise misshapen(f"{order} does not name each dimension of {value.shape} once")
        return permuted(step, value, order)
    return change


def reshaped(step, value, shape):
    if shape.count(-1) > 1 or any(size < -1 for size in shape):
        raise misshapen(f"{shape} is not a shape")
    if -1 in shape:
        rest = math.prod(size for size in shape if size != -1)
        if rest == 0 or value.data.numel() % rest:
            raise misshapen(f"{value.shape} into {shape}")
        shape = [value.data.numel() // rest if size == -1 else size for size in shape]
    if math.prod(shape) != value.data.numel():
        raise misshapen(f"{value.shape} into {shape}")
    if shape == value.shape:
        return value
    return step.moved(value, ("reshape", tuple(shape)), lambda array: array.reshape(shape + [array.shape[-1]]))


@one_to_one
def reshape(words):
    shape = words.need("shape", Numbers)
    return lambda step, value, scope: reshaped(step, value, shape.value(scope))


@one_to_one
def rearrange(words):
    pattern = words.need("pattern", lambda text: Rearrangement(typed(text, str)))
    sizes = words.take("with", NamedNumbers)
    if sizes and not set(sizes.items) <= pattern.names:
        raise SpecError("`with` names an axis that the pattern does not have")
    pattern.check(sizes.items if sizes else ())

    def change(step, value, scope):
        given = sizes.value(scope) if sizes else {}
        if any(size < 0 for size in given.values()):
            raise misshapen("a negative size")
        _, left, right = solved = pattern.solve(value.shape, given)
        if names(left) == names(right) and all(len(group) <= 1 for group in left) and pattern.shape(*solved) == value.shape:
            return value
        what = "rearrange", repr(solved)
        return step.moved(value, what, pattern.move(value.shape, given))
    return change


class NamedNumbers:
    def __init__(self, raw):
        self.items = {name: Number(value) for name, value in typed(raw, dict).items()}

    def value(self, scope):
        return {name: item.value(scope) for name, item in self.items.items()}

    def expressions(self):
        return [each for item in self.items.values() for each in item.expressions()]


def along(dim, index):
    return (slice(None),) * dim + (index,)


@one_to_one
def slice_(words):
    dim, start, stop, step_by = words.number("dim", 0), words.number("start", 0), words.number("stop"), words.number("step", 1)
    if step_by.literal is not None and step_by.literal < 1:
        raise SpecError("a step below 1")

    def change(step, value, scope):
        at = axis(dim.value(scope), value.shape)
        size = value.shape[at]
        first, by = start.value(scope), step_by.value(scope)
        last = size if stop is None else stop.value(scope)
        if by < 1 or not -size <= first <= size or not -size <= last <= size:
            raise misshapen(f"{first}:{last}:{by} of {size}")
        first, last = (bound + size if bound < 0 else bound for bound in (first, last))
        if last < first:
            raise misshapen(f"{first}:{last} of {size}")
        if (first, last, by) == (0, size, 1):
            return value
        return step.moved(value, ("slice", at, first, last, by), lambda array: array[along(at, slice(first, last, by))], drops=True)
    return change


@one_to_one
def index_select(words):
    dim, index = words.number("dim", 0), words.need("index", Numbers)

    def change(step, value, scope):
        at, rows = axis(dim.value(scope), value.shape), index.value(scope)
        if not all(0 <= row < value.shape[at] for row in rows):
            raise misshapen(f"{rows} of {value.shape[at]}")
        rows = numpy.array(rows, dtype=numpy.int64)
        drops = len(set(rows.tolist())) < value.shape[at]
        return step.moved(value, ("index", at, tuple(rows.tolist())), lambda array: numpy.take(array, rows, at), drops)
    return change


@one_to_one
def pad(words):
    dim, before, after = words.number("dim", 0), words.number("before", 0), words.number("after", 0)
    fill = words.take("fill", lambda raw: Number(raw, fractions=True)) or Number(0)

    def change(step, value, scope):
        at = axis(dim.value(scope), value.shape)
        sides, number = (before.value(scope), after.value(scope)), fill.value(scope)
        if min(sides) < 0:
            raise misshapen("a negative number of elements")
        if not any(sides):
            if not casts.can_hold(value.dtype, number):
                raise Unsettled("a fill that the dtype cannot hold, and nothing to fill")
            return value
        if not casts.can_hold(value.dtype, number):
            raise SpecError(f"{value.dtype} has no {number}", "rule-dtype")

        def around(array, one):
            shapes = (array.shape[:at] + (size,) + array.shape[at + 1:] for size in sides)
            first, last = (numpy.broadcast_to(one, shape) for shape in shapes)
            return numpy.concatenate([first, array, last], at)

        def filled(tensor, one):
            return moved(lambda array: around(array, windows.to_bytes(one)), tensor)

        one, close = casts.constant((), value.dtype, number), None
        if value.close:                                # what is filled in is exact
            bounds = (bound if bound is None else filled(bound, one) for bound in (value.close.low, value.close.high))
            close = closeness.Closeness(filled(value.close.mask, torch.tensor(False)), *bounds)
        return step.result([value], ("pad", at, sides, number), filled(value.data, one), close)
    return change


@one_to_one
def interpolate(words):
    known = policies.WORDS["shape"]["interpolate"]
    case = {key: words.take(key, known[key]) for key in known if key not in ("size", "from", "prefix_tokens", "suffix_tokens")}
    case = {key: value for key, value in case.items() if value is not None}
    case.setdefault("pattern", grids.Pattern("1 (h w) c"))
    size, source = words.need("size", Numbers), words.take("from", Numbers)
    prefix, suffix = words.number("prefix_tokens", 0), words.number("suffix_tokens", 0)
    if case.get("mode") == "nearest" and case.get("antialias"):
        raise SpecError("nearest has no antialiasing")

    def change(step, value, scope):
        pattern, grid = case["pattern"], size.value(scope)
        given = {**case, "size": grid, "prefix_tokens": prefix.value(scope), "suffix_tokens": suffix.value(scope)}
        if source:
            given["from"] = source.value(scope)
        if any(len(pair) != 2 or min(pair) < 1 for pair in (grid, given.get("from", grid))):
            raise misshapen(f"{grid} is not a grid")
        if value.dtype not in grids.PLAIN_FLOATS:
            raise SpecError(f"interpolate of {value.dtype}", "rule-dtype")
        if value.close:
            raise Unsettled("interpolation of what was computed")
        if len(pattern.axes) != len(value.shape):
            raise misshapen(f"{pattern} of {value.shape}")
        shape = list(value.shape)
        if pattern.group is None:
            if given["prefix_tokens"] or given["suffix_tokens"]:
                raise Unsettled("tokens beside the grid without a group")
            shape[pattern.axes.index("h")], shape[pattern.axes.index("w")] = grid
        else:
            shape[pattern.group] = math.prod(grid) + given["prefix_tokens"] + given["suffix_tokens"]
        if shape == value.shape and grid == given.get("from", grid):
            raise Unsettled("interpolation to the size that is there")
        try:
            data, close = grids.interpolate(given, value.data, shape)
        except Misfit as misfit:
            raise misshapen(str(misfit)) from None
        return step.result([value], ("interpolate", repr(given)), data, close, lossy=None)
    return change


@one_to_one
def cast(words):
    dtype = words.need("dtype", parameters.dtype)
    return lambda step, value, scope: step.cast(value, dtype)


# One tensor in, several out

def template(text):
    return Template(typed(text, str))


def templates(value):
    result = [None if text is None else template(text) for text in typed(value, list)]
    if not result:
        raise SpecError("an empty `to`")
    return result


def split(value, words, variables):
    entries = [Entry(pattern) for pattern in patterns(value)]
    to, dim, sizes = words.need("to", templates), words.number("dim", 0), words.take("sizes", Numbers)
    if sizes and sizes.items is not None and len(sizes.items) != len(to):
        raise SpecError("not one size for each part")
    words.check(entries, variables)
    check_templates(entries, filter(None, to), variables)

    def apply(step, matches, variables):
        effect = Effect()
        for match in matches:
            scope, part = match.scope(variables), match.value
            at = axis(dim.value(scope), part.shape)
            size = part.shape[at]
            if sizes:
                lengths = sizes.value(scope)
                if len(lengths) != len(to) or min(lengths) < 0 or sum(lengths) != size:
                    raise misshapen(f"{lengths} of {size}")
            elif size % len(to):
                raise misshapen(f"{len(to)} equal parts of {size}")
            else:
                lengths = [size // len(to)] * len(to)
            effect.consumed.add(match.place)
            start = 0
            for number, (each, length) in enumerate(zip(to, lengths)):
                stop = start + length
                if each:
                    result = part if length == size else step.moved(
                        part, ("slice", at, start, stop, 1), lambda array: array[along(at, slice(start, stop))], drops=True)
                    effect.results[match.place].append(Item(rewritten(match, each, variables, i=number), result))
                start = stop
            if not effect.results[match.place]:
                effect.lost.add(match.place)
        return effect
    return entries, apply


def unbind(value, words, variables):
    entries = [Entry(pattern) for pattern in patterns(value)]
    to, dim = words.need("to", template), words.number("dim", 0)
    if "i" not in to.names:
        raise SpecError("`to` does not use {i}")
    words.check(entries, variables)
    check_templates(entries, [to], variables)

    def apply(step, matches, variables):
        effect = Effect()
        for match in matches:
            at = axis(dim.value(match.scope(variables)), match.value.shape)
            if match.value.shape[at] == 0:
                raise misshapen(f"nothing is left of {match.value.shape}")
            effect.consumed.add(match.place)
            for number in range(match.value.shape[at]):
                result = step.moved(match.value, ("unbind", at, number), lambda array: array[along(at, number)],
                                    drops=match.value.shape[at] > 1)
                effect.results[match.place].append(Item(rewritten(match, to, variables, i=number), result))
        return effect
    return entries, apply


def check_templates(entries, to, variables, *others):
    for each in to:
        for entry in entries:
            each.check(entry.pattern.groups, entry.pattern.named, variables, {"i"}, *others)
