"""Random cases: a source, a spec, perhaps a target, and what the reference says comes of them.

A case is meant to end in a certain way from the start (`AIMS`), and is drawn again until the reference agrees; so the mix of
outcomes is that of `AIMS` and not of chance.
"""
import copy
import json
import random
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch

import draw
from draw import chance
from regraft_reference import OutOfScope, Unsettled, load_pt, load_safetensors, migrate

AIMS = [("ok", 66), ("policy", 9), ("expect", 5), ("rules", 6), ("mistake", 12), ("runtime", 4), ("dtype", 2), ("cast", 1),
        ("ties", 2), ("file", 1)]
ATTEMPTS = 400


@dataclass
class Case:
    number: int
    aim: str
    text: str
    source: str                        # file names within the case's folder
    target: object
    output: str
    settings: list
    outcome: object
    spec: dict = field(default_factory=dict)


class Retry(Exception):
    """This draw does not end as it is meant to."""


def make(seed, number, folder):
    rng = random.Random(f"{seed}/{number}")
    aim = rng.choices([name for name, _ in AIMS], [weight for _, weight in AIMS])[0]
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            return attempt(rng, aim, number, folder)
        except (Retry, Unsettled, OutOfScope):
            continue
    raise RuntimeError(f"case {number}: nothing found for {aim}")


def attempt(rng, aim, number, folder):
    draft = Draft(rng, aim, folder)
    draft.make_source()
    draft.make_vars()
    draft.make_rules()
    draft.make_target()
    draft.make_policy()
    draft.make_output()
    draft.make_expect()
    outcome = draft.finish()
    case = Case(number, aim, draft.text, draft.source_file, draft.target_file, draft.output_file, draft.settings, outcome,
                draft.spec)
    (folder / "spec.yaml").write_text(draft.text, encoding="utf-8")
    return case


