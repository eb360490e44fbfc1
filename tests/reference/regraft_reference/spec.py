"""A spec's text, checked and bound: everything that can be wrong before a checkpoint is looked at raises SpecError here."""
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from . import dtypes, policies, registry, strict_yaml
from .checks import fields, typed
from .errors import OutOfScope, SpecError
from .expressions import Expression, Template
from .patterns import Exact, any_found, patterns
from .verbs import Entry

VERBS = {"keep": set(), "drop": set(), "rename": {"to", "all"}, "copy": {"to"}}
ANY_RULE = {"unless", "where", "when", "count", "id", "note"}
OUTCOMES = {"missing", "skipped", "unexpected", "dropped", "adapted", "kept", "initialised"}


@dataclass
class Origin:
    """What a spec says of one source."""
    root: list                 # None: found
    require: list


@dataclass
class Rule:
    verb: str
    entries: list
    table: bool
    all: bool = False
    unless: list = field(default_factory=list)
    where: dict = field(default_factory=dict)
    when: object = None
    count: object = None       # (operator, number)
    effect: object = None      # of the verbs that change tensors, registry.py


@dataclass
class Spec:
    variables: dict
    origins: dict              # alias -> Origin; the first source is the one under ""
    rules: list
    policy: dict
    expect: dict               # outcome -> patterns
    loaded: object             # (operator, percent)
    unused_rules: bool
    metadata: dict
    ties: str

    def decide(self, policy, name):
        """The case that holds for a name."""
        for case in self.policy[policy]:
            if any_found(case.match, name) and not any_found(case.unless, name):
                return case
        return policies.DEFAULTS[policy]


def compile_spec(text, settings=(), folder=None, targets=None):
    """`settings` are the texts of `--set`; `folder` is where the source lies; `targets` are the target's names."""
    top = strict_yaml.load(text)
    fields(top, {"regraft", "name", "description", "revision", "revises", "vars", "source", "rules", "policy", "expect", "output"})
    if top.get("regraft") != 1 or isinstance(top.get("regraft"), bool):
        raise SpecError("regraft: 1 is missing")
    for key in ("name", "description", "revision", "revises"):
        if key in top:
            typed(top[key], str)
    variables = _variables(top.get("vars", {}), settings, folder, targets)
    source = fields(top.get("source", {}), {"root", "require", "aliases"})
    origins = {"": _origin({key: source[key] for key in source if key != "aliases"})}
    aliases = source.get("aliases", [])
    for alias in aliases if isinstance(aliases, list) else typed(aliases, dict):
        if not re.fullmatch("[a-z][a-z0-9_]*", alias) or alias in origins:
            raise SpecError(f"{alias} is not an alias, or there twice")
        origins[alias] = _origin((aliases[alias] or {}) if isinstance(aliases, dict) else {})
    expect = fields(top.get("expect", {}), OUTCOMES | {"loaded", "unused_rules"})
    if expect.get("unused_rules", "error") != "error":
        raise SpecError("unused_rules: error")
    output = fields(top.get("output", {}), {"shard_size", "container", "metadata", "ties"})
    if set(output) & {"shard_size", "container"}:
        raise OutOfScope("output.shard_size and container")
    if output.get("ties", "duplicate") not in ("duplicate", "first", "error"):
        raise SpecError("output.ties")
    metadata = typed(output.get("metadata", {}), dict)
    for value in metadata.values():
        typed(value, str)
    policy = fields(top.get("policy", {}), policies.DEFAULTS)
    return Spec(
        variables, origins,
        [_rule(rule, variables) for rule in typed(top.get("rules", []), list)],
        {name: policies.cases(name, policy[name]) if name in policy else [] for name in policies.DEFAULTS},
        {name: patterns(expect[name]) for name in OUTCOMES if name in expect},
        _loaded(expect["loaded"]) if "loaded" in expect else None,
        "unused_rules" in expect, metadata, output.get("ties", "duplicate"))


def _origin(said):
    root = fields(said, {"root", "require"}).get("root")
    if root is not None:
        root = [typed(path, str) for path in (root if isinstance(root, list) else [root])]
    return Origin(root, patterns(said["require"]) if "require" in said else [])


# Vars

def _variables(declared, settings, folder, targets):
    given = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in typed(declared, dict):
            raise SpecError(f"--set of {name}, which is not declared")
        given[name] = strict_yaml.load(value)
    result = {}
    for name, value in typed(declared, dict).items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise SpecError(f"{name} is not a name for a var")
        if name not in given and isinstance(value, dict) and "from" in value:
            value = _from_json(fields(value, {"from", "key", "default"}), folder)
        elif name not in given and isinstance(value, dict) and "names" in value:
            value = _names(fields(value, {"names", "match", "unless"}), targets)
        result[name] = _bound(given.get(name, value))
    return result


