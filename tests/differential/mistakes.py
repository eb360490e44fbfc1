"""Mistakes of all kinds, put into a case that has none."""
import copy

from draw import chance


class Mistakes:
    """The part of a draft that breaks it."""

    def break_file(self, outcome):
        """A file that cannot be read; the spec has no mistake."""
        victim = self.folder / (self.target_file if self.target_file and chance(self.rng, 0.4) else self.source_file)
        if victim.suffix == ".yaml" or chance(self.rng, 0.3):      # half of a schema may be one
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
        kind = rng.choices(["top", "policy", "rule", "pattern", "template", "condition", "text", "command"],
                           [14, 25, 19, 11, 14, 6, 7, 4])[0]
        if kind == "top":
            self.spec.update(copy.deepcopy(rng.choice(TOP_MISTAKES)))
        elif kind == "policy":
            policy, case = rng.choice(POLICY_MISTAKES)
            given = self.spec.setdefault("policy", {}).get(policy)
            given = given if isinstance(given, list) else []
            self.spec["policy"][policy] = [*given, {"match": self.pattern(), **case}]
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
POLICY_MISTAKES = [
    ("shape", {"do": "pad", "align": "middle"}), ("shape", {"do": "pad", "fill": "zero"}), ("shape", {"do": "pad", "fill": True}),
    ("shape", {"do": "pad", "dims": ["first"]}), ("shape", {"do": "pad", "dims": 1.5}), ("shape", {"do": "pad", "fil": 0}),
    ("shape", {"do": "pad", "mode": "bilinear"}), ("shape", {"do": "pad", "or": "skip"}),
    ("shape", {"do": "reshape", "align": "end"}),
    ("shape", {"do": "stretch"}), ("shape", {"do": "skip", "fill": 0}), ("shape", {"do": "slice", "dims": [0.5]}),
    ("shape", {"do": "interpolate", "mode": "nearest", "antialias": True}), ("shape", {"do": "interpolate", "mode": "cubic"}),
    ("shape", {"do": "interpolate", "antialias": "yes"}), ("shape", {"do": "interpolate", "prefix_tokens": -1}),
    ("shape", {"do": "interpolate", "prefix_tokens": "one"}), ("shape", {"do": "interpolate", "size": [3]}),
    ("shape", {"do": "interpolate", "pattern": "1 h c"}),
    ("shape", {"do": "interpolate", "pattern": "1 (h w c"}), ("shape", {"do": "interpolate", "pattern": "1 (h w) w"}),
    ("shape", {"do": "interpolate", "pattern": "c h w c"}), ("shape", {"do": "interpolate", "align": "start"}),
    ("missing", {"do": "zero"}), ("missing", {"do": "zeros", "std": 1}), ("missing", {"do": "normal", "seed": 0.5}),
    ("missing", {"do": "normal", "seed": -7}), ("missing", {"do": "normal", "std": -0.5}),
    ("missing", {"do": "normal", "std": "wide"}), ("missing", {"do": "normal", "sigma": 1}),
    ("missing", {"do": "arange", "seed": 1}),
    ("dtype", {"do": "cast", "dtype": "float16"}), ("dtype", {"do": "round"}), ("unexpected", {"do": "zeros"}),
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
