"""Random tensors, checkpoints and patterns."""
import math
import re
from collections import OrderedDict

import torch

DTYPES = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
          "float8_e8m0fnu", "complex32", "complex64", "complex128", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16",
          "uint32", "uint64"]
NOT_IN_SAFETENSORS = {"complex32", "complex128"}
SHAPES = [(), (1,), (2,), (3,), (4,), (2, 3), (3, 2), (4, 4), (0,), (2, 0, 3), (1, 1), (2, 3, 4), (7,), (1, 5, 1)]
GRIDS = [(1, 5, 3), (1, 4, 2), (1, 16, 3), (1, 10, 2), (2, 6, 3), (4, 4), (9, 2), (3, 8), (3, 4, 5), (1, 2, 3, 4), (6, 1, 2),
         (1, 18, 2)]
NAMES = ["patch_embed.proj.weight", "patch_embed.proj.bias", "norm.weight", "norm.bias", "head.weight", "head.bias", "pos_embed",
         "blocks.0.attn.query.weight", "blocks.0.attn.key.weight", "blocks.0.attn.value.weight", "blocks.1.attn.query.weight",
         "blocks.1.gamma_1", "blocks.10.mlp.fc1.weight", "blocks.10.mlp.fc1.bias", "layers.0.blocks.0.norm1.weight",
         "layers.0.blocks.1.norm1.weight", "layers.1.blocks.0.norm1.weight", "layers.2.blocks.1.norm1.bias", "bn1.running_mean",
         "bn1.num_batches_tracked", "layer1.0.bn2.weight", "layer1.1.bn2.weight", "a", "b", "c", "x.a", "x.b", "x.c", "0", "1", "2",
         "007.w", "10.w", "tok_embed.weight", "lm_head.weight", "Conv.W", "é.weight", "层.0.bias", "w{0}.x", "a b.c", "x__y",
         "aaa", "abab", "list.0.w", "list.1.w", "list.2.w", "deep.er.still.one.more.weight"]
PREFIXES = ["", "", "", "module.", "model.", "encoder.layer."]
WORDS = ["weight", "proj", "enc", "net", "ln_1", "scale", "w", "trunk.body", "q"]


class Retry(Exception):
    """This draw does not end as it is meant to."""


def chance(rng, probability):
    return rng.random() < probability


def tensor(rng, dtype, shape):
    """Random bits: NaNs with payloads, infinities, denormals and negative zeros come by themselves."""
    dtype = getattr(torch, dtype)
    count = 1
    for size in shape:
        count *= size
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    raw = bytearray(rng.randbytes(count * dtype.itemsize))
    if dtype == torch.bool:
        raw = bytearray(byte & 1 for byte in raw)
    return torch.frombuffer(raw, dtype=torch.uint8).clone().view(dtype).reshape(shape)


def tame(rng, dtype, shape, special=0.15):
    """Numbers of moderate size, which most casts can hold; now and then with a few that are not."""
    count = math.prod(shape)
    if dtype == "bool" or "int" in dtype:
        low, high = (0, 1) if dtype == "bool" else (0 if dtype[0] == "u" else -100, 100)
        numbers = torch.tensor([rng.randint(low, high) for _ in range(count)], dtype=torch.int64)
        return numbers.to(getattr(torch, dtype)).reshape(shape)
    if dtype == "float8_e8m0fnu":
        numbers = [2.0**rng.randint(-10, 6) for _ in range(count)]
    else:
        scale = rng.choice([1, 1, 0.01, 20])
        numbers = [rng.gauss(0, scale) for _ in range(count * (2 if "complex" in dtype else 1))]
        if chance(rng, special):
            for at in range(len(numbers)):
                if chance(rng, 0.3):
                    numbers[at] = rng.choice([math.nan, math.inf, -math.inf, -0.0, 0.0, 1e-42, -3e-8])
    numbers = torch.tensor(numbers, dtype=torch.float64)
    if "complex" in dtype:
        numbers = torch.view_as_complex(numbers.reshape(-1, 2))
    return numbers.to(getattr(torch, dtype)).reshape(shape)


def either(rng, dtype, shape):
    return tensor(rng, dtype, shape) if chance(rng, 0.4) else tame(rng, dtype, shape)


def strided(rng, value):
    """The same elements in another layout: columns first, or as a part of a larger storage."""
    if value.dim() > 1 and chance(rng, 0.5):
        return value.transpose(0, -1).clone(memory_format=torch.contiguous_format).transpose(0, -1)
    if value.dim() and value.shape[0]:
        return torch.stack([value] * 3)[1] if chance(rng, 0.5) else torch.stack([value] * 2, -1)[..., 0]
    return value


