"""`missing: zeros | ones | normal | arange`: the values of a tensor that nothing reaches."""
import torch

from . import closeness, philox
from .casts import constant, convert, fits_integer
from .dtypes import COMPLEX, INTEGERS, NO_ZERO, PLAIN_FLOATS
from .errors import Unsettled

WORDS = {"zeros", "ones", "normal", "arange"}


class Impossible(Exception):
    """The dtype or the shape does not have such values: refused, with the code `missing`."""


def initial(do, parameters, dtype, shape, name):
    """The tensor, and how closely the engine has to meet it; `name` is the first of the tied ones."""
    if do == "normal":
        return _normal(parameters, dtype, shape, name)
    if do == "arange":
        return _arange(dtype, shape), None
    if do == "zeros" and dtype == NO_ZERO:
        raise Impossible("no zero")
    return constant(shape, dtype, int(do == "ones")), None


def _arange(dtype, shape):
    if not shape or dtype == "bool" or dtype in COMPLEX:
        raise Impossible("no last dimension, or no such numbers")
    if dtype == NO_ZERO:
        raise Unsettled("arange begins with a zero, which float8_e8m0fnu does not have: refused, or as torch converts it")
    if dtype in INTEGERS and not fits_integer(shape[-1] - 1, dtype):
        if not torch.Size(shape).numel():
            raise Unsettled("an empty tensor of which the dtype could not hold the last number")
        raise Impossible("too many")
    return convert(torch.arange(shape[-1]), dtype).expand(*shape).contiguous()


def _normal(parameters, dtype, shape, name):
    if dtype in INTEGERS or dtype in COMPLEX:
        raise Impossible("no floating dtype")
    if dtype == NO_ZERO:
        raise Unsettled("normal numbers without a sign")
    mean, deviation = float(parameters.get("mean", 0)), float(parameters.get("std", 1))
    numbers = torch.from_numpy(philox.normal(torch.Size(shape).numel(), parameters.get("seed", 0), name)).reshape(tuple(shape))
    values = mean + deviation * numbers
    # The engine has its own logarithm and sine. Before the result is rounded to the dtype they may be off by this much.
    allowed = 1e-14 * (1 + abs(mean) + (deviation * numbers).abs())
    result = convert(values, dtype)
    if not result.to(torch.float64).isfinite().all():
        raise Unsettled("a normal number that the dtype cannot hold: refused, cast-overflow or infinite")
    if dtype not in PLAIN_FLOATS and (values.abs() > 200).any():
        raise Unsettled("a normal number beyond a float8")
    return result, closeness.between(convert(values - allowed, dtype), convert(values + allowed, dtype))
