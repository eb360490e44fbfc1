"""What a shape, dtype or missing policy is drawn with so that it fits a tensor, and so that it does not."""
import math

from draw import DTYPES, SHAPES, chance
from regraft_reference import Unsettled, casts, dtypes

FILLS = [0, 1, 7, -1, 100, 0.5, -2.25, 0.1, 3.0, 300, 30000]
BAD_FILLS = [0.5, -1, 2, 300, 1e10, -3000000000, 1e39]


# dtypes

def dtype(rng, data):
    """A dtype that `data` can be cast to, and the case that it takes (None: the default does it)."""
    source = dtypes.name_of(data.dtype)
    kind = rng.choices(["default", "explicit", "source"], [50, 25, 25])[0]
    names = [name for name in DTYPES if name != source and (kind != "default" or dtypes.cast_by_default(source, name))]
    rng.shuffle(names)
    if kind == "source":
        return names[0], {"do": "source"}
    for name in names:
        if not overflows(data, name):
            return name, {"do": "cast"} if kind == "explicit" else None
    return rng.choice([name for name in DTYPES if name != source]), {"do": "source"}


def overflows(data, name):
    try:
        return casts.overflows(data, name)
    except Unsettled:
        return True


def can_hold(name, number):
    try:
        return casts.can_hold(name, number)
    except Unsettled:
        return False


# Shapes

def shape(rng, source, final):
    """A shape that a case brings `source` to, and the case; `final` is the dtype of the result."""
    makers = {"pad": pad, "slice": cut, "pad_slice": pad_slice, "reshape": reshape, "interpolate": interpolate, "skip": skip}
    words = list(makers)
    weights = [20, 13, 15, 12, 8, 8]
    if source.dtype in dtypes.PLAIN_FLOATS and len(source.shape) > 1 and source.data.isfinite().all():
        weights[4] = 80
    for _ in range(20):
        found = makers[rng.choices(words, weights)[0]](rng, list(source.shape), final)
        if found and found[0] != list(source.shape) and math.prod(found[0]) <= 2000:
            return found
    return skip(rng, list(source.shape), final)


def skip(rng, shape, _):
    return other(rng, shape), {"do": "skip"}


def own_values(rng, source, final):
    """What asks for the target's own values."""
    for _ in range(20):
        after, case = shape(rng, source, final)
        if case.get("fill") == "keep":
            return after, case
    return skip(rng, list(source.shape), final)


def other(rng, shape):
    return rng.choice([shape + [2], [size + 1 for size in shape] or [1], shape[1:] if len(shape) > 1 else [5, 5]])


def window(rng, case, before, after):
    """`align` and `dims` for a case that goes from one shape to the other."""
    if chance(rng, 0.6):
        case["align"] = rng.choice(["start", "center", "end"])
    if chance(rng, 0.3):
        dims = [dim for dim, (one, two) in enumerate(zip(before, after)) if one != two or chance(rng, 0.2)]
        if dims:
            case["dims"] = [dim - len(before) if chance(rng, 0.4) else dim for dim in dims]


def filled(rng, case, final):
    if chance(rng, 0.45):
        case["fill"] = "keep"
    else:
        fills = [fill for fill in FILLS if can_hold(final, fill)]
        if not fills:
            return False
        if fills[0] or chance(rng, 0.7):               # 0 is the default, where the dtype has it
            case["fill"] = rng.choice(fills)
    return True


def pad(rng, shape, final):
    after = [size + rng.choice([0, 1, 2, 3]) for size in shape]
    case = {"do": "pad"}
    window(rng, case, shape, after)
    return (after, case) if filled(rng, case, final) else None


def cut(rng, shape, _):
    after = [rng.randint(0 if chance(rng, 0.1) else min(size, 1), size) for size in shape]
    case = {"do": "slice"}
    window(rng, case, shape, after)
    return after, case


def pad_slice(rng, shape, final):
    after = [rng.randint(max(size - 2, 0), size + 2) for size in shape]
    case = {"do": "pad_slice"}
    window(rng, case, shape, after)
    return (after, case) if filled(rng, case, final) else None


def reshape(rng, shape, _):
    count, after = math.prod(shape), []
    rest = count
    while rest > 1 and chance(rng, 0.6):
        size = rng.choice([size for size in range(1, rest + 1) if rest % size == 0])
        after.append(size)
        rest //= size
    after.append(rest)
    rng.shuffle(after)
    if chance(rng, 0.2):
        after.insert(rng.randint(0, len(after)), 1)
    if count == 1 and chance(rng, 0.4):
        after = []
    return after, {"do": "reshape"}


