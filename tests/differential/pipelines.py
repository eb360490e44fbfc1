"""Random pipelines of the verbs that change tensors, drawn with the shapes of each step in view, and mistakes in them."""
import itertools
import math
import re

import safetensors.torch
import torch

import draw
import fits
from cases import Draft
from draw import Retry, chance
from regraft_reference import Unsettled, dtypes, load_pt, load_safetensors
from yaml_text import emit

AIMS = [("ok", 72), ("rule-shape", 9), ("bad-group", 6), ("rule-dtype", 4), ("evaluation", 3), ("overflow", 2), ("target", 6)]
FLOATS = ["float32", "float32", "float32", "float16", "bfloat16", "float64"]
PASSES = ["reshape-of-reshape", "permute-of-permute", "cast-of-cast", "index-to-narrow", "index-of-index", "narrow-of-narrow",
          "narrow-of-permute", "narrow-of-cat", "narrow-of-pad", "narrow-of-fill", "cat-of-cat", "cat-of-narrows", "byte-ranges", "casts"]
MOST = 4000                            # elements of one tensor


def draft(rng, aim, folder):
    return Pipeline(rng, aim, folder)


class Pipeline(Draft):
    keeps = False                      # names that no rule takes the alias off

    def make_source(self):
        rng, state = self.rng, {}
        for family in rng.sample([attention, experts, adapters, normalised, grids, anything, anything], rng.choice([1, 2, 2, 3])):
            state |= family(rng)
        for name in list(state):
            if chance(rng, 0.15):
                state[name] = draw.strided(rng, state[name])
            if chance(rng, 0.03):
                state[rng.choice(list(state))] = state[name]           # tied
        order = list(state)
        if chance(rng, 0.3):
            rng.shuffle(order)
        state = {name: state[name] for name in order}
        self.spec["source"] = {"root": ""}
        apart = [name for name in state if "lora" in name or chance(rng, 0.1)]
        if apart and len(apart) < len(state) and chance(rng, 0.3):
            self.other_files["lora"], self.others["lora"] = self.save({name: state.pop(name) for name in apart}, "lora")
            if chance(rng, 0.5):
                self.spec["source"]["aliases"] = rng.choice([["lora"], {"lora": {"root": ""}}])
        self.source_file, self.source = self.save(state, "source")
        if chance(rng, 0.25):
            self.flags = [word for name in rng.sample(PASSES, rng.choice([1, 2, len(PASSES)])) for word in ("--no-pass", name)]
        start = self.run(policy={"unexpected": "keep"})
        if start.exits:
            raise Retry
        self.items = start.items

    def save(self, state, stem):
        if chance(self.rng, 0.4):
            file = stem + ".safetensors"
            state = {name: value.contiguous().clone() for name, value in state.items()
                     if dtypes.name_of(value.dtype) not in draw.NOT_IN_SAFETENSORS}
            if not state:
                raise Retry
            safetensors.torch.save_file(state, self.folder / file)
            return file, load_safetensors(self.folder / file, stem)
        torch.save(state, self.folder / (stem + ".pt"))
        return stem + ".pt", load_pt(self.folder / (stem + ".pt"), stem)

    def make_vars(self):
        self.variables = {"heads": 2, "offset": 1, "depths": [0, 2, 1], "label": "enc", "alpha": 1.5}
        self.spec["vars"] = dict(self.variables)

    def make_rules(self):
        rng = self.rng
        rules = self.spec["rules"] = []
        if self.others and chance(rng, 0.5):
            self.take({"rename": "^lora::", "to": rng.choice(["", "lora."])})
        for _ in range(rng.randint(1, 5 if self.aim in MISTAKES else 8)):      # a mistake takes up to three rules
            for _ in range(12):
                rule = self.step()
                if rule and self.take(rule):
                    break
        if not rules:
            raise Retry
        if any(item.name.startswith(b"lora::") for item in self.items):
            rule = rng.choice([{"rename": "^lora::", "to": "left."}, {"drop": "^lora::"}, None])
            if not (rule and self.take(rule)):
                self.keeps = True
        if self.aim in MISTAKES:
            for _ in range(30):
                rule = rng.choice(MISTAKES[self.aim])(self)
                try:
                    outcome = rule and self.run(rules=rules + [rule], policy={"unexpected": "keep"})
                except Unsettled:
                    continue
                if outcome and outcome.codes == {self.aim}:
                    rules.append(rule)
                    return
            raise Retry

    def take(self, rule):
        """Whether the rule works here; then it is one of the pipeline's."""
        try:
            outcome = self.run(rules=self.spec["rules"] + [rule], policy={"unexpected": "keep"})
        except Unsettled:
            return False
        if outcome.exits - {1} or not outcome.items or (outcome.exits and self.aim != "overflow"):
            return False
        standing = [(item.name, item.value.tie) for item in self.items]
        if [(item.name, item.value.tie) for item in outcome.items] == standing and chance(self.rng, 0.9):
            return False                               # it changes nothing
        if any(math.prod(item.value.shape) > MOST for item in outcome.items) or len(outcome.items) > 60:
            return False
        self.spec["rules"].append(rule)
        self.items = outcome.items
        return True

    def step(self):
        rng = self.rng
        kind = rng.choices(list(STEPS), [weight for weight, _ in STEPS.values()])[0]
        rule = STEPS[kind][1](self)
        if rule and chance(rng, 0.06):
            rule["unless"] = self.pattern()
        if rule and chance(rng, 0.05):
            item = rng.choice(self.items)
            rule["where"] = rng.choice([{"ndim": len(item.value.shape)}, {"dtype": item.value.dtype}])
        return rule

    def make_target(self):
        self.wants = []
        if self.aim == "target":
            super().make_target()

    def make_policy(self):
        super().make_policy()
        if self.keeps:
            self.spec["policy"] = {**self.spec.get("policy", {}), "unexpected": self.rng.choice(["keep", "drop"])}

    def make_expect(self):
        pass                                           # promises are the other family's

    def finish(self):
        self.text = emit(self.spec)
        outcome = self.migrate(self.text)
        meant = {2} if self.aim in MISTAKES else {1} if self.aim == "overflow" else set()
        if outcome.exits != meant or bool(outcome.overflows) != (self.aim == "overflow"):
            raise Retry
        return outcome

    # What is said of names

    def item(self, holds=lambda shape: True):
        found = [item for item in self.items if holds(item.value.shape)]
        if not found:
            raise NoSuch
        return self.rng.choice(found)

    def named(self, item, fixed=()):
        """A pattern for the whole of a name, what stands in `to` for each of its components, and the numbers it captures."""
        rng, pieces, to, captured = self.rng, [], [], []
        general = chance(rng, 0.5)
        for at, part in enumerate(item.name.decode().split(".")):
            if part.isdigit() and general and at not in fixed and len(captured) < 8:
                captured.append(int(part))
                pieces.append(rf"(\d+)" if chance(rng, 0.8) else rf"(?P<n{len(captured)}>\d+)")
                to.append(f"\\{len(captured)}")
            else:
                pieces.append(re.escape(part))
                to.append(literal(part))
        return "^" + r"\.".join(pieces) + "$", to, captured

    def found(self, item):
        """A pattern for an item and, by chance, others, with the numbers it captures."""
        if chance(self.rng, 0.15):
            return re.escape("." + item.name.decode().split(".")[-1]) + "$", []
        pattern, _, captured = self.named(item)
        return pattern, captured

    def number(self, value, captured=()):
        """The number itself, or an expression that gives it."""
        rng = self.rng
        if chance(rng, 0.7):
            return value
        options = [f"{value - 1} + offset" if value > 0 else f"offset - {1 - value}", f"{value} * offset"]
        if value % 2 == 0 and value >= 0:
            options += [f"heads * {value // 2}", f"{value * 3} // 3"]
        if value in (0, 1, 2):
            options.append(f"depths[{[0, 2, 1].index(value)}]")
        for at, text in enumerate(captured, 1):
            options += [f"\\{at} + {value - text}" if value >= text else f"\\{at} - {text - value}"] * 2
        if value < 0:
            options = [option for option in options if not option.startswith("-")] + [f"-{-value}"]
        return rng.choice(options)

    def numbers(self, values, captured=()):
        return [self.number(value, captured) for value in values]

    def dim(self, at, shape):
        return at - len(shape) if chance(self.rng, 0.25) else at