def grid(rng):
    """What `interpolate` can be asked for."""
    return tame(rng, rng.choice(["float32", "float32", "float64", "float16", "bfloat16"]), rng.choice(GRIDS), special=0)


def dtype(rng, safetensors=False):
    while True:
        name = "float32" if chance(rng, 0.4) else rng.choice(DTYPES)
        if not safetensors or name not in NOT_IN_SAFETENSORS:
            return name


def names(rng):
    prefix = rng.choice(PREFIXES)
    count = rng.choice([1, 2, 3, 4, 5, 6, 8, 10, 12])
    result = [prefix + name for name in rng.sample(NAMES, count)]
    if chance(rng, 0.15):
        result = [name if chance(rng, 0.5) else name.removeprefix(prefix) for name in result]
    return list(dict.fromkeys(result))


def state_dict(rng):
    """Names to tensors that share in every way that torch.save knows."""
    state = {}
    for name in names(rng):
        kind = rng.random()
        others = [value for value in state.values() if value.dim() > 0 and value.numel() > 1]
        if kind < 0.1 and state:
            value = rng.choice(list(state.values()))                        # tied
        elif kind < 0.25 and others:
            base = rng.choice(others)
            start = rng.randrange(base.shape[0])
            value = rng.choice([base[start], base[start:], base[::2], base.transpose(0, -1), base[None]])
        elif kind < 0.31:
            storage = tensor(rng, dtype(rng), (12,))
            start = rng.randrange(6)
            value = rng.choice([storage[start:start + 6].reshape(2, 3), storage[8:], storage[:2], storage[start:]])
            if chance(rng, 0.5):
                state[name + "_rest"] = storage[:start + 2]
        elif kind < 0.36:
            value = either(rng, dtype(rng), (1, 3)).expand(rng.randrange(1, 4), 3)
        elif kind < 0.4:
            value = either(rng, dtype(rng), (3, 4)).t()
        elif kind < 0.6:
            value = grid(rng)
        else:
            value = either(rng, dtype(rng), rng.choice(SHAPES))
        state[name] = value
    if chance(rng, 0.2):
        for name, value in state.items():
            if value.dtype.is_floating_point and chance(rng, 0.5):
                state[name] = torch.nn.Parameter(value, requires_grad=chance(rng, 0.5))
    return state


def nested(rng, state):
    """The same names, with some first components turned into dicts or lists."""
    heads = {name.split(".")[0] for name in state if "." in name}
    chosen = [head for head in sorted(heads) if head not in state and chance(rng, 0.5)]
    result = {}
    for name, value in state.items():
        head, _, rest = name.partition(".")
        if head in chosen:
            result.setdefault(head, {})[rest] = value
        else:
            result[name] = value
    for head in chosen:
        below = nested(rng, result[head]) if chance(rng, 0.5) else result[head]
        if list(below) == [str(number) for number in range(len(below))] and chance(rng, 0.7):
            below = list(below.values())
        elif all(re.fullmatch("0|[1-9][0-9]*", str(key)) for key in below) and chance(rng, 0.5):
            below = {int(key): value for key, value in below.items()}
        result[head] = below
    return result


def optimizer(rng):
    return {"state": {0: {"step": torch.tensor(3.0), "exp_avg": tensor(rng, "float32", (2,))}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0]}]}


def wrapped(rng, state):
    """What a .pt holds, the roots that find the state in it, and whether they need to be given."""
    inner = nested(rng, state) if chance(rng, 0.25) else state
    if chance(rng, 0.3):
        inner = OrderedDict(inner)
    kind = rng.random()
    if kind < 0.45:
        if chance(rng, 0.15):
            inner["epoch"] = 3
        return inner, [[""]]
    if kind < 0.7:
        top = {"epoch": 7, "state_dict": inner, "optimizer": optimizer(rng), "args": {"lr": 0.5, "names": ["a", "b"], "none": None}}
        return top, ["state_dict", ["model", "state_dict"], ["state_dict"]]
    if kind < 0.84:
        other = {name: tensor(rng, "float32", (2,)) for name in list(state)[:3]}
        return {"model": inner, "model_ema": other, "step": 100}, ["model", ["nothing", "model"], "model_ema"]
    if kind < 0.95:
        return {"outer": {"net": inner, "version": "1.0"}, "config": {"layers": [1, 2]}}, ["outer.net"]
    return {"ema": {"decay": 0.99, "shadow_params": list(state.values())}}, ["ema.shadow_params"]


