"""`combine`: a formula over tensors.

A formula of nothing but moves keeps dtype and bits. Any other is computed here in double precision, beside a bound on how far from
that the engine's arithmetic in float32 (or float64, where an operand is) may lie: the usual running error analysis, with a unit
of twice the rounding error. The result is rounded once, and the engine's has to lie between what the least and the greatest
number round to.
"""
import math
import re
from dataclasses import dataclass

import numpy
import torch

from . import casts, closeness
from .checks import typed
from .dtypes import COMPLEX, INTEGERS, torch_dtype
from .errors import SpecError, Unsettled
from .expressions import Fault
from .parameters import axis
from .values import Value, promoted

TOKEN = re.compile(r"\s*(?:(\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\d+)|\\(\d)|([A-Za-z_]\w*)|(//|[-+*/@%(),]))", re.ASCII)
# function: how many of its arguments are tensors, and how many integers follow (None: one or more)
MOVES = {"reshape": (1, None), "transpose": (1, 2), "narrow": (1, 3), "cat": (2, 1), "tile": (1, None), "repeat_interleave": (1, 2)}
COMPUTED = {"sum": (1, 1), "mean": (1, 1), "norm": (1, 1), "sqrt": (1, 0), "exp": (1, 0), "abs": (1, 0)}
FUNCTIONS = {**MOVES, **COMPUTED, "size": (1, 1)}
SMALLEST = 1e-44


class Formula:
    def __init__(self, text):
        self.tokens, self.at = tokens(typed(text, str)), 0
        self.names, self.captures = set(), set()
        self.tree = self._sum()
        if self.at < len(self.tokens):
            raise SpecError(f"{self.tokens[self.at][1]!r} is not expected in {text!r}")
        self.by_value = by_value(self.tree)

    def expressions(self):
        return [self]

    def check(self, groups, named, variables, operands):
        for number in self.captures:
            if number > groups:
                raise SpecError(f"capture \\{number} does not exist", "bad-template")
        for name in self.names:
            meanings = sum(name in known for known in (named, variables, operands))
            if meanings != 1:
                raise SpecError(f"{name} has {meanings} meanings", "ambiguous-name" if meanings else "unknown-name")
        if not set(self.by_value) & set(operands):
            raise SpecError("a formula without a tensor")

    def _take(self, *wanted):
        if self.at < len(self.tokens) and self.tokens[self.at] in [("operator", each) for each in wanted]:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def _need(self, wanted):
        if not self._take(wanted):
            raise SpecError(f"{wanted!r} expected")

    def _sum(self):
        left = self._product()
        while operator := self._take("+", "-"):
            left = (operator, left, self._product())
        return left

    def _product(self):
        left = self._unary()
        while operator := self._take("*", "/", "@", "//", "%"):
            left = (operator, left, self._unary())
        return left

    def _unary(self):
        return ("negative", self._unary()) if self._take("-") else self._atom()

    def _atom(self):
        if self._take("("):
            value = self._sum()
            self._need(")")
            return value
        if self.at == len(self.tokens) or self.tokens[self.at][0] == "operator":
            raise SpecError("a value expected")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return "number", int(text) if text.isdigit() else float(text)
        if kind == "capture":
            self.captures.add(int(text))
            return "capture", int(text)
        if not self._take("("):
            self.names.add(text)
            return "name", text
        if text not in FUNCTIONS:
            raise SpecError(f"no function {text}")
        arguments = [self._sum()]
        while self._take(","):
            arguments.append(self._sum())
        self._need(")")
        tensors, integers = FUNCTIONS[text]
        if len(arguments) - tensors < 1 if integers is None else len(arguments) != tensors + integers:
            raise SpecError(f"{text} with {len(arguments)} arguments")
        return "call", text, arguments

    def value(self, step, operands, scope, dtype):
        parts = [operands[name] for name in self.by_value if name in operands]
        final = promoted(parts, dtype)
        if moves(self.tree, operands):
            return step.cast(Moving(step, operands, scope).tensor(self.tree), final)
        if any(part.dtype in COMPLEX for part in parts):
            raise SpecError("complex numbers can only be moved", "rule-dtype")
        if all(part.dtype in INTEGERS for part in parts):
            whole = self.whole(operands, scope)
            if whole is not None:
                final = dtype or ("int64" if final == "bool" else final)
                wanted = (whole, None, False) if final == "int64" else casts.cast(whole, None, final)
                return step.result(parts, self.what(final, scope), *wanted, drops=any(part.loose for part in parts), lossy=None)
            final = dtype or "float32"
        if any(part.dtype in INTEGERS and (part.data.to(torch.float64).abs() > 2**24).any() for part in parts):
            raise Unsettled("an integer of more digits than float32 has, which may meet others before it meets a float")
        precision = "float64" if any(part.dtype == "float64" for part in parts) else "float32"
        wanted = convert_all(Computing(precision, operands, scope).tensor(self.tree), precision)
        data, close, overflow = (*wanted, False) if precision == final else casts.cast(*wanted, final)
        return step.result(parts, self.what(final, scope), data, close, overflow,
                           drops=any(part.loose for part in parts), lossy=None)

    def what(self, final, scope):
        bound = [scope.capture(number) for number in sorted(self.captures)] + [
            scope.name(name) for name in sorted(self.names) if name in scope.named or name in scope.variables]
        return "combine", repr(self.tree), repr(bound), final

    def whole(self, operands, scope):
        """The int64 result of a formula in which nothing turns into a float; None: something does."""
        try:
            return Whole(operands, scope).tensor(self.tree)
        except NotWhole:
            return None


