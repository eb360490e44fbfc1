"""The words of the policies, with the parameters that each takes in a case of a list."""
import math
from dataclasses import dataclass, field

from .checks import fields, typed
from .errors import OutOfScope, SpecError, Unsettled
from .grids import Pattern
from .patterns import patterns


def number(value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SpecError(f"{value!r} is not a number")
    return value


def finite(value):
    if not math.isfinite(number(value)):
        raise SpecError(f"{value} is not finite")
    return value


def magnitude(value):
    if finite(value) < 0:
        raise SpecError(f"{value} is negative")
    return value


def whole(value):
    return typed(value, int)


def count(value):
    return magnitude(whole(value))


def pair(value):
    if len(typed(value, list)) != 2 or any(whole(size) < 1 for size in value):
        raise SpecError(f"{value} are not two sizes")
    return value


def integers(value):
    if not typed(value, list):
        raise OutOfScope("an empty list of dims")
    if len(set(value)) < len(value):
        raise OutOfScope("a dimension twice")
    return [whole(item) for item in value]


def flag(value):
    return typed(value, bool)


def word(*words):
    def check(value):
        if not isinstance(value, str) or value not in words:
            raise SpecError(f"{value!r} is none of {words}")
        return value
    return check


def fill(value):
    return value if value == "keep" else number(value)


PAD = {"align": word("start", "center", "end"), "fill": fill, "dims": integers, "or": word("omit")}
WORDS = {
    "missing": {"error": {}, "keep": {}, "omit": {}, "zeros": {}, "ones": {}, "arange": {},
                "normal": {"mean": finite, "std": magnitude, "seed": count}},
    "unexpected": {"error": {}, "drop": {}, "keep": {}},
    "shape": {"error": {}, "skip": {"or": word("omit")}, "pad": PAD, "pad_slice": PAD, "reshape": {},
              "slice": {"align": PAD["align"], "dims": integers},
              "interpolate": {"size": pair, "from": pair, "pattern": lambda text: Pattern(typed(text, str)),
                              "mode": word("bicubic", "bilinear", "nearest"), "prefix_tokens": count, "suffix_tokens": count,
                              "antialias": flag}},
    "dtype": {"cast": {}, "source": {}, "error": {}},
    "extras": {"drop": {}, "error": {}},
}
# Nothing says whether these stand where they have no effect.
MAYBE = {"slice": {"fill", "or"}, "interpolate": {"or"}, "reshape": {"or"}}


@dataclass
class Case:
    match: list
    unless: list
    do: str
    parameters: dict = field(default_factory=dict)
    place: object = None       # in the list; None: the policy is one word, or no case was found


class Everything:
    @staticmethod
    def find(name):
        return True


DEFAULTS = {policy: Case([Everything], [], do) for policy, do in
            {"missing": "error", "unexpected": "error", "shape": "error", "dtype": "cast", "extras": "drop"}.items()}


def cases(policy, value):
    if isinstance(value, str):
        return [_case(policy, {"do": value}, None)]
    return [_case(policy, case, place) for place, case in enumerate(typed(value, list))]


def _case(policy, case, place):
    do = typed(case, dict).get("do")
    if policy == "extras" and do == "keep":
        raise OutOfScope("extras: keep")
    if not isinstance(do, str) or do not in WORDS[policy]:
        raise SpecError(f"{policy}: {do!r}")
    known = WORDS[policy][do]
    if set(case) & MAYBE.get(do, set()):
        raise OutOfScope("a parameter without effect")
    fields(case, {"match", "unless", "do", *known})
    parameters = {key: known[key](case[key]) for key in known if key in case}
    if do == "interpolate":
        parameters.setdefault("pattern", Pattern("1 (h w) c"))
        if parameters.get("mode") == "nearest" and parameters.get("antialias"):
            raise SpecError("nearest has no antialiasing")
        if parameters["pattern"].group is None and (parameters.get("prefix_tokens") or parameters.get("suffix_tokens")):
            raise Unsettled("tokens beside the grid without a group: a mistake of the spec, or a shape-mismatch")
    if "or" in parameters and do != "skip" and parameters.get("fill") != "keep":
        raise OutOfScope("a parameter without effect")
    return Case(patterns(case["match"]) if "match" in case else [Everything],
                patterns(case["unless"]) if "unless" in case else [], do, parameters, place)