class Draft:
    def __init__(self, rng, aim, folder):
        self.rng, self.aim, self.folder = rng, aim, folder
        self.spec, self.settings = {"regraft": 1}, []
        self.target, self.target_file = None, None
        self.variables = {}
        self.edit = lambda text: text                  # a mistake that only text can hold
        if chance(rng, 0.3):
            self.spec["name"] = "case"
        if chance(rng, 0.1):
            self.spec |= {"description": "one: of 'many'", "revision": "v2", "revises": "v1"}

    def run(self, **parts):
        return migrate(emit({**self.spec, **parts}), self.source, settings=self.settings, folder=self.folder)

    # The source

    def make_source(self):
        rng = self.rng
        if chance(rng, 0.3):
            self.source_file = "source.safetensors"
            names = draw.names(rng)
            state = {name: draw.tensor(rng, draw.dtype(rng, True), rng.choice(draw.SHAPES)) for name in names}
            metadata = {"format": "pt"} if chance(rng, 0.5) else None
            safetensors.torch.save_file(state, self.folder / self.source_file, metadata)
            self.source = load_safetensors(self.folder / self.source_file, "source")
            roots = [""]
        else:
            self.source_file = "source" + rng.choice([".pt", ".pt", ".pth", ".bin", ".ckpt"])
            top, roots = draw.wrapped(rng, draw.state_dict(rng))
            torch.save(top, self.folder / self.source_file)
            self.source = load_pt(self.folder / self.source_file, "source")
        if chance(rng, 0.4) or self.run().exits:
            self.spec["source"] = {"root": rng.choice(roots)}
        start = self.run()
        if start.exits:
            raise Retry
        self.items = start.items

    def name(self):
        return self.rng.choice(self.items).name.decode() if self.items else "nothing.here"

    def pattern(self, name=None):
        return draw.pattern(self.rng, name or self.name())[0]

    # Vars

    def make_vars(self):
        rng = self.rng
        pool = {"offset": 3, "depths": [rng.randrange(30) for _ in range(12)], "kinds": {"0": "zero", "1": 11, "10": "ten"},
                "label": "enc", "other": "dec"}
        for name, value in pool.items():
            if chance(rng, 0.5):
                self.variables[name] = value
        if not self.variables:
            return
        self.spec["vars"] = dict(self.variables)
        beside = {"model": {"offset": rng.randrange(9), "label": "json"}, "depths": [5, 4, 3, 2, 1, 0]}
        for name, key in (("offset", "model.offset"), ("label", "model.label"), ("depths", "depths")):
            if name in self.variables and chance(rng, 0.25):
                self.spec["vars"][name] = {"from": "config.json", "key": key if chance(rng, 0.7) else "model.absent"}
                if self.spec["vars"][name]["key"] == "model.absent" or chance(rng, 0.3):
                    self.spec["vars"][name]["default"] = self.variables[name]
                (self.folder / "config.json").write_text(json.dumps(beside))
        if "offset" in self.variables and chance(rng, 0.3):
            self.settings.append(f"offset={rng.randrange(5)}")
        if "label" in self.variables and chance(rng, 0.2):
            self.settings.append("label=set")
        if "depths" in self.variables and chance(rng, 0.15):
            self.settings.append("depths=[9, 8, 7, 6]")
        if self.run().exits:
            raise Retry

    # Rules

    def make_rules(self):
        rules = self.spec["rules"] = []
        for _ in range(self.rng.choice([0, 1, 1, 2, 2, 3, 3, 4, 5])):
            for _ in range(8):
                rule = self.rule()
                try:
                    outcome = self.run(rules=rules + [rule])
                except Unsettled:
                    continue
                matches = outcome.matches[-1] if outcome.matches else 0
                if outcome.exits or not (matches or chance(self.rng, 0.1)) or (len(outcome.items) < 2 and chance(self.rng, 0.9)):
                    continue
                if chance(self.rng, 0.2):
                    rule["count"] = self.rng.choice([matches, f">= {matches}", f"<= {matches + 1}", f"== {matches}", ">= 0",
                                                     f"< {matches + 1}", f"> {max(matches - 1, 0)}"])
                    if self.run(rules=rules + [rule]).exits:
                        del rule["count"]
                rules.append(rule)
                self.items = outcome.items
                break
        if not rules and chance(self.rng, 0.5):
            del self.spec["rules"]

    def rule(self):
        rng = self.rng
        kind = rng.choices(["drop", "rename", "table", "exact", "swap", "prefix", "all", "copy", "keep"],
                           [18, 30, 14, 7, 8, 7, 10, 12, 6])[0]
        rule = getattr(self, "rule_" + kind)()
        if chance(rng, 0.15):
            rule["unless"] = self.pattern() if chance(rng, 0.7) else [self.pattern(), {"exact": self.name()}]
        if chance(rng, 0.12) and self.items:
            tensor = rng.choice(self.items).source
            rule["where"] = rng.choice([{"ndim": tensor.data.dim()}, {"dtype": tensor.dtype},
                                        {"shape": [size if chance(rng, 0.5) else None for size in tensor.shape]},
                                        {"ndim": tensor.data.dim(), "dtype": tensor.dtype}])
        if chance(rng, 0.05):
            rule["id"] = "some-rule"
        if chance(rng, 0.05):
            rule["note"] = "because: it's so"
        return rule

    def maybe_when(self, rule, groups):
        if chance(self.rng, 0.15):
            rule["when"] = draw.condition(self.rng, groups, self.variables)
        return rule

    def rule_drop(self):
        rng = self.rng
        text, groups, _, _ = draw.pattern(rng, self.name())
        if chance(rng, 0.6):
            return self.maybe_when({"drop": text}, groups)
        return {"drop": rng.choice([[text, self.pattern()], {"exact": self.name()}, {"exact": [self.name(), "no.such.name"]},
                                    [{"exact": self.name()}, text]])}

    def rule_keep(self):
        rng = self.rng
        return {"keep": rng.choice([[self.pattern() for _ in range(3)], ["weight$", self.pattern()], ".", self.pattern()])}

    def rule_rename(self):
        rng = self.rng
        text, groups, front, back = draw.pattern(rng, self.name())
        rule = {"rename": text, "to": draw.template(rng, groups, front, back, self.variables)}
        if not groups and chance(rng, 0.3):
            rule["rename"] = [self.pattern(), text] if chance(rng, 0.6) else {"exact": self.name()}
        return self.maybe_when(rule, groups)

    def rule_table(self):
        table = {}
        for _ in range(self.rng.randrange(1, 4)):
            text, groups, front, back = draw.pattern(self.rng, self.name())
            table[text] = draw.template(self.rng, groups, front, back, self.variables)
        return {"rename": table}

    def rule_exact(self):
        names = list(dict.fromkeys(self.name() for _ in range(self.rng.randrange(1, 4))))
        return {"rename": {"exact": {name: self.rng.choice([name + ".moved", f"new.{at}", f"é{at}.w"])
                                     for at, name in enumerate(names)}}}

    def rule_swap(self):
        rng = self.rng
        first, second = self.name(), self.name()
        if first == second:
            return {"rename": {"exact": {first: first}}}
        if chance(rng, 0.5):
            return {"rename": {"exact": {first: second, second: first}}}
        escape = [re.escape(name) for name in (first, second)]
        brace = [name.replace("{", "{{").replace("}", "}}").replace("\\", "\\\\") for name in (first, second)]
        return {"rename": {f"^{escape[0]}$": brace[1], f"^{escape[1]}$": brace[0]}}

    def rule_prefix(self):
        rng = self.rng
        prefixes = ["backbone.", "module.", "m{offset}." if "offset" in self.variables else "m."]
        return rng.choice([{"rename": "^", "to": rng.choice(prefixes)}, {"rename": r"^(module|model|encoder)\.", "to": ""}, 
                           {"rename": "$", "to": ".end"}, {"rename": r"^\w+\.", "to": ""}])

    def rule_all(self):
        rng = self.rng
        text, to = rng.choice([(r"\.", "_"), (r"(\d+)", r"{\1 + 1}"), (r"\b", "|"), ("x*", "-"), ("e", ""), ("a|b", r"<\0>"),
                               ("^", "p."), ("$", ".q"), ("[aeiou]", "{{{2 * 3}}}"), ("(a)?b*", r"[\1]"),
                               (r"(?P<d>\d)", "{d}{d}"), (r"(\w)(\w)", r"\2\1")])
        if not all(item.name.isascii() for item in self.items) and text in (r"\b", "x*", "(a)?b*"):
            text, to = "e", "E"                        # an empty match inside a UTF-8 character would break it
        rule = {"rename": text, "to": to, "all": True}
        if chance(rng, 0.2):
            rule["all"] = False
        return rule

    def rule_copy(self):
        rng = self.rng
        text, groups, front, back = draw.pattern(rng, self.name())
        return self.maybe_when({"copy": text, "to": draw.template(rng, groups, front, back, self.variables)}, groups)

    # The target and what of it the policies have to allow

    def make_target(self):
        rng = self.rng
        self.odd = {"missing": [], "unexpected": [], "shape": [], "dtype": []}
        wanted = {"policy": 1.0, "dtype": 1.0, "cast": 1.0, "ties": 0.7, "expect": 0.8}.get(self.aim, 0.65)
        if not chance(rng, wanted):
            return
        for item in self.items:
            try:
                item.name.decode()
            except UnicodeDecodeError:
                raise Retry from None
        flat = chance(rng, 0.35)                       # to safetensors
        level = rng.choice([0, 0.1, 0.3])
        state = {}
        for item in self.items:
            name, shape, dtype = item.name.decode(), list(item.source.shape), item.source.dtype
            odd = rng.random()
            if odd < level * 0.4:
                self.odd["unexpected"].append(name)
                continue
            if odd < level * 0.8:
                shape = self.other_shape(shape)
                self.odd["shape"].append(name)
            elif odd < level or (self.aim in ("dtype", "cast") and odd < 0.3):
                dtype = draw.dtype(rng)
                self.odd["dtype"].append(name)
            elif shape == [1] and chance(rng, 0.3):
                shape = []
            if flat and dtype in draw.NOT_IN_SAFETENSORS:
                flat = False
            state[name] = draw.tensor(rng, dtype, shape)
        for at in range(rng.choice([0, 0, 1, 2]) if level else 0):
            name = rng.choice([f"head.{at}.weight", f"new{at}", f"blocks.{at}.ls1.gamma"])
            if name not in state:
                self.odd["missing"].append(name)
                state[name] = draw.tensor(rng, draw.dtype(rng, flat), rng.choice(draw.SHAPES))
        if not state:
            raise Retry
        if chance(rng, 0.9 if self.aim == "ties" else 0.3) and not flat:
            self.tie(state)
        order = list(state)
        if chance(rng, 0.4):
            rng.shuffle(order)
        state = {name: state[name] for name in order}
        self.target_file = "target.safetensors" if flat else "target.pt"
        path = self.folder / self.target_file
        if flat:
            safetensors.torch.save_file(state, path)
            self.target = load_safetensors(path, "target")
        else:
            torch.save(state, path)
            self.target = load_pt(path, "target")

    def other_shape(self, shape):
        return self.rng.choice([shape + [2], [size + 1 for size in shape] or [1], shape[1:] if len(shape) > 1 else [5, 5]])

    def tie(self, state):
        """Ties between missing names, from a missing to a reached one, or between two reached ones; and a view across two names."""
        rng = self.rng
        names = list(state)
        for _ in range(rng.randrange(1, 3)):
            first = rng.choice(names)
            second = rng.choice([*self.odd["missing"], rng.choice(names), "tied.weight"])
            value = state[first]
            if second not in state or second in self.odd["missing"]:
                if second not in self.odd["missing"]:
                    self.odd["missing"].append(second)
                if value.dim() and value.shape[0] > 1 and chance(rng, 0.3):
                    value = value[1:]
                state[second] = value
            elif value.shape == state[second].shape and value.dtype == state[second].dtype:
                state[second] = value

    def make_policy(self):
        rng = self.rng
        policy = {}
        words = {"missing": ["keep", "omit"], "unexpected": ["drop", "keep"], "shape": ["skip"], "dtype": ["source"]}
        for name, good in words.items():
            names = self.odd[name]
            if self.aim == "policy" and chance(rng, 0.5):
                if chance(rng, 0.3):
                    policy[name] = rng.choice(["error", [{"do": "error"}], [{"match": "^nothing$", "do": good[0]}]])
                continue
            if self.aim == "dtype" and name == "dtype":
                policy[name] = rng.choice(["error", [{"match": self.pattern(), "do": "source"}, {"do": "error"}]])
                continue
            if self.aim == "cast" and name == "dtype":
                if chance(rng, 0.5):
                    policy[name] = "cast"
                continue
            if names or chance(rng, 0.1):
                policy[name] = self.cases(good, names)
        if chance(rng, 0.2):
            policy["extras"] = "drop"
        if self.aim == "policy" and chance(rng, 0.2):
            policy["extras"] = "error"
        if policy:
            self.spec["policy"] = policy

    def cases(self, good, names):
        rng = self.rng
        if chance(rng, 0.5) or not names:
            return rng.choice(good)
        cases = [{"match": self.pattern(rng.choice(names)), "do": rng.choice(good)} for _ in range(rng.randrange(1, 3))]
        if chance(rng, 0.3):
            cases[0]["unless"] = self.pattern(rng.choice(names))
        if good == ["skip"] and chance(rng, 0.3):
            cases[0]["or"] = "omit"
        if chance(rng, 0.7):
            cases.append({"do": rng.choice(good)})
            if chance(rng, 0.5):
                cases[-1]["match"] = [self.pattern(name) for name in names]
        return cases

    # The output and the promises

    def make_output(self):
        rng = self.rng
        flat = chance(rng, 0.35)
        self.output_file = "out.safetensors" if flat else "out" + rng.choice([".pt", ".pt", ".pth", ".bin", ".ckpt"])
        output = {}
        if flat and chance(rng, 0.3):
            output["metadata"] = rng.choice([{"author": "someone"}, {"format": "np", "note": "ü \"x\""}, {}])
        if chance(rng, 0.3):
            output["ties"] = rng.choice(["duplicate", "first", "error"])
        if output:
            self.spec["output"] = output

    def make_expect(self):
        rng = self.rng
        if self.aim != "expect" and not chance(rng, 0.25):
            return
        outcome = self.migrate(emit(self.spec))
        if outcome.exits:
            return
        by = {"kept": "kept", "skipped": "skipped", "unexpected": "unexpected"}
        names = {"missing": [n for n, s in outcome.statuses.items() if s & {"kept", "omitted"}], "adapted": [], "initialised": [],
                 "dropped": [n for n, d in outcome.dispositions.items() if d == {"dropped"}],
                 **{key: [n for n, s in outcome.statuses.items() if status in s] for key, status in by.items()}}
        expect = {}
        for key in rng.sample(sorted(names), rng.randrange(1, 4)):
            found = [self.pattern(name.decode()) for name in names[key]]
            expect[key] = found[:-1] + ["^never$"] if self.aim == "expect" else found or [self.pattern()]
        if self.target is not None and chance(rng, 0.4):
            expect["loaded"] = f">= {rng.choice([50, 98, 100] if self.aim == 'expect' else [0, 1, 10, 50, 98])}%"
        if chance(rng, 0.3):
            expect["unused_rules"] = "error"
        self.spec["expect"] = expect

    # The end

    def migrate(self, text):
        form = "safetensors" if self.output_file.endswith(".safetensors") else "pt"
        return migrate(text, self.source, self.target, form, self.settings, self.folder)

    def finish(self):
        rng, aim = self.rng, self.aim
        if chance(rng, 0.2) and self.run(rules=[]).items:
            first = self.run(rules=[]).items
            require = [self.pattern(rng.choice(first).name.decode())]
            self.spec.setdefault("source", {})["require"] = require
        if aim == "rules":
            self.break_rules()
        elif aim == "mistake":
            self.make_mistake()
        elif aim == "runtime":
            self.break_expression()
        self.text = self.edit(emit(self.spec))
        outcome = self.migrate(self.text)
        exits = outcome.exits
        meant = {"ok": set(), "mistake": {2}, "runtime": {2}, "cast": {1, 2, 3}, "ties": {1, 2}, "file": set()}.get(aim, {1})
        if exits != meant or (aim in ("policy", "dtype") and not outcome.reached_policy):
            raise Retry
        if aim == "file":
            self.break_file(outcome)
        return outcome

    def break_file(self, outcome):
        """A file that cannot be read; the spec has no mistake."""
        victim = self.folder / (self.target_file if self.target_file and chance(self.rng, 0.4) else self.source_file)
        if chance(self.rng, 0.3):
            victim.unlink()
        else:
            data = victim.read_bytes()
            victim.write_bytes(data[:len(data) // 2])
        outcome.exits = outcome.plan_exits = {3}

    def break_rules(self):
        rng, rules = self.rng, self.spec.setdefault("rules", [])
        option = rng.randrange(3)
        if option == 0:
            self.spec.setdefault("source", {})["require"] = ["^never\\.", self.pattern()]
        elif option == 1:
            rules.append({"keep": "^never\\.$"})
        else:
            rule = {"drop": self.pattern(), "count": rng.choice([999, ">= 500", "< 0", "> 77"])} if not rules else rng.choice(rules)
            rule["count"] = rng.choice([999, ">= 500", "< 0", "> 77"])
            if rule not in rules:
                rules.append(rule)

    def break_expression(self):
        rng, rules = self.rng, self.spec.setdefault("rules", [])
        expressions = ["7 // 0", "1 % 0", "9223372036854775807 + 1", "0 - 5", "9223372036854775807 * 2", "2 * (0 - 3)",
                       "(0 - 9223372036854775807 - 2) + 9"]
        if "depths" in self.variables:
            expressions += ["depths[99]", "depths"]
        if "kinds" in self.variables:
            expressions += ["kinds[0] + 1", "kinds[77]"]
        if "label" in self.variables:
            expressions += ["label + 1", "label < 3"]
        if chance(rng, 0.2):
            rules.append({"drop": r"([a-z])", "when": r"\1 + 1 > 0"})
        elif chance(rng, 0.2):
            rules.append({"rename": r"(\d*)", "to": r"{\1 + 1}", "all": True})
        elif chance(rng, 0.3):
            rules.append({rng.choice(["rename", "copy"]): rng.choice(["^.*$", r"\w+.*"]), "to": "same"})
            if chance(rng, 0.3):
                rules[-1] = {"copy": ".", "to": r"\0"}
        else:
            rules.append({rng.choice(["rename", "copy"]): rng.choice(["^", "$", "."]), "to": "x{" + rng.choice(expressions) + "}"})

    def make_mistake(self):
        rng, rules = self.rng, self.spec.setdefault("rules", [])
        at = rng.randrange(len(rules) + 1)
        kind = rng.choices(["top", "rule", "pattern", "template", "condition", "text", "command"], [14, 19, 11, 14, 6, 7, 4])[0]
        if kind == "top":
            self.spec.update(copy.deepcopy(rng.choice(TOP_MISTAKES)))
        elif kind == "rule":
            rules.insert(at, copy.deepcopy(rng.choice(RULE_MISTAKES)))
        elif kind == "pattern":
            rules.insert(at, rng.choice([{"drop": rng.choice(NOT_RE2)}, {"keep": ["fine", rng.choice(NOT_RE2)]},
                                         {"drop": "a", "unless": rng.choice(NOT_RE2)}]))
        elif kind == "template":
            rules.insert(at, {rng.choice(["rename", "copy"]): r"(\w+)", "to": rng.choice(NOT_TEMPLATES)})
        elif kind == "condition":
            rules.insert(at, {"drop": r"(\d+)", "when": rng.choice(NOT_CONDITIONS)})
        elif kind == "text":
            self.edit = rng.choice(TEXT_MISTAKES)
        elif chance(rng, 0.5):
            self.settings.append("undeclared=3")
        else:
            self.spec["vars"] = {"x": {"from": "config.json", "key": "not.there"}}
            (self.folder / "config.json").write_text("{}")


TOP_MISTAKES = [
    {"polcy": {"missing": "keep"}}, {"regraft": 2}, {"regraft": "1"}, {"policy": {"missing": "ignore"}},
    {"policy": {"unexpected": [{"match": "(", "do": "drop"}]}}, {"policy": {"shape": [{"match": "a", "doo": "skip"}]}},
    {"policy": {"dtypes": "cast"}}, {"source": {"root": "no.such.place"}}, {"source": {"roots": ""}}, {"rules": {"drop": "a"}},
    {"expect": {"loaded": "most"}}, {"expect": {"mising": ["a"]}}, {"output": {"ties": "last"}},
    {"vars": {"n": 1}, "rules": [{"rename": r"(?P<n>\d+)", "to": "{n}"}]},
]
RULE_MISTAKES = [
    {"renam": "a", "to": "b"}, {"drop": "a", "keep": "b"}, {"to": "b"}, {"drop": "a", "colour": "red"}, {"rename": "a"},
    {"copy": "a"}, {"copy": "a", "to": "b", "all": True}, {"rename": {"a": "b"}, "to": "c"}, {"drop": "a", "where": {"rank": 2}},
    {"drop": "a", "where": {"dtype": "float33"}}, {"drop": "a", "where": {"ndim": "two"}}, {"drop": "a", "count": "many"},
    {"drop": "a", "to": "b"}, {"rename": "a", "to": "b", "all": "yes"}, {"drop": "a", "unles": "b"},
    {"drop": {"exact": {"a": "b"}}}, {"squeeze": "a"}, {"rename": {"a": "b", "(": "c"}}, {"rename": {"(a)": r"\1", "b": r"\1"}},
]
NOT_RE2 = ["^(?!a)", "(?<=a)b", r"(a)\1", "(", "[z-a]", "a{2000}", "*", "(?=x)"]
NOT_TEMPLATES = [r"\3", r"\d", "{", "}", "{}", "{nope}", r"{\2}", "x{1 +}", "x{1 2}", "{(1}", "{get(1)}", "{1 === 2}", "a\\",
                 "{9223372036854775808}"]
NOT_CONDITIONS = [r"\2 > 1", "nope", "1 +", "and 1", r"\1 = 1", "1 < > 2"]
TEXT_MISTAKES = [
    lambda text: text + "name: a\nname: b\n",
    lambda text: text.replace("regraft: 1\n", "regraft: 1\nregraft: 1\n"),
    lambda text: text.replace("regraft: 1\n", ""),
    lambda text: text + "---\nregraft: 1\n",
    lambda text: text.replace("name: case\n", "") + "name: &n x\nrevision: *n\n",
    lambda text: text + "<<: {name: a}\n",
    lambda text: text + "  bad: [\n",
]


# YAML, by hand so that quoting and style vary only where they are meant to

def emit(value, indent=0):
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, child in value.items():
            key = key if re.fullmatch("[a-z_]+", key) else scalar(key)
            if isinstance(child, dict) and child and indent < 3:
                lines.append(f"{pad}{key}:\n{emit(child, indent + 1)}")
            elif isinstance(child, list) and any(isinstance(item, dict) for item in child):
                lines.append(f"{pad}{key}:\n")
                for item in child:
                    block = isinstance(item, dict) and item
                    lines.append(f"{pad}  -\n{emit(item, indent + 2)}" if block else f"{pad}  - {inline(item)}\n")
            else:
                lines.append(f"{pad}{key}: {inline(child)}\n")
        return "".join(lines)
    return f"{pad}{inline(value)}\n"


def inline(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {inline(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(child) for child in value) + "]"
    return scalar(value)


def scalar(value):
    if value is None:
        return "~"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        if re.fullmatch(r"[a-z][a-z_0-9]*", value) and value not in ("true", "false", "null"):
            return value
        return "'" + value.replace("'", "''") + "'"
    return str(value)