def tokens(text):
    result, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if not match:
            raise SpecError(f"cannot read {text[at:]!r}")
        result.append((("number", "capture", "word", "operator")[match.lastindex - 1], match[match.lastindex]))
        at = match.end()
    return result


def arguments(tree):
    if tree[0] == "call":
        return tree[2]
    return [part for part in tree[1:] if isinstance(part, tuple)]


def by_value(tree):
    """Names of which the values are used, not the sizes alone, in the order of the formula."""
    if tree[0] == "name":
        return [tree[1]]
    if tree[:2] == ("call", "size"):
        return []
    return list(dict.fromkeys(name for part in arguments(tree) for name in by_value(part)))


def moves(tree, operands):
    if tree[0] == "name":
        return tree[1] in operands
    return tree[0] == "call" and tree[1] in MOVES and all(moves(part, operands) for part in tree[2][:MOVES[tree[1]][0]])


class Evaluation:
    """What moving and computing have in common: numbers, and where elements go."""

    def __init__(self, operands, scope):
        self.operands, self.scope = operands, scope

    def number(self, tree):
        """An integer or a double, of numbers, vars, captures and sizes."""
        kind = tree[0]
        if kind == "number":
            return tree[1]
        if kind in ("capture", "name"):
            value = self.scope.capture(tree[1]) if kind == "capture" else self.scope.name(tree[1])
            if isinstance(value, bytes) and value.isdigit():
                value = int(value)
            if not isinstance(value, (int, float)):
                raise Fault(f"{value!r} is not a number")
            return value
        if kind == "call":
            shape = self.shape(tree[2][0])
            return shape[axis(self.integer(tree[2][1]), shape)]
        if kind == "negative":
            return -self.number(tree[1])
        left, right = self.number(tree[1]), self.number(tree[2])
        if kind == "@":
            raise SpecError("@ of numbers")
        if kind in ("//", "%") and not (isinstance(left, int) and isinstance(right, int)):
            raise SpecError(f"{kind} of numbers that are not integers")
        if kind in ("/", "//", "%") and right == 0:
            raise Fault("division by zero")
        result = {"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right, "/": lambda: left / right,
                  "//": lambda: left // right, "%": lambda: left % right}[kind]()
        if isinstance(result, int) and not -2**63 <= result < 2**63:
            raise Fault("int64 overflow")
        return result

    def integer(self, tree):
        value = self.number(tree)
        if not isinstance(value, int):
            raise Fault(f"{value} is not an integer")
        return value

    def is_number(self, tree):
        if tree[0] == "name":
            return tree[1] not in self.operands
        if tree[0] == "call":
            return tree[1] == "size"
        return all(self.is_number(part) for part in arguments(tree))

    def move(self, name, shapes, integers):
        """What a function does to arrays that have these shapes in front, as a function of them."""
        shape = shapes[0]
        if name == "reshape":
            count = math.prod(shape)
            rest = math.prod(size for size in integers if size != -1)
            if integers.count(-1) > 1 or any(size < -1 for size in integers) or (
                    count != rest if -1 not in integers else rest == 0 or count % rest):
                raise misshapen(f"{shape} into {integers}")
            sizes = [count // rest if size == -1 else size for size in integers]
            return lambda array: array.reshape(sizes + list(array.shape[len(shape):]))
        if name == "cat":
            at = axis(integers[0], shape)
            if len(shapes[1]) != len(shape) or any(one != other for dim, (one, other) in enumerate(zip(*shapes)) if dim != at):
                raise misshapen(f"cat of {shapes}")
            return lambda *arrays: numpy.concatenate(arrays, at)
        if name == "transpose":
            if not shape:
                raise Unsettled("torch transposes a number as if it had one dimension")
            first, second = (axis(dim, shape) for dim in integers)
            return lambda array: numpy.swapaxes(array, first, second)
        if name == "narrow":
            at, (start, length) = axis(integers[0], shape), integers[1:]
            if start < 0:
                raise Unsettled("a start that counts from the end, as torch.narrow has it")
            if length < 0 or start + length > shape[at]:
                raise misshapen(f"{start} and {length} of {shape[at]}")
            return lambda array: array[(slice(None),) * at + (slice(start, start + length),)]
        if name == "tile":
            if min(integers) < 0:
                raise misshapen("a negative number of times")
            more = max(len(integers) - len(shape), 0)
            times = [1] * (len(shape) - len(integers)) + integers
            return lambda array: numpy.tile(array.reshape((1,) * more + array.shape), times + [1] * (array.ndim - len(shape)))
        at = axis(integers[1], shape)
        if integers[0] < 0:
            raise misshapen("a negative number of times")
        return lambda array: numpy.repeat(array, integers[0], at)


def misshapen(message):
    return SpecError(message, "rule-shape")


class Moving(Evaluation):
    def __init__(self, step, operands, scope):
        super().__init__(operands, scope)
        self.step = step

    def shape(self, tree):
        return self.tensor(tree).shape

    def tensor(self, tree) -> Value:
        if tree[0] == "name":
            return self.operands[tree[1]]
        name, count = tree[1], MOVES[tree[1]][0]
        parts, integers = [self.tensor(part) for part in tree[2][:count]], [self.integer(part) for part in tree[2][count:]]
        move = self.move(name, [part.shape for part in parts], integers)
        if count == 2:
            return self.step.joined(parts, ("cat", *integers), move, promoted(parts, None))
        if name == "reshape" and list(integers) == parts[0].shape:
            return parts[0]
        return self.step.moved(parts[0], (name, *integers), move, drops=name == "narrow")


@dataclass
class Approximate:
    value: torch.Tensor        # float64
    error: torch.Tensor        # the same shape

    @property
    def shape(self):
        return list(self.value.shape)


class Computing(Evaluation):
    def __init__(self, precision, operands, scope):
        super().__init__(operands, scope)
        self.precision = precision
        self.unit = {"float32": 2.0**-23, "float64": 2.0**-50}[precision]
        self.largest = {"float32": 3.4e38, "float64": 1.7e308}[precision]

    def shape(self, tree):
        return self.value(tree).shape

    def rounded(self, value, error, terms=1, scale=None):
        """What an operation of that many roundings gives, each relative to `scale`."""
        error = error + (value.abs() if scale is None else scale) * (self.unit * terms) + SMALLEST * terms
        finite = value.isfinite()
        error = torch.where(finite, error, torch.zeros_like(error))
        if (value.abs() + error)[finite].gt(self.largest).any() or (scale is not None and scale[scale.isfinite()].gt(self.largest).any()):
            raise Unsettled("a number beyond the dtype that is computed with")
        if error.isnan().any():
            raise Unsettled("an error that cannot be bounded")
        return Approximate(value, error)

    def value(self, tree):
        if self.is_number(tree):
            return self.number(tree)
        kind = tree[0]
        if kind == "name":
            return self.operand(self.operands[tree[1]])
        if kind == "negative":
            inner = self.value(tree[1])
            return Approximate(-inner.value, inner.error)
        if kind == "call":
            count = FUNCTIONS[tree[1]][0]
            tensors = [self.tensor(part) for part in tree[2][:count]]
            return self.call(tree[1], tensors, [self.integer(part) for part in tree[2][count:]])
        left, right = (self.value(part) for part in tree[1:])
        if kind in ("//", "%"):
            raise SpecError(f"{kind} of tensors")
        if kind == "@":
            return self.matmul(left, right)
        left, right = self.lifted(left), self.lifted(right)
        try:
            torch.broadcast_shapes(left.shape, right.shape)
        except RuntimeError:
            raise misshapen(f"{left.shape} {kind} {right.shape}") from None
        one, two = left.value, right.value
        if kind in "+-":
            return self.rounded(one + two if kind == "+" else one - two, left.error + right.error)
        if kind == "*":
            return self.rounded(one * two, one.abs() * right.error + two.abs() * left.error + left.error * right.error)
        if ((two.abs() <= right.error) & (right.error > 0)).any():
            raise Unsettled("a divisor that may be zero")
        quotient = one / two
        error = left.error + torch.where(right.error > 0, quotient.abs() * right.error, torch.zeros_like(quotient))
        zero = two == 0
        return self.rounded(quotient, torch.where(zero, torch.zeros_like(error), error / (two.abs() - right.error)))

    def tensor(self, tree):
        value = self.value(tree)
        if not isinstance(value, Approximate):
            raise SpecError("a number in place of a tensor")
        return value

    def operand(self, part):
        """Converting to the precision is the engine's first step and the same on either side."""
        value = casts.convert(part.data, self.precision).to(torch.float64)
        error = torch.zeros_like(value)
        if part.close and part.close.low is not None:
            bounds = [casts.convert(bound, self.precision).to(torch.float64) for bound in (part.close.low, part.close.high)]
            error = torch.where(value.isfinite(), torch.maximum(bounds[1] - value, value - bounds[0]), error)
        return Approximate(value, error)

    def lifted(self, value):
        """A number is rounded to the precision, sooner or later."""
        if isinstance(value, Approximate):
            return value
        tensor = torch.tensor(float(value), dtype=torch.float64)
        return Approximate(tensor, tensor.abs() * self.unit * (float(tensor.float()) != float(tensor) or self.precision == "float64"))

    def matmul(self, left, right):
        if not (isinstance(left, Approximate) and isinstance(right, Approximate)):
            raise SpecError("@ of a number")
        if min(len(left.shape), len(right.shape)) < 2:
            raise Unsettled("@ of fewer than two dimensions")
        try:
            torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        except RuntimeError:
            raise misshapen(f"{left.shape} @ {right.shape}") from None
        if left.shape[-1] != right.shape[-2]:
            raise misshapen(f"{left.shape} @ {right.shape}")
        one, two = left.value, right.value
        scale = one.abs() @ two.abs()
        error = one.abs() @ right.error + left.error @ two.abs() + left.error @ right.error
        return self.rounded(one @ two, error.nan_to_num(0, 0, 0), left.shape[-1] + 1, scale)

    def call(self, name, tensors, integers):
        one = tensors[0]
        value, error = one.value, one.error
        if name in MOVES:
            move = self.move(name, [tensor.shape for tensor in tensors], integers)
            return Approximate(*(torch.from_numpy(numpy.ascontiguousarray(move(*(each.numpy() for each in arrays)))) for arrays in
                                 ([tensor.value for tensor in tensors], [tensor.error for tensor in tensors])))
        if name == "abs":
            return Approximate(value.abs(), error)
        if name in ("sqrt", "exp"):
            function = getattr(torch, name)
            if name == "sqrt" and ((value - error < 0) & (error > 0) & value.isfinite()).any():
                raise Unsettled("a root of what may be negative")
            middle = function(value)
            room = torch.maximum(function(value + error) - middle, middle - function(value - error))
            return self.rounded(middle, torch.where(error > 0, room, torch.zeros_like(room)), 4)
        if not one.shape:
            raise Unsettled("a dimension of a tensor without any")
        at = axis(integers[0], one.shape)
        terms = one.shape[at]
        if name == "norm":
            finite = value[value.isfinite()].abs()
            if (finite > 1e18).any() or ((finite > 0) & (finite < 1e-15)).any():
                raise Unsettled("a square beyond the dtype that is computed with")
            return self.rounded(value.norm(dim=at, keepdim=True), error.norm(dim=at, keepdim=True), terms + 2)
        total = self.rounded(value.sum(at, True), error.sum(at, True), terms, value.abs().sum(at, True))
        if name == "sum":
            return total
        return self.rounded(total.value / terms if terms else total.value * math.nan, total.error / max(terms, 1))


class NotWhole(Exception):
    """A float comes in."""


class Whole(Evaluation):
    """A formula over integers, exactly."""

    def shape(self, tree):
        return list(self.tensor(tree).shape)

    def tensor(self, tree):
        if self.is_number(tree):
            number = self.number(tree)
            if isinstance(number, float):
                raise NotWhole
            return torch.tensor(number)
        result = self.exact(tree)
        if result.numel() and int(result.max()) - int(result.min()) > 2**62:
            raise Unsettled("an integer near the ends of int64")
        return result

    def exact(self, tree):
        kind = tree[0]
        if kind == "name":
            return casts.convert(self.operands[tree[1]].data, "int64")
        if kind == "negative":
            return -self.tensor(tree[1])
        if kind == "call":
            count = FUNCTIONS[tree[1]][0]
            parts, integers = [self.tensor(part) for part in tree[2][:count]], [self.integer(part) for part in tree[2][count:]]
            if tree[1] in MOVES:
                move = self.move(tree[1], [list(part.shape) for part in parts], integers)
                return torch.from_numpy(numpy.ascontiguousarray(move(*(part.numpy() for part in parts))))
            if tree[1] == "abs":
                return parts[0].abs()
            if tree[1] != "sum":
                raise NotWhole
            return parts[0].sum(axis(integers[0], list(parts[0].shape)), True)
        left, right = self.tensor(tree[1]), self.tensor(tree[2])
        if kind == "/":
            raise NotWhole
        if kind in ("//", "%"):
            raise SpecError(f"{kind} of tensors")
        for one in (left, right):
            if one.numel() and int(one.abs().max()) > 2**30:
                raise Unsettled("an integer near the ends of int64")
        try:
            if kind == "@":
                return left @ right
            return {"+": torch.add, "-": torch.sub, "*": torch.mul}[kind](left, right)
        except RuntimeError as error:
            raise misshapen(str(error)) from None


def convert_all(result, precision):
    value, low, high = (casts.convert(each, precision) for each in
                        (result.value, result.value - result.error, result.value + result.error))
    return value, closeness.between(low, high)