class NoSuch(Retry):
    """There is no tensor that a rule of this kind could be drawn for."""


def step(draw_rule):
    """A rule, or nothing where there is no tensor for it."""
    def attempt(self):
        try:
            return draw_rule(self)
        except NoSuch:
            return None
    return attempt


def literal(text):
    return text.replace("\\", "\\\\").replace("{", "{{").replace("}", "}}")


# Tensors with names that group

def number_like(rng, dtype, shape):
    return draw.tame(rng, dtype, shape, special=0.05)


def attention(rng):
    dtype = draw.dtype(rng) if chance(rng, 0.4) else rng.choice(FLOATS)
    rows, columns = rng.choice([2, 4, 6]), rng.choice([1, 2, 3, 4])
    state = {}
    for layer in range(rng.choice([1, 2, 3])):
        for part in rng.sample(["query", "key", "value"], 3):
            state[f"layers.{layer}.attn.{part}.weight"] = draw.either(rng, dtype, (rows, columns))
            if chance(rng, 0.6):
                state[f"layers.{layer}.attn.{part}.bias"] = draw.either(rng, dtype, (rows,))
    return state


def experts(rng):
    state = {}
    count, shape = rng.choice([2, 3, 5, 12]), rng.choice([(2, 3), (4, 2), (3,), (), (2, 2, 2), (0, 2), (2, 1)])
    same, first = chance(rng, 0.8), rng.choice(draw.DTYPES) if chance(rng, 0.3) else rng.choice(FLOATS)
    for layer in range(rng.choice([1, 2])):
        for expert in rng.sample(range(count), count):
            for part in rng.choice([["w1"], ["w1", "w2"]]) if same else ["w1"]:
                dtype = first if same else rng.choice(["float32", "float16", "int8", "bfloat16", "int64", "bool"])
                state[f"blocks.{layer}.experts.{expert}.{part}"] = number_like(rng, dtype, shape)
    return state