def pattern(rng, name):
    """A pattern that is found in `name` as a rule, the kinds of its groups in order, and the dots that it takes at either end."""
    parts = name.split(".")
    start = rng.randrange(len(parts))
    end = rng.randrange(start, len(parts)) + 1
    groups, pieces = [], []
    for part in parts[start:end]:
        literal = re.escape(part)
        if part.isdigit():
            option = rng.randrange(5)
            if option == 1:
                groups.append(("digits", f"n{len(groups)}"))
                literal = rf"(?P<{groups[-1][1]}>\d+)"
            elif option in (2, 3):
                groups.append(("digits", None))
                literal = r"(\d+)"
            elif option == 4:
                literal = rng.choice([r"\d+", "[0-9]{1,3}", r"\d"])
        elif part.isascii():
            option = rng.randrange(12)
            if option == 0:
                groups.append(("word", None))
                literal = r"(\w+)"
            elif option == 1:
                groups.append(("word", f"w{len(groups)}"))
                literal = rf"(?P<{groups[-1][1]}>[a-z_0-9]+)"
            elif option == 2:
                groups.append(("word", None))
                literal = f"({literal}|{rng.choice(WORDS)})"
            elif option == 3:
                literal = re.escape(part[:3]) + r"\w*"
            elif option == 4:
                groups.append(("word", None))
                literal += "(never)?"
            elif option == 5:
                literal = f"(?i:{literal.upper()})" if part.isalpha() else literal
        pieces.append(literal)
    text, front, back = r"\.".join(pieces), "", ""
    if start == 0:
        text = ("^" if chance(rng, 0.7) else "") + text
    elif chance(rng, 0.8):
        text, front = r"\." + text, "."
    if end == len(parts):
        text += "$" if chance(rng, 0.7) else ""
    elif chance(rng, 0.8):
        text, back = text + r"\.", "."
    return text, groups, front, back


def expression(rng, groups, variables):
    """A number made of a digit group (or of none) and the vars."""
    digits = [(number, name) for number, (kind, name) in enumerate(groups, 1) if kind == "digits"]
    if not digits:
        return rng.choice(["7", "2 * 3", *(["offset + 1"] if "offset" in variables else [])])
    number, name = rng.choice(digits)
    capture = name if name and chance(rng, 0.7) else f"\\{number}"
    options = [capture, f"{capture} + 1", f"{capture} * 2 + 1", f"{capture} % 3", f"{capture} // 2",
               f"({capture} == 0) * 10 + {capture}", f"(0 - {capture}) % 5", f"({capture} - 7) // 2 + 50",
               f"({capture} < 1 or {capture} > 5) + {capture} * 2"]
    if "offset" in variables:
        options += [f"{capture} + offset", f"offset * {capture} + 1"]
    if "depths" in variables:
        options += [f"depths[{capture}]", f"depths[{capture} % 3] + {capture}"]
    if "kinds" in variables:
        options += [f"get(kinds, {capture}, 9)", f"get(kinds, {capture} + 0, {capture})"]
    return rng.choice(options)


def template(rng, groups, front, back, variables):
    pieces = [rng.choice(WORDS)] if chance(rng, 0.8) else []
    for number, (kind, name) in enumerate(groups, 1):
        if kind == "digits" and chance(rng, 0.8):
            pieces.append(rng.choice([f"\\{number}", "{" + expression(rng, groups, variables) + "}"]))
        elif kind == "word" and chance(rng, 0.8):
            pieces.append(rng.choice([f"\\{number}", f"{{\\{number}}}", f"{{{name}}}" if name else f"\\{number}"]))
    if chance(rng, 0.06):
        pieces.append(rng.choice(["{{x}}", "a\\\\b", "\\0", "{label}" if "label" in variables else "{3 - 1}"]))
    return front + ".".join(pieces) + back


def condition(rng, groups, variables):
    digits = [number for number, (kind, _) in enumerate(groups, 1) if kind == "digits"]
    options = ["1", "not 0", "1 < 2 < 3", "2 == 2 != 3", "1 or 1 // 0", "not (0 and 1 // 0)"]
    if "offset" in variables:
        options += ["offset >= 1", "offset == 3 or offset < 3"]
    if "label" in variables:
        options.append("label != other" if "other" in variables else "label == label")
    for number in digits:
        options += [f"\\{number} < 2", f"\\{number} % 2 == 0", f"0 <= \\{number} < 5", f"not \\{number} == 1",
                    f"\\{number} == 0 or \\{number} == 2", f"\\{number}"] * 2
    return rng.choice(options)
