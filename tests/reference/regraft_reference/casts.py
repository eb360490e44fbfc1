"""Conversion of values, by torch, and what the page refuses of it: a value that the dtype cannot hold, even rounded."""
import math
import warnings

import torch

from . import closeness
from .dtypes import COMPLEX, FLOATS, INTEGERS, NO_ZERO, name_of, torch_dtype
from .errors import Unsettled


def convert(data, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                # torch warns that the imaginary part goes
        return data.to(torch_dtype(dtype))


def cast(data, close, dtype):
    """A checked cast: the values, how closely they have to be met, and whether one of them stops the run."""
    bounds = [] if close is None or close.low is None else [close.low, close.high]
    if bounds:                                         # computed, then cast
        verdicts = {overflows(bound, dtype) for bound in (data, *bounds)}
        if dtype in ("bool", NO_ZERO, *COMPLEX) or len(verdicts) > 1:
            raise Unsettled("a computed number near the limit of a cast, or one that is not cast monotonely")
        return convert(data, dtype), closeness.between(*(convert(bound, dtype) for bound in bounds)), verdicts.pop()
    return convert(data, dtype), closeness.converted(data.shape), overflows(data, dtype)


def overflows(data, dtype):
    """Whether the conversion to `dtype` has to stop the run."""
    source = name_of(data.dtype)
    if dtype == "bool":
        return False
    if dtype in INTEGERS:
        return not all(fits_integer(value, dtype) for value in numbers(real_part(data)))
    if source in COMPLEX and dtype in COMPLEX:
        before, after = parts(data), parts(convert(data, dtype))
        lost = before.isfinite() & ~after.isfinite()
        if (lost.any(-1) & ~before.isfinite().all(-1)).any():
            raise Unsettled("a complex number of which one part is infinite already, and the other becomes so")
        return bool(lost.any())
    before = real_part(data)
    after = real_part(convert(before, dtype)).to(torch.float64)
    before = before.to(torch.float64)
    lost = before.isfinite() & ~after.isfinite()
    if dtype.startswith("float8"):                     # torch may give the largest value in place of one that is larger
        precision, _, largest, has = FLOATS[dtype]
        if "inf" not in has:
            lost |= before.isinf()
        if "zero" not in has:
            lost |= before <= 0
        else:
            half = largest + 2.0**(math.frexp(largest)[1] - 1 - precision)     # what is beyond rounds to no value
            if (before.abs() == half).any():
                raise Unsettled("a number half way between the largest float8 and none")
            lost |= before.isfinite() & (before.abs() > half)
    return bool(lost.any())


def parts(data):
    return torch.view_as_real(data.to(torch.complex128))


def real_part(data):
    return data.to(torch.complex128).real if data.dtype.is_complex else data


def numbers(data):
    """Exact Python numbers; the float8 dtypes have no `tolist` of their own."""
    return (data.to(torch.float64) if data.dtype.is_floating_point else data).reshape(-1).tolist()


def fits_integer(value, dtype):
    """Truncated towards zero, as torch converts; so -0.5 fits an unsigned dtype."""
    low, high = INTEGERS[dtype]
    if value != value or value in (float("inf"), float("-inf")):
        return False
    return low <= int(value) <= high


def can_hold(dtype, number):
    """Whether a number that stands in a spec can be a value of the dtype, if need be rounded."""
    if dtype in INTEGERS:
        return fits_integer(number, dtype) and int(number) == number
    dtype = COMPLEX.get(dtype, dtype)
    if dtype == "float8_e8m0fnu":
        if number == 0:
            return False
        if number < 0 or torch.frexp(torch.tensor(float(number), dtype=torch.float64)).mantissa != 0.5:
            raise Unsettled("a number that float8_e8m0fnu would round or that has a sign")
    result = convert(torch.tensor(float(number), dtype=torch.float64), dtype).to(torch.float64)
    if dtype.startswith("float8") and abs(number) > FLOATS[dtype][2]:
        raise Unsettled("a number beyond a float8: torch's conversion may give the largest value")
    if number and not result:
        raise Unsettled("a number that is rounded to zero")
    return bool(result.isfinite())


def constant(shape, dtype, number):
    if dtype in INTEGERS:                              # as a float it would not keep all the digits of int64
        return torch.full(tuple(shape), int(number), dtype=torch_dtype(dtype))
    return convert(torch.full(tuple(shape), float(number), dtype=torch.float64), dtype)