def _names(declaration, targets):
    if declaration["names"] != "target":
        raise SpecError("names: target")
    if targets is None:
        raise SpecError("names of a target that is not there", "bad-var")
    match, unless = (patterns(declaration[key]) if key in declaration else None for key in ("match", "unless"))
    return [name.decode() for name in targets if (not match or any_found(match, name)) and not any_found(unless or [], name)]


def _from_json(declaration, folder):
    file = Path(folder, typed(declaration["from"], str).split("::")[-1])       # all sources lie in one folder here
    if not file.exists():
        raise OutOfScope("a var of a file that is not there")
    value = json.loads(file.read_text(encoding="utf-8"))
    for part in typed(declaration["key"], str).split("."):
        if not isinstance(value, dict) or part not in value:
            if "default" not in declaration:
                raise SpecError(f"no {declaration['key']} in {declaration['from']}")
            return declaration["default"]
        value = value[part]
    return _with_numbers(value)


def _with_numbers(value):
    """JSON's true and false are 1 and 0."""
    if isinstance(value, list):
        return [_with_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_numbers(item) for key, item in value.items()}
    return int(value) if isinstance(value, bool) else value


def _bound(value):
    """Text as bytes, as names are; keys of maps are text."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return [_bound(item) for item in value]
    if isinstance(value, dict):
        return {key.encode(): _bound(item) for key, item in value.items()}
    if value is None or isinstance(value, bool):
        raise SpecError("a var is an integer, a float, text, a list or a map")
    return value


# Rules

def _rule(rule, variables):
    verbs = [key for key in typed(rule, dict) if key in VERBS or key in registry.VERBS or key == "use"]
    if len(verbs) != 1:
        raise SpecError("a rule has exactly one verb")
    verb = verbs[0]
    if verb == "use":
        raise OutOfScope(verb)
    for key in ("id", "note"):
        if key in rule:
            typed(rule[key], str)
    if verb in registry.VERBS:
        (entries, effect), table = registry.read(verb, rule, ANY_RULE, variables), False
    else:
        fields(rule, {verb} | VERBS[verb] | ANY_RULE)
        (entries, table), effect = _entries(verb, rule), None
    when = None
    if "when" in rule:
        # An integer is an expression too, only YAML has read it already.
        when = Expression(str(rule["when"]) if isinstance(rule["when"], int) else typed(rule["when"], str))
    for entry in entries:
        for part in (entry.to, when):
            if isinstance(part, (Expression, Template)):
                part.check(entry.pattern.groups, entry.pattern.named, variables)
    return Rule(verb, entries, table, typed(rule.get("all", False), bool),
                patterns(rule["unless"]) if "unless" in rule else [], _where(rule.get("where", {})), when,
                _count(rule["count"]) if "count" in rule else None, effect)


def _entries(verb, rule):
    value = rule[verb]
    table = verb == "rename" and isinstance(value, dict)
    literal = table and set(value) == {"exact"} and isinstance(value["exact"], dict)
    if table and set(value) == {"exact"} and not literal:
        table = False
    if table:
        if "to" in rule:
            raise SpecError("a table has its own replacements")
        if literal:
            return [Entry(Exact(name), typed(new, str).encode()) for name, new in value["exact"].items()], True
        if not value:
            raise SpecError("an empty table")
        return [Entry(patterns(name)[0], Template(typed(new, str))) for name, new in value.items()], True
    to = None
    if "to" in VERBS[verb]:
        if "to" not in rule:
            raise SpecError(f"{verb} needs `to`")
        to = Template(typed(rule["to"], str))
    return [Entry(pattern, to) for pattern in patterns(value)], False


def _where(where):
    fields(where, {"ndim", "dtype", "shape"})
    if "ndim" in where:
        typed(where["ndim"], int)
    if "dtype" in where and typed(where["dtype"], str) not in dtypes.NAMES:
        raise SpecError(f"no dtype {where['dtype']}")
    for size in typed(where.get("shape", []), list):
        if size is not None:
            typed(size, int)
    return where


def _count(count):
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        return "==", count
    match = re.fullmatch(r"(==|<=|>=|<|>) *([0-9]+)", typed(count, str))
    if not match:
        raise SpecError(f"count: {count!r}")
    return match[1], int(match[2])


def _loaded(text):
    match = re.fullmatch(r"(==|<=|>=|<|>) *([0-9]+)%", typed(text, str))
    if not match:
        raise SpecError(f"loaded: {text!r}")
    return match[1], int(match[2])


def holds(condition, value, scale=1):
    operator, number = condition
    number *= scale
    return {"==": value == number, "<=": value <= number, ">=": value >= number, "<": value < number, ">": value > number}[operator]