def adapters(rng):
    state, rank, dtype = {}, rng.choice([1, 2, 3]), rng.choice(FLOATS)
    for at in range(rng.choice([1, 2])):
        rows, columns = rng.choice([2, 4, 6]), rng.choice([2, 3, 5])
        state[f"proj.{at}.weight"] = number_like(rng, dtype, (rows, columns))
        if chance(rng, 0.8):
            low = rng.choice([dtype, dtype, "float32", "float64"])
            state[f"proj.{at}.lora_A.weight"] = number_like(rng, low, (rank, columns))
            state[f"proj.{at}.lora_B.weight"] = number_like(rng, low, (rows, rank))
    return state


def normalised(rng):
    dtype, channels = rng.choice(FLOATS), rng.choice([2, 3, 4])
    state = {"conv.weight": number_like(rng, dtype, (channels, 2, 2, 1))}
    for part in ("weight", "bias", "running_mean", "running_var"):
        state[f"bn.{part}"] = number_like(rng, dtype, (channels,))
    state["bn.num_batches_tracked"] = torch.tensor(rng.randrange(100))
    return state


def grids(rng):
    return {f"pos.{at}.embed": draw.grid(rng) for at in range(rng.choice([1, 2]))}


def anything(rng):
    return {name: draw.either(rng, draw.dtype(rng), rng.choice([*draw.SHAPES, (6, 4), (2, 6), (12,), (2, 2, 3)]))
            for name in draw.names(rng)[:5]}


# One tensor

def axes(shape):
    return range(len(shape))


@step
def transpose(self):
    item = self.item(lambda shape: shape)
    shape, (pattern, captured) = item.value.shape, self.found(item)
    return {"transpose": pattern, "dims": self.numbers([self.dim(self.rng.choice(axes(shape)), shape) for _ in range(2)], captured)}


@step
def permute(self):
    item = self.item()
    shape, (pattern, captured) = item.value.shape, self.found(item)
    order = self.rng.sample(axes(shape), len(shape))
    return {"permute": pattern, "dims": self.numbers([self.dim(at, shape) for at in order], captured)}


