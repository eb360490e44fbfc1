"""What becomes of a target tensor that a result reaches: shape, then dtype, and the values that are due."""
from dataclasses import dataclass, field

from . import casts, closeness, grids, windows
from .casts import can_hold, constant, convert, overflows
from .dtypes import cast_by_default, lossy, name_of
from .errors import Misfit, OutOfScope, Unsettled

AS_IT_IS = "as it is"


@dataclass
class Decision:
    """`treatment` is equal for names that are treated alike, `alike` for those that end up with the same values all the same."""
    status: str
    codes: set = field(default_factory=set)            # of a refusal: at least one of them is reported
    treatment: tuple = ()
    alike: tuple = ()
    words: set = field(default_factory=set)            # of the policies that had a say
    data: object = None
    close: object = None
    copied: object = None                              # the window of pad and slice
    covered: int = 0
    lossy: object = False                              # None: either
    overflow: bool = False
    moved: bool = False                                # nothing but elements of the source: a view of it would do


def decide(spec, target, source):
    same_shape = source.shape == target.shape or (source.shape == [1] and target.shape == [])
    # `[1]` onto `[]` loads, as in load_state_dict; `[]` onto `[1]` is a mismatch.
    case = None if same_shape else spec.decide("shape", target.name)
    if case and case.do in ("error", "skip"):
        return left_alone(case, target)
    if source.dtype == target.dtype:
        final, cast, codes, dtype_case = source.dtype, False, set(), None
    else:
        dtype_case = spec.decide("dtype", target.name)
        cast = dtype_case.do == "cast"
        final = target.dtype if cast else source.dtype
        explicit = dtype_case.place is not None
        allowed = explicit or cast_by_default(source.dtype, target.dtype)
        codes = {"dtype-mismatch"} if dtype_case.do == "error" or (cast and not allowed) else set()
    words = {one.do for one in (case, dtype_case) if one}
    result = Decision("adapted" if case else "loaded", words=words, covered=target.data.numel())
    try:
        keeps = adapt(result, case, target, source, final, codes)
    except Misfit:
        return Decision("error", {"shape-mismatch"})
    if result.status == "omitted":
        if codes:
            raise Unsettled("left out for want of values, and a dtype that is refused")
        return result
    if codes:
        return Decision("error", codes)
    if cast or case:
        own = target.tie if case and case.parameters.get("fill") == "keep" else None
        result.treatment = ((case and case.place, own), (dtype_case.place, final) if cast else None, tuple(target.shape))
        result.alike = (repr(case and (case.do, case.parameters, keeps)), final, tuple(target.shape))
    else:
        result.treatment = result.alike = (AS_IT_IS, tuple(target.shape))
    if cast:
        result.lossy = lossy(source.dtype, target.dtype)
    result.moved = bool(case) and not cast and case.do != "interpolate" and result.covered == target.data.numel()
    return result


def left_alone(case, target):
    if case.do == "error":
        return Decision("error", {"shape-mismatch"})
    if target.has_values:
        return Decision("skipped", words={"skip"}, treatment=("skipped",))
    if "or" in case.parameters:
        return Decision("omitted", words={"skip"}, treatment=("skipped",))
    return Decision("error", {"no-values"})


def adapt(result, case, target, source, final, codes):
    """Puts the values that are due into `result`; gives what of the target's own values is in them, as a tie."""
    if not case:
        same = source.shape == target.shape
        if source.close and not same:
            raise OutOfScope("another shape for what was computed")
        cast_into(result, source.data if same else source.data.reshape(target.shape), source.close, final, codes)
        return None
    if source.close:
        raise OutOfScope("another shape for what was computed")
    if case.do == "reshape":
        cast_into(result, windows.reshape(source.data, target.shape), None, final, codes)
        return None
    if case.do == "interpolate":
        data, close = grids.interpolate(case.parameters, source.data, target.shape)
        cast_into(result, data, close, final, codes)
        return None
    region = result.copied = windows.window(case.do, case.parameters, source.shape, target.shape)
    result.covered = region.elements
    wanted = target.data.numel() - region.elements
    fill = case.parameters.get("fill", 0)
    padded = any(have < want for have, want in zip(source.shape, target.shape))
    possible = not padded or (target.has_values if fill == "keep" else can_hold(final, fill))
    if not possible and not wanted:
        raise Unsettled("a dimension is padded, but no element is filled")
    if not possible:
        if fill != "keep":
            codes.add("shape-mismatch")
        elif "or" in case.parameters:
            result.status, result.treatment = "omitted", ("skipped",)
        else:
            codes.add("no-values")
        return None
    if codes:
        return None
    cast_into(result, windows.cut(source.data, region.source), None, final, codes)
    if not wanted:                                     # the whole tensor, or none of an empty one
        result.data = windows.reshape(result.data, target.shape)
        result.close = result.close and closeness.converted(target.shape)
        return None
    close = result.close and closeness.Closeness(windows.mask(target.shape, region.target))
    around = target.data
    if fill != "keep":
        around = constant(target.shape, final, fill)
    elif target.dtype != final:
        if not cast_by_default(target.dtype, final):
            raise Unsettled("the target's values under `dtype: source`, by a cast that needs an explicit case")
        result.overflow |= overflows(outside(around, region), final)
        around, close = convert(around, final), closeness.converted(target.shape)
        result.lossy = None
    result.data, result.close = windows.laid(result.data, around, region.target), close
    return target.tie if fill == "keep" else None


def outside(data, region):
    return windows.from_bytes(windows.to_bytes(data)[~windows.mask(data.shape, region.target).numpy()], data.dtype)


def cast_into(result, data, close, final, codes):
    if codes:
        return
    if name_of(data.dtype) == final:
        result.data, result.close = data, close
        return
    result.data, result.close, result.overflow = casts.cast(data, close, final)
