"""The target of a case, and the policies that what is odd about it needs."""
import json
import re

import safetensors.torch
import torch

import draw
import fits
from draw import Retry, chance
from regraft_reference import load_pt, load_safetensors, load_schema
from yaml_text import inline, scalar

ALWAYS = {"policy", "dtype", "shape", "initial", "no-values", "overflow"}


class Want:
    """A case of a policy and the names that need it."""

    def __init__(self, policy, names, case):
        self.policy, self.names, self.case = policy, names, case


class Targets:
    """The part of a draft that draws a target."""

    def make_target(self):
        rng = self.rng
        self.wants = []
        if not chance(rng, 1.0 if self.aim in ALWAYS else {"ties": 0.7, "expect": 0.8}.get(self.aim, 0.7)):
            return
        for item in self.items:
            try:
                item.name.decode()
            except UnicodeDecodeError:
                raise Retry from None
        values = self.make_form()
        level = rng.choice([0.1, 0.4, 0.7, 1])
        state = self.meet_items(level, values)
        self.add_missing(state)
        if not state:
            raise Retry
        if chance(rng, 0.9 if self.aim == "ties" else 0.4) and self.form != "safetensors":
            self.tie(state)
        order = list(state)
        if chance(rng, 0.4):
            rng.shuffle(order)
        self.save_target({name: state[name] for name in order})

    def make_form(self):
        rng = self.rng
        self.form = rng.choices(["pt", "safetensors", "yaml", "json", "meta"], [55, 27, 8, 5, 5])[0]
        if self.aim == "no-values":
            self.form = rng.choice(["yaml", "json", "meta"])
        return self.form in ("pt", "safetensors")

    def meet_items(self, level, values):
        """Names of the target that results reach, each the same as the result or odd in one way or two."""
        rng, state, alike = self.rng, {}, {}
        victim = rng.choice(self.items).name if self.items else None       # what the case is meant to fail over
        for item in self.items:
            name, source = item.name.decode(), item.value
            if item.value.tie in alike and chance(rng, 0.6):
                first, wants = alike[item.value.tie]
                for want in wants:
                    want.names.append(name)
                state[name] = state[first] if chance(rng, 0.5) else self.value(state[first].dtype, state[first].shape)
                continue
            shape, dtype, wants = list(source.shape), source.dtype, []
            odd, bad = rng.random(), item.name == victim
            if odd < level * 0.2 and not bad:
                self.wants.append(Want("unexpected", [name], {"do": rng.choice(["drop", "keep"])}))
                continue
            bad_cast = bad and self.aim in ("dtype", "overflow")
            if level * 0.65 <= odd < level or odd < level * 0.25 or bad_cast:
                dtype, case = self.bad_dtype(source) if bad_cast else fits.dtype(rng, source.data)
                wants += [Want("dtype", [name], case)] if case else []
            if odd < level * 0.8 or (bad and self.aim in ("shape", "no-values")):
                final = source.dtype if wants and wants[0].case["do"] == "source" else dtype
                shape, case = self.shape(source, final, bad, values)
                wants.append(Want("shape", [name], case))
            elif shape == [1] and chance(rng, 0.3):
                shape = []
            self.wants += wants
            alike[item.value.tie] = name, wants
            state[name] = self.value(getattr(torch, dtype), shape)
        return state

    def shape(self, source, final, bad, values):
        rng = self.rng
        if bad and self.aim == "shape":
            return fits.misfit(rng, source, final)
        if bad and self.aim == "no-values":
            return fits.own_values(rng, source, final)
        shape, case = fits.shape(rng, source, final)
        own = case["do"] == "skip" or case.get("fill") == "keep"
        if own and (not values or chance(rng, 0.2)):
            case["or"] = "omit"
        return shape, case

    def bad_dtype(self, source):
        """A dtype that needs a case which is not given, or a value that it cannot hold."""
        rng = self.rng
        names = [name for name in draw.DTYPES if name != source.dtype]
        if self.aim == "overflow":
            names = [name for name in names if fits.overflows(source.data, name)] or names
            name = rng.choice(names)
            return name, None if fits.dtypes.cast_by_default(source.dtype, name) else {"do": "cast"}
        return rng.choice(names), rng.choice([None, None, {"do": "error"}])

    def value(self, dtype, shape):
        name = fits.dtypes.name_of(dtype)
        if self.form == "safetensors" and name in draw.NOT_IN_SAFETENSORS:
            self.form = "pt"
        value = draw.either(self.rng, name, list(shape))
        return draw.strided(self.rng, value) if self.form == "pt" and chance(self.rng, 0.15) else value

    def add_missing(self, state):
        rng = self.rng
        for at in range(rng.choice([0, 1, 2, 3])):
            name = rng.choice([f"head.{at}.weight", f"new{at}", f"blocks.{at}.ls1.gamma", f"é.{at}"])
            if name in state or name.encode() in {item.name for item in self.items}:
                continue
            dtype, shape = draw.dtype(rng, self.form == "safetensors"), rng.choice([*draw.SHAPES, (40,), (3, 17)])
            case = fits.missing(rng, dtype, shape)
            if self.aim == "initial" and chance(rng, 0.6):
                case, dtype, shape = fits.impossible(rng)
            state[name] = self.value(getattr(torch, dtype), shape)
            self.wants.append(Want("missing", [name], case))

    def tie(self, state):
        """Ties between missing names, from a missing to a reached one, or between two reached ones; and a view across two names."""
        rng = self.rng
        missing = {name: want for want in self.wants if want.policy == "missing" for name in want.names}
        if self.aim == "ties":
            self.tie_reached(state, [name for name in state if name not in missing])
        for _ in range(rng.randrange(1, 4)):
            names = list(state)
            first = rng.choice([*missing, *names]) if chance(rng, 0.7) else rng.choice(names)
            second = rng.choice([*missing, rng.choice(names), "tied.weight", "tied.bias"])
            value = state[first]
            if second == first:
                continue
            if second not in state or second in missing:
                part = value.dim() and value.shape[0] > 1 and chance(rng, 0.25)
                state[second] = value[1:] if part and self.form == "pt" else value
                if second in missing:
                    missing[second].names.remove(second)
                if first in missing and chance(rng, 0.85):
                    missing[first].names.append(second)
                    missing[second] = missing[first]
                else:
                    case = fits.missing(rng, fits.dtypes.name_of(value.dtype), list(state[second].shape))
                    missing[second] = Want("missing", [second], case)
                    self.wants.append(missing[second])
            elif value.shape == state[second].shape and value.dtype == state[second].dtype:
                state[second] = value

    def tie_reached(self, state, names):
        pairs = [(first, second) for first in names for second in names if first < second
                 and state[first].shape == state[second].shape and state[first].dtype == state[second].dtype]
        if pairs:
            first, second = self.rng.choice(pairs)
            state[second] = state[first]

    def save_target(self, state):
        self.target_file = "target." + {"meta": "pt"}.get(self.form, self.form)
        path = self.folder / self.target_file
        if self.form == "safetensors":
            safetensors.torch.save_file({name: value.clone() for name, value in state.items()}, path)
            self.target = load_safetensors(path, "target")
        elif self.form in ("yaml", "json"):
            path.write_text(schema(state, self.form), encoding="utf-8")
            self.target = load_schema(path, "target")
        else:
            torch.save({name: value.to("meta") for name, value in state.items()} if self.form == "meta" else state, path)
            self.target = load_pt(path, "target")

    # Policies

    def make_policy(self):
        rng = self.rng
        policy = {}
        usual = {"missing": ["keep", "omit", "zeros", "ones"], "unexpected": ["drop", "keep"], "shape": ["skip", "pad", "reshape"],
                 "dtype": ["source", "cast"]}
        for name, words in usual.items():
            wants = [want for want in self.wants if want.policy == name and want.names]
            if self.aim == "policy" and chance(rng, 0.5):
                if chance(rng, 0.3):
                    policy[name] = rng.choice(["error", [{"do": "error"}], [{"match": "^nothing$", "do": words[0]}]])
                elif wants and chance(rng, 0.6):
                    wants.remove(rng.choice(wants))
            if wants:
                policy[name] = self.policy_of(wants)
            elif chance(rng, 0.08) and self.aim not in ("dtype", "overflow"):
                policy[name] = rng.choice(words)
        if chance(rng, 0.2):
            policy["extras"] = "drop"
        if self.aim == "policy" and chance(rng, 0.2):
            policy["extras"] = "error"
        if policy:
            self.spec["policy"] = policy

    def policy_of(self, wants):
        """One word where that does, else a list with a case for each want."""
        rng = self.rng
        first = wants[0].case
        if all(want.case == first for want in wants) and chance(rng, 0.5):
            case = dict(first)
            if len(case) == 1 and chance(rng, 0.6):
                return case["do"]
            return [case]
        cases = []
        for want in rng.sample(wants, len(wants)):
            names = want.names
            match = {"exact": names if len(names) > 1 or chance(rng, 0.3) else names[0]}
            if chance(rng, 0.5):
                match = [self.whole_or_part(name) for name in names]
                match = match[0] if len(match) == 1 else match
            cases.append({"match": match, **want.case})
        if chance(rng, 0.15):                          # it takes nothing: `unless` is asked second
            name = self.pattern(rng.choice(wants).names[0])
            cases.insert(0, {"match": name, "unless": name, "do": "error"})
        if chance(rng, 0.3):
            del cases[-1]["match"]                     # the rest
        return cases

    def whole_or_part(self, name):
        return self.pattern(name) if chance(self.rng, 0.3) else "^" + re.escape(name) + "$"


def schema(state, form):
    views, entries = {}, {}
    for name, value in state.items():
        first = views.setdefault((value.untyped_storage()._cdata, value.storage_offset(), value.shape, value.stride()), name)
        entries[name] = {"dtype": fits.dtypes.name_of(value.dtype), "shape": list(value.shape)}
        if first != name:
            entries[name]["tie"] = first
    if form == "json":
        return json.dumps({"regraft_schema": 1, "tensors": entries}, indent=1, ensure_ascii=False)
    return "regraft_schema: 1\ntensors:\n" + "".join(f"  {scalar(name)}: {inline(entry)}\n" for name, entry in entries.items())
