"""What the dtypes can hold, and which casts the page allows without an explicit case."""
import torch

INTEGERS = {"bool": (0, 1)} | {name: (torch.iinfo(getattr(torch, name)).min, torch.iinfo(getattr(torch, name)).max)
                               for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")}
# name: bits of precision, exponent of the smallest positive value, the largest value, and what there is beside finite numbers.
FLOATS = {
    "float64": (53, -1074, torch.finfo(torch.float64).max, {"zero", "sign", "inf", "nan"}),
    "float32": (24, -149, torch.finfo(torch.float32).max, {"zero", "sign", "inf", "nan"}),
    "float16": (11, -24, 65504.0, {"zero", "sign", "inf", "nan"}),
    "bfloat16": (8, -133, torch.finfo(torch.bfloat16).max, {"zero", "sign", "inf", "nan"}),
    "float8_e4m3fn": (4, -9, 448.0, {"zero", "sign", "nan"}),
    "float8_e4m3fnuz": (4, -10, 240.0, {"zero", "sign", "nan"}),
    "float8_e5m2": (3, -16, 57344.0, {"zero", "sign", "inf", "nan"}),
    "float8_e5m2fnuz": (3, -17, 57344.0, {"zero", "sign", "nan"}),
    "float8_e8m0fnu": (1, -127, 2.0**127, {"nan"}),
}
COMPLEX = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}   # to the dtype of either part
NAMES = {*INTEGERS, *FLOATS, *COMPLEX}
PLAIN_FLOATS = {"float64", "float32", "float16", "bfloat16"}
NO_ZERO = "float8_e8m0fnu"


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def torch_dtype(name):
    return getattr(torch, name)


def cast_by_default(source, target):
    """Float to float, complex to complex, and to integers that have the source's whole range."""
    if source in INTEGERS and target in INTEGERS:
        return INTEGERS[target][0] <= INTEGERS[source][0] and INTEGERS[source][1] <= INTEGERS[target][1]
    return {source, target} <= PLAIN_FLOATS or {source, target} <= set(COMPLEX)


def lossy(source, target):
    """Not every value of the source's dtype is a value of the target's."""
    if source in COMPLEX:
        return target not in COMPLEX or lossy(COMPLEX[source], COMPLEX[target])
    if target in COMPLEX:
        return lossy(source, COMPLEX[target])
    if source in INTEGERS:
        low, high = INTEGERS[source]
        if target in INTEGERS:
            return not INTEGERS[target][0] <= low <= high <= INTEGERS[target][1]
        precision, _, largest, has = FLOATS[target]
        return "zero" not in has or max(-low, high) > min(2**precision, largest)
    if target in INTEGERS:
        return True
    precision, smallest, largest, has = FLOATS[source]
    wide = FLOATS[target]
    return precision > wide[0] or smallest < wide[1] or largest > wide[2] or not has <= wide[3]