def factors(rng, number):
    """Two or three sizes that make `number`."""
    if number == 0:
        return rng.choice([[0], [0, 3], [2, 0]])
    first = rng.choice([size for size in range(1, number + 1) if number % size == 0])
    rest = number // first
    second = rng.choice([size for size in range(1, rest + 1) if rest % size == 0])
    return rng.choice([[number], [first, rest], [first, second, rest // second], [first, 1, rest]])


@step
def reshape(self):
    item = self.item()
    shape = factors(self.rng, math.prod(item.value.shape))
    if math.prod(item.value.shape) == 1 and chance(self.rng, 0.3):
        shape = []
    if 0 not in shape and shape and chance(self.rng, 0.4):
        shape[self.rng.randrange(len(shape))] = -1
    pattern, captured = self.found(item)
    return {"reshape": pattern, "shape": [-1 if size == -1 else self.number(size, captured) for size in shape]}


@step
def rearrange(self):
    rng, item = self.rng, self.item()
    letters, left, flat, sizes = iter("abcdefghijklmnop"), [], [], {}
    shape = item.value.shape
    dots = rng.randrange(len(shape)) if shape and chance(rng, 0.2) else None
    for at, size in enumerate(shape):
        if at == dots:
            left.append("...")
            flat.append("...")
        elif size == 1 and chance(rng, 0.5):
            left.append(rng.choice(["1", "()"]))
        elif size > 0 and chance(rng, 0.4):
            parts = factors(rng, size)
            names = list(itertools.islice(letters, len(parts)))
            known = set(names) - {rng.choice(names)} if chance(rng, 0.8) else set(names)
            sizes |= {name: part for name, part in zip(names, parts) if name in known}
            left.append("(" + " ".join(names) + ")")
            flat += names
        else:
            left.append(next(letters))
            flat.append(left[-1])
    rng.shuffle(flat)
    right, at = [], 0
    while at < len(flat):
        length = rng.choice([1, 1, 2, 3])
        group = flat[at:at + length]
        right.append(group[0] if len(group) == 1 and chance(rng, 0.9) else "(" + " ".join(group) + ")")
        at += length
    for _ in range(rng.choice([0, 0, 1])):
        right.insert(rng.randrange(len(right) + 1), "1")
    pattern, captured = self.found(item)
    rule = {"rearrange": pattern, "pattern": " ".join(left) + " -> " + " ".join(right)}
    if sizes:
        rule["with"] = {name: self.number(size, captured) for name, size in sizes.items()}
    return rule


@step
def cut(self):
    rng, item = self.rng, self.item(lambda shape: shape)
    shape, (pattern, captured) = item.value.shape, self.found(item)
    at = rng.choice(axes(shape))
    start = rng.randint(0, shape[at])
    stop = rng.randint(start, shape[at])
    rule = {"slice": pattern}
    if at or chance(rng, 0.6):
        rule["dim"] = self.number(self.dim(at, shape), captured)
    if start or chance(rng, 0.5):
        rule["start"] = start - shape[at] if start < shape[at] and chance(rng, 0.3) else self.number(start, captured)
    if stop < shape[at] or chance(rng, 0.5):
        rule["stop"] = stop - shape[at] if stop < shape[at] and chance(rng, 0.3) else self.number(stop, captured)
    if chance(rng, 0.4):
        rule["step"] = self.number(rng.choice([1, 2, 3, 9]), captured)
    return rule


@step
def index_select(self):
    rng, item = self.rng, self.item(lambda shape: any(shape))
    shape, (pattern, captured) = item.value.shape, self.found(item)
    at = rng.choice([at for at in axes(shape) if shape[at]])
    index = self.numbers([rng.randrange(shape[at]) for _ in range(rng.choice([0, 1, 2, 3, 5]))], captured)
    if shape[at] >= 3 and chance(rng, 0.2):
        index = "depths"
    rule = {"index_select": pattern, "index": index}
    if at or chance(rng, 0.6):
        rule["dim"] = self.number(self.dim(at, shape), captured)
    return rule


@step
def pad(self):
    rng, item = self.rng, self.item(lambda shape: shape)
    shape, (pattern, captured) = item.value.shape, self.found(item)
    at = rng.choice(axes(shape))
    rule = {"pad": pattern}
    if at or chance(rng, 0.6):
        rule["dim"] = self.number(self.dim(at, shape), captured)
    for side in rng.choice([["before"], ["after"], ["before", "after"]]):
        rule[side] = self.number(rng.choice([0, 1, 1, 2, 3]), captured)
    if chance(rng, 0.6):
        rule["fill"] = rng.choice([*fits.FILLS, "alpha", "heads * 3"])
    return rule


@step
def interpolate(self):
    rng = self.rng
    floats = [item for item in self.items if item.value.dtype in dtypes.PLAIN_FLOATS and item.value.close is None
              and item.value.data.isfinite().all()]
    if not floats:
        raise NoSuch
    item = rng.choice(floats)
    pattern, _ = self.found(item)
    for _ in range(10):
        found = fits.interpolate(rng, list(item.value.shape), item.value.dtype)
        if found:
            break
    else:
        return None
    shape, case = found
    names = case.get("pattern", "1 (h w) c").replace("(h w)", "hw").replace("(w h)", "hw").split()
    if "size" not in case:
        if "hw" not in names:
            case["size"] = [shape[names.index("h")], shape[names.index("w")]]
        else:
            side = math.isqrt(shape[names.index("hw")] - case.get("prefix_tokens", 0) - case.get("suffix_tokens", 0))
            case["size"] = [side, side]
    return {"interpolate": pattern, **{key: value for key, value in case.items() if key not in ("do", "or")}}


@step
def cast(self):
    rng, item = self.rng, self.item()
    if self.aim == "overflow":
        names = draw.DTYPES
    else:
        names = [name for name in draw.DTYPES if not fits.overflows(item.value.data, name)] or ["float64"]
    names = [name for name in names if name in FLOATS] or names if chance(rng, 0.6) else names
    return {"cast": self.found(item)[0], "dtype": rng.choice(names)}


# Several tensors

@step
def split(self):
    rng, item = self.rng, self.item(lambda shape: any(shape))
    shape, (pattern, to, captured) = item.value.shape, self.named(item)
    at = rng.choice([at for at in axes(shape) if shape[at]])
    count = rng.choice([1, 2, 2, 3, 3, 4])
    cuts = sorted(rng.randint(0, shape[at]) for _ in range(count - 1))
    sizes = [stop - start for start, stop in zip([0, *cuts], [*cuts, shape[at]])]
    names = rng.sample(["q", "k", "v", "gate", "up", "rest"], count)
    if chance(rng, 0.2):
        names = ["part{i}"] * count
    rule = {"split": pattern, "to": [".".join(to[:-1] + [name] + to[-1:]) for name in names]}
    if chance(rng, 0.25) and count > 1:
        rule["to"][rng.randrange(count)] = None
    if at or chance(rng, 0.4):
        rule["dim"] = self.number(self.dim(at, shape), captured)
    if shape[at] % count or chance(rng, 0.6):
        rule["sizes"] = self.numbers(sizes, captured)
    return rule


@step
def unbind(self):
    rng, item = self.rng, self.item(lambda shape: shape and max(shape) < 8)
    shape, (pattern, to, captured) = item.value.shape, self.named(item)
    at = rng.choice(axes(shape))
    number = rng.choice(["{i}", "{i}", "{i + 1}", "{i * heads}", "{i + offset}"])
    rule = {"unbind": pattern, "to": ".".join(to[:-1] + [rng.choice(["", "x"]) + number] + to[-1:])}
    if at or chance(rng, 0.4):
        rule["dim"] = self.number(self.dim(at, shape), captured)
    return rule


def families(self, digits):
    """Items that differ in one component alone, which is a number or is none: (its place, items)."""
    found = {}
    for item in self.items:
        parts = item.name.decode().split(".")
        for at, part in enumerate(parts):
            if part.isdigit() == digits:
                found.setdefault((at, *parts[:at], None, *parts[at + 1:]), []).append(item)
    families = [(key[0], items) for key, items in found.items() if len(items) > 1]
    if not families:
        raise NoSuch
    return families


def group(self):
    """The part of a rule that says which names go together; and the items of one group, in order."""
    rng = self.rng
    if chance(rng, 0.45):
        at, items = rng.choice(families(self, digits=True))
        pieces, to, used = [], [], 0
        for place, part in enumerate(items[0].name.decode().split(".")):
            if part.isdigit() and (place == at or chance(rng, 0.7)):
                used += 1
                pieces.append(r"(\d+)")
                to += [] if place == at else [f"\\{used}"]
            else:
                pieces.append(re.escape(part))
                to.append(literal(part))
        items = sorted(items, key=lambda item: int(item.name.decode().split(".")[at]))
        return "^" + r"\.".join(pieces) + "$", ".".join(to) or "one", items
    at, items = rng.choice(families(self, digits=False))
    items = rng.sample(items, min(len(items), rng.choice([2, 2, 3, 4])))
    words = [item.name.decode().split(".")[at] for item in items]
    last = at == items[0].name.count(b".")
    front, back = ("^", r"\." * (not last)) if at == 0 else (r"\.", "$" if last else r"\.")
    to = ("" if at == 0 else ".") + rng.choice(["qkv", "fused", literal(words[0])]) + ("" if last else ".")
    return [front + re.escape(word) + back for word in words], to, items


def together(verb):
    @step
    def rule(self):
        rng = self.rng
        patterns, to, items = group(self)
        shape = items[0].value.shape
        ways = [at for at in axes(shape) if len({tuple(item.value.shape[:at] + item.value.shape[at + 1:]) for item in items}) == 1]
        at = rng.choice(ways) if ways and verb == "cat" else rng.randrange(len(shape) + (verb == "stack") or 1)
        result = {verb: patterns, "to": to}
        if at or chance(rng, 0.5):
            result["dim"] = self.number(at if chance(rng, 0.75) else at - len(shape) - (verb == "stack"))
        if chance(rng, 0.12) or (len({item.value.dtype for item in items}) > 1 and chance(rng, 0.4)):
            result["dtype"] = rng.choice(FLOATS + ["float64", items[0].value.dtype])
        if chance(rng, 0.25):
            result["partial"] = "pass"
        return result
    return rule


ONE = ["-a", "a * 2", "alpha * a", "a + 1", "a / 4 - 0.5", "abs(a)", "sqrt(abs(a))", "exp(a / 100)", "a - mean(a, 0)", "sum(a, -1)",
       "a / (norm(a, -1) + 1)", "norm(a, 0) * 2", "a @ transpose(a, -1, -2)", "(a + a) * a", "mean(a, 0) + size(a, 0)",
       "reshape(a, -1) * heads", "narrow(a, 0, 0, 1) / alpha", "tile(a, 2) - 1"]
ONE_MOVED = ["a", "reshape(a, -1)", "transpose(a, 0, 1)", "transpose(a, 0, -1)", "narrow(a, 0, 0, 1)", "narrow(a, -1, offset, 1)",
             "tile(a, 2)", "tile(a, 2, 1)", "tile(a, heads, 1, 3)", "repeat_interleave(a, 2, 0)", "repeat_interleave(a, heads, -1)",
             "reshape(transpose(a, 0, -1), 1, -1)", "cat(a, narrow(a, 0, 0, size(a, 0) // 2), 0)",
             "reshape(a, size(a, 0), 1, -1)", "cat(a, a, 0)"]
TWO = ["a + b", "a - b * 2", "a * b", "a / (abs(b) + 1)", "(a - b) / alpha", "a * reshape(b, -1, 1)", "a + alpha * b", "a @ b",
       "a @ transpose(b, 0, 1)", "b @ a", "sum(a * b, 0)", "cat(a, b, 0) * 2", "a * sqrt(abs(b) + 1)", "a - exp(-abs(b))",
       "a * repeat_interleave(b, 2, 0)", "a / (norm(b, 0) + 2)"]
TWO_MOVED = ["cat(a, b, 0)", "cat(b, a, -1)", "transpose(cat(a, b, 0), 0, 1)", "cat(reshape(a, -1), reshape(b, -1), 0)",
             "cat(tile(a, 2), b, 0)"]
THREE = ["a + b + c", "c + alpha / size(a, 0) * (b @ a)", "c + (alpha / size(a, 0)) * (b @ a)", "a * b - c", "cat(cat(a, b, 0), c, 0)",
         "(a + b) / (abs(c) + 1)"]


@step
def combine(self):
    rng = self.rng
    count = rng.choice([1, 1, 2, 2, 2, 3])
    if count == 1:
        item = self.item()
        pattern, to, _ = self.named(item)
        operands, to = {"a": pattern}, ".".join(to)
    else:
        at, items = rng.choice(families(self, digits=False))
        if len(items) < count:
            return None
        items = rng.sample(items, count)
        words = [item.name.decode().split(".")[at] for item in items]
        last = at == items[0].name.count(b".")
        front, back = ("^", "" if last else r"\.") if at == 0 else (r"\.", "$" if last else r"\.")
        operands = {name: front + re.escape(word) + back for name, word in zip("abc", words)}
        to = ("" if at == 0 else ".") + rng.choice(["merged", literal(words[0])]) + ("" if last else ".")
    formulas = {1: [ONE, ONE_MOVED], 2: [TWO, TWO_MOVED], 3: [THREE]}[count]
    rule = {"combine": operands, "to": to, "as": rng.choice(rng.choice(formulas))}
    if chance(rng, 0.15):
        second = to.rstrip(".") + "_too" + ("." if to.endswith(".") else "")
        rule["to"] = {to: rule.pop("as"), second: rng.choice(rng.choice(formulas))}
    if chance(rng, 0.15):
        rule["dtype"] = rng.choice(FLOATS)
    if chance(rng, 0.3):
        rule["partial"] = "pass"
    return rule


@step
def adapter(self):
    self.item(lambda shape: len(shape) == 2)
    rule = {"combine": {"a": r"\.lora_A\.weight$", "b": r"\.lora_B\.weight$", "w": r"\.weight$"}, "to": ".weight",
            "as": self.rng.choice(["w + (alpha / size(a, 0)) * (b @ a)", "w + heads * b @ a"]), "partial": "pass"}
    return rule


@step
def names(self):
    rule = self.rule()
    return rule if "keep" not in rule else None


STEPS = {"transpose": (5, transpose), "permute": (5, permute), "reshape": (6, reshape), "rearrange": (10, rearrange),
         "slice": (7, cut), "index_select": (6, index_select), "pad": (7, pad), "interpolate": (5, interpolate), "cast": (5, cast),
         "split": (10, split), "unbind": (7, unbind), "cat": (16, together("cat")), "stack": (14, together("stack")),
         "combine": (16, combine), "adapter": (5, adapter), "names": (8, names)}


# Mistakes: rules that cannot work here

@step
def bad_axis(self):
    rng, item = self.rng, self.item()
    pattern, to, _ = self.named(item)
    far = len(item.value.shape) + rng.choice([0, 1, 5])
    far = rng.choice([far, -far - 1])
    return rng.choice([{"transpose": pattern, "dims": [0, far]}, {"slice": pattern, "dim": far, "start": 0},
                       {"index_select": pattern, "dim": far, "index": [0]}, {"pad": pattern, "dim": far, "before": 1},
                       {"split": pattern, "to": [to[0] + ".x", to[0] + ".y"], "dim": far},
                       {"unbind": pattern, "to": to[0] + ".{i}", "dim": far}, {"permute": pattern, "dims": [far]},
                       {"combine": {"a": pattern}, "to": r"\0", "as": rng.choice(["sum(a, 9)", "transpose(a, 0, 7)", "cat(a, a, 5)"])}])


@step
def bad_sizes(self):
    rng, item = self.rng, self.item(lambda shape: shape)
    shape = item.value.shape
    pattern, to, _ = self.named(item)
    at = rng.choice(axes(shape))
    size, numel = shape[at], math.prod(shape)
    parts = [".".join(to) + name for name in (".x", ".y", ".z")]
    return rng.choice([
        {"split": pattern, "to": parts[:2], "dim": at, "sizes": [size, rng.choice([1, 2])]},
        {"split": pattern, "to": parts[:2], "dim": at, "sizes": [size + 1, "0 - 1"]},
        {"split": pattern, "to": parts[:3] if size % 3 else parts[:2], "dim": at},
        {"reshape": pattern, "shape": [numel + 1]}, {"reshape": pattern, "shape": [-1, numel + 2]},
        {"reshape": pattern, "shape": [0, -1]},
        {"permute": pattern, "dims": [0] * (len(shape) + 1)}, {"permute": pattern, "dims": list(range(len(shape)))[:-1]},
        {"slice": pattern, "dim": at, "stop": size + 1}, {"slice": pattern, "dim": at, "start": -size - 1},
        {"slice": pattern, "dim": at, "start": size + 2}, {"index_select": pattern, "dim": at, "index": [size]},
        {"rearrange": pattern, "pattern": " ".join("abcdefgh"[:len(shape) + 1]) + " -> " + " ".join("abcdefgh"[:len(shape) + 1])},
        {"rearrange": pattern, "pattern": "(a b) ... -> a b ...", "with": {"a": shape[0] + 1}},
        {"rearrange": pattern, "pattern": "a ... -> ... a", "with": {"a": shape[0] + 1}},
        {"combine": {"a": pattern}, "to": r"\0", "as": f"narrow(a, {at}, 0, {size + 1})"},
        {"combine": {"a": pattern}, "to": r"\0", "as": f"reshape(a, {numel + 1})"},
    ])


@step
def bad_widths(self):
    rng = self.rng
    patterns, to, items = group(self)
    dim = rng.randrange(max(len(items[0].value.shape), 1))
    if not isinstance(patterns, list):
        return {rng.choice(["cat", "stack"]): patterns, "to": to, "dim": dim}
    if chance(rng, 0.5):
        operands = dict(zip("abcd", patterns))
        if len(operands) == 2:
            return {"combine": operands, "to": to, "as": rng.choice(["a + b", "a * b", "a @ b", "cat(a, b, 0)"]), "partial": "pass"}
    return {rng.choice(["cat", "stack"]): patterns, "to": to, "dim": dim, "partial": "pass"}


@step
def gap(self):
    """One part of a group gone."""
    rng = self.rng
    patterns, to, items = group(self)
    verb = rng.choice(["cat", "stack"])
    if isinstance(patterns, str):
        victim = rng.choice(items[:-1])
    else:
        victim = rng.choice(items)
    if not self.take({"drop": {"exact": victim.name.decode()}}):
        return None
    return {verb: patterns, "to": to}


@step
def doubled(self):
    """Two names for one part."""
    rng = self.rng
    patterns, to, items = group(self)
    if isinstance(patterns, list):
        whole = "^" + "|".join(re.escape(item.name.decode()) for item in items) + "$"
        return {rng.choice(["cat", "stack"]): [whole, "^never$"], "to": "same"}
    at, items = rng.choice(families(self, digits=True))
    parts = items[0].name.decode().split(".")
    parts[at] = "0" + parts[at]
    copy = ".".join(parts)
    if not self.take({"copy": {"exact": items[0].name.decode()}, "to": literal(copy)}):
        return None
    return {"stack": patterns, "to": to}


@step
def differing(self):
    """A capture in a parameter that is not the same for the parts."""
    patterns, to, items = group(self)
    if not isinstance(patterns, str):
        return None
    pieces = re.split(r"(\(\\d\+\))", patterns)
    captures = sum(piece == r"(\d+)" for piece in pieces)
    return {"stack": patterns, "to": to, "dim": f"\\{self.rng.randint(1, captures)} * 0"}


@step
def not_numbers(self):
    at, items = self.rng.choice(families(self, digits=False))
    parts = items[0].name.decode().split(".")
    pieces = [r"(\w+)" if place == at else re.escape(part) for place, part in enumerate(parts)]
    return {"stack": "^" + r"\.".join(pieces) + "$", "to": "all"}


@step
def missing_operand(self):
    pattern, _, _ = self.named(self.item())
    return {"combine": {"a": pattern, "b": "^never$"}, "to": "both", "as": "a + b"}


@step
def unpromoted(self):
    rng = self.rng
    names = ["float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "float8_e8m0fnu"]
    floats = [item for item in self.items if item.value.dtype in ("float32", "int32")]
    if not floats:
        raise NoSuch
    item = rng.choice(floats)
    name = item.name.decode()
    if not self.take({"copy": {"exact": name}, "to": "other"}):
        return None
    names = [dtype for dtype in names if not fits.overflows(item.value.data, dtype)]
    if not names or not self.take({"cast": "^other$", "dtype": rng.choice(names)}):
        return None
    patterns = ["^" + re.escape(name) + "$", "^other$"]
    return rng.choice([{"stack": patterns, "to": "both"}, {"combine": {"a": patterns[0], "b": patterns[1]}, "to": "both",
                                                           "as": rng.choice(["a + b", "cat(a, b, 0)"])}])


@step
def bad_fill(self):
    item = self.item(lambda shape: shape)
    return {"pad": self.named(item)[0], "dim": 0, "after": 1, "fill": self.rng.choice([0.5, -1, 2, 300, 70000, -3000000000])}


@step
def bad_resampled(self):
    integers = [item for item in self.items if item.value.dtype not in dtypes.PLAIN_FLOATS and item.value.shape]
    if not integers:
        raise NoSuch
    item = self.rng.choice(integers)
    axes_of = " ".join(["1"] * (len(item.value.shape) - 1) + ["(h w)"])
    return {"interpolate": self.named(item)[0], "size": [2, 3], "pattern": axes_of}


@step
def bad_number(self):
    rng = self.rng
    pattern, _, _ = self.named(self.item(lambda shape: shape))
    number = rng.choice(["1 // 0", "depths[7]", "label + 1", "9223372036854775807 + 1", "depths", "5 % (offset - 1)"])
    index = rng.choice(["heads", "[depths]"])
    return rng.choice([{"slice": pattern, "dim": 0, "start": number}, {"reshape": pattern, "shape": [number]},
                       {"pad": pattern, "dim": number, "before": 1}, {"index_select": pattern, "dim": 0, "index": [number]},
                       {"index_select": pattern, "dim": 0, "index": index if index == "heads" else [number]},
                       {"split": pattern, "to": ["x{" + number + "}", None]}, {"permute": pattern, "dims": "heads + 1"},
                       {"combine": {"a": pattern}, "to": r"\0", "as": "reshape(a, 5 % (offset - 1))"}])


MISTAKES = {"rule-shape": [bad_axis, bad_sizes, bad_sizes, bad_widths, bad_widths],
            "bad-group": [gap, gap, gap, doubled, doubled, differing, differing, not_numbers, missing_operand],
            "rule-dtype": [unpromoted, bad_fill, bad_resampled], "evaluation": [bad_number]}
