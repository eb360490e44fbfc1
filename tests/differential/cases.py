"""Random cases: a source, a spec, perhaps a target, and what the reference says comes of them.

A case is meant to end in a certain way from the start (`AIMS`), and is drawn again until the reference agrees; so the mix of
outcomes is that of `AIMS` and not of chance.
"""
import json
import random
import re
import shutil
from dataclasses import dataclass, field

import safetensors.torch
import torch

import draw
from draw import Retry, chance
from mistakes import Mistakes
from regraft_reference import OutOfScope, Unsettled, load_pt, load_safetensors, migrate
from targets import Targets
from yaml_text import emit

AIMS = [("ok", 90), ("policy", 9), ("expect", 5), ("rules", 6), ("mistake", 14), ("runtime", 4), ("dtype", 4), ("shape", 7),
        ("initial", 3), ("no-values", 3), ("overflow", 4), ("ties", 2), ("file", 1)]
# What a case of these aims is refused for.
CODES = {"dtype": "dtype-mismatch", "shape": "shape-mismatch", "initial": "missing", "no-values": "no-values",
         "ties": "tie-conflict"}
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
    others: dict = field(default_factory=dict)         # further sources: file names by alias
    flags: list = field(default_factory=list)          # that change nothing of the output


def make(family, seed, number, folder):
    """`family` is a module with `AIMS` and `draft`."""
    rng = random.Random(f"{seed}/{number}")
    aim = rng.choices([name for name, _ in family.AIMS], [weight for _, weight in family.AIMS])[0]
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            return attempt(family.draft(rng, aim, folder), number)
        except (Retry, Unsettled, OutOfScope):
            continue
    raise RuntimeError(f"case {number}: nothing found for {aim}")


def draft(rng, aim, folder):
    return Draft(rng, aim, folder)


def attempt(draft, number):
    draft.make_source()
    draft.make_vars()
    draft.make_rules()
    draft.make_target()
    draft.make_policy()
    draft.make_output()
    draft.make_expect()
    outcome = draft.finish()
    case = Case(number, draft.aim, draft.text, draft.source_file, draft.target_file, draft.output_file, draft.settings, outcome,
                draft.spec, draft.other_files, draft.flags)
    (draft.folder / "spec.yaml").write_text(draft.text, encoding="utf-8")
    return case


class Draft(Targets, Mistakes):
    def __init__(self, rng, aim, folder):
        self.rng, self.aim, self.folder = rng, aim, folder
        self.spec, self.settings = {"regraft": 1}, []
        self.target, self.target_file = None, None
        self.others, self.other_files, self.flags = {}, {}, []
        self.variables = {}
        self.edit = lambda text: text                  # a mistake that only text can hold
        if chance(rng, 0.3):
            self.spec["name"] = "case"
        if chance(rng, 0.1):
            self.spec |= {"description": "one: of 'many'", "revision": "v2", "revises": "v1"}

    def run(self, **parts):
        return migrate(emit({**self.spec, **parts}), self.source, settings=self.settings, folder=self.folder, others=self.others)

    # The source

    def make_source(self):
        rng = self.rng
        if chance(rng, 0.3):
            self.source_file = "source.safetensors"
            names = draw.names(rng)
            state = {name: draw.grid(rng) if chance(rng, 0.25) else draw.either(rng, draw.dtype(rng, True), rng.choice(draw.SHAPES))
                     for name in names}
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
            tensor = rng.choice(self.items).value
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
        names = {key: [name for name, status in outcome.statuses.items() if key in status]
                 for key in ("kept", "skipped", "unexpected", "adapted", "initialised")}
        names["missing"] = [name for name, status in outcome.statuses.items() if status & {"kept", "omitted", "initialised"}]
        names["dropped"] = [name for name, disposition in outcome.dispositions.items() if disposition == {"dropped"}]
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
        return migrate(text, self.source, self.target, form, self.settings, self.folder, self.others)

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
        meant = {"ok": set(), "mistake": {2}, "runtime": {2}, "file": set()}.get(aim, {1})
        refused = aim not in CODES or any(CODES[aim] in codes for codes in outcome.refused.values())
        if aim == "ties" and exits == {1, 2}:          # `output.ties: error`
            meant, refused = exits, True
        if exits != meant or not refused or bool(outcome.overflows) != (aim == "overflow"):
            raise Retry
        if aim == "policy" and not outcome.reached_policy:
            raise Retry
        if aim == "file":
            self.break_file(outcome)
        return outcome