def factors(rng, number):
    first = rng.choice([size for size in range(1, number + 1) if number % size == 0])
    return [first, number // first]


def interpolate(rng, shape, _):
    if not 2 <= len(shape) <= 5 or 0 in shape:
        return None
    case, after = {"do": "interpolate"}, list(shape)
    names = rng.sample(["c", "dim", "heads", "n_1", "x"], len(shape))
    names = ["1" if size == 1 and chance(rng, 0.7) else name for name, size in zip(names, shape)]
    if chance(rng, 0.65):
        at = rng.randrange(len(shape))
        if len(shape) == 3 and shape[0] == 1 and chance(rng, 0.6):
            at = 1                                     # as the default pattern has it
        prefix = rng.choice([0, 0, 1, 1, 2])
        suffix = rng.choice([0, 0, 0, 1])
        tokens = shape[at] - prefix - suffix
        if tokens < 1:
            return None
        have = factors(rng, tokens)
        if math.isqrt(tokens) ** 2 == tokens and chance(rng, 0.6):
            have = [math.isqrt(tokens)] * 2
        want = [rng.randint(1, 5), rng.randint(1, 5)]
        if chance(rng, 0.4):
            want = [want[0]] * 2
        if have[0] != have[1] or chance(rng, 0.2):
            case["from"] = have
        if want[0] != want[1] or chance(rng, 0.2):
            case["size"] = want
        for key, count in (("prefix_tokens", prefix), ("suffix_tokens", suffix)):
            if count or chance(rng, 0.1):
                case[key] = count
        after[at] = prefix + suffix + math.prod(want)
        names[at] = rng.choice(["(h w)", "(h w)", "(w h)"])
    else:
        places = rng.sample(range(len(shape)), 2)
        for axis, at in zip("hw", places):
            names[at] = axis
            after[at] = rng.randint(1, 6)
        if chance(rng, 0.2):
            case["from"] = [shape[at] for at in places]
        if chance(rng, 0.2):
            case["size"] = [after[at] for at in places]
    if len(names) != 3 or names[:2] != ["1", "(h w)"] or chance(rng, 0.3):
        case["pattern"] = " ".join(names)              # else it is as the default has it
    if chance(rng, 0.7):
        case["mode"] = rng.choice(["bicubic", "bilinear", "nearest"])
    if chance(rng, 0.4):
        case["antialias"] = case.get("mode") != "nearest" and chance(rng, 0.7)
    return after, case


def misfit(rng, source, final):
    """A shape and a case that hardly go together; whether they do, the reference knows."""
    after, case = shape(rng, source, final)
    option = rng.randrange(5)
    if option == 0 and case["do"] in ("pad", "pad_slice"):
        case["fill"] = rng.choice(BAD_FILLS)
    elif option == 1 and "dims" in case:
        case["dims"] = [rng.choice([len(after), -len(after) - 1, rng.randrange(-len(after), len(after))])]
    elif option == 2:
        after = other(rng, list(source.shape))
    elif option == 3 and case["do"] == "interpolate":
        case[rng.choice(["size", "from"])] = [rng.randint(1, 7), rng.randint(1, 7)]
    else:
        after = [max(size + rng.choice([-1, 0, 1]), 0) for size in after]
    return after, case


# Missing tensors

def missing(rng, dtype, shape):
    """A case for a tensor that nothing reaches."""
    word = rng.choice(["keep", "omit", "zeros", "ones", "normal", "normal", "arange"])
    if word == "zeros" and dtype == dtypes.NO_ZERO:
        word = "ones"
    if word == "normal" and dtype not in dtypes.FLOATS.keys() - {dtypes.NO_ZERO}:
        word = "ones"
    if word == "arange" and (not shape or dtype in ("bool", dtypes.NO_ZERO) or dtype in dtypes.COMPLEX):
        word = "keep"
    return {"do": word, **(normal(rng) if word == "normal" else {})}


def normal(rng):
    case = {}
    if chance(rng, 0.5):
        case["mean"] = rng.choice([0, 1, -3, 0.5, 1e-3])
    if chance(rng, 0.5):
        case["std"] = rng.choice([0.02, 1, 2, 0, 5.5])
    if chance(rng, 0.5):
        case["seed"] = rng.choice([0, 1, 42, 2**63 - 1, rng.randrange(2**40)])
    return case


def impossible(rng):
    """A case for a missing tensor, its dtype and its shape, that mostly do not go together."""
    word = rng.choice(["zeros", "normal", "arange"])
    shape = rng.choice(SHAPES)
    if word == "zeros":
        return {"do": word}, dtypes.NO_ZERO, shape
    if word == "normal":
        return {"do": word, **normal(rng)}, rng.choice([*sorted(dtypes.INTEGERS), *sorted(dtypes.COMPLEX)]), shape
    return rng.choice([({"do": word}, "float32", ()), ({"do": word}, rng.choice(["bool", *sorted(dtypes.COMPLEX)]), (2, 3)),
                       ({"do": word}, "int8", (1, 129)), ({"do": word}, "uint8", (257,))])
