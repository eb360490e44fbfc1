"""A migration: rules, then policy, then expect, then what the output's format can hold.

Mistakes are gathered as exit codes. Where one run meets mistakes of two classes the page does not say which code wins, so `exits`
holds all that are acceptable.
"""
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from . import checkpoint as checkpoints
from .errors import SpecError, Unsettled
from .expressions import Scope
from .matches import Item, Match, rewritten
from .patterns import any_found
from .policy import Output, meet_target, meet_unexpected
from .spec import Origin, compile_spec, holds
from .values import Step, Value


@dataclass
class Outcome:
    exits: set = field(default_factory=set)            # empty: success
    plan_exits: set = field(default_factory=set)       # without what only the output's format or the values decide
    codes: set = field(default_factory=set)            # that are reported, where the page names them
    messages: list = field(default_factory=list)
    read: dict = field(default_factory=dict)           # the source's tensors, by name
    refused: dict = field(default_factory=dict)        # name -> codes of which at least one is reported
    overflows: set = field(default_factory=set)        # names at which the run stops when it has come to the values
    statuses: dict = field(default_factory=dict)       # name -> acceptable statuses; of targets, or of outputs without a target
    sources: dict = field(default_factory=dict)        # name -> source names, where only one answer is possible
    dispositions: dict = field(default_factory=dict)   # source name -> acceptable dispositions
    matches: list = field(default_factory=list)        # for each rule
    outputs: dict = field(default_factory=dict)        # name -> Output, in order
    items: list = field(default_factory=list)          # what the rules left
    reached_policy: bool = False
    metadata: dict = field(default_factory=dict)
    # What the report says of a name beside its status. A name that is not there may have anything.
    expected: dict = field(default_factory=dict)       # entries of the report that are settled before the policy
    words: dict = field(default_factory=dict)          # of the policies that had a say
    lossy: dict = field(default_factory=dict)          # None: either
    copied: dict = field(default_factory=dict)         # the window of pad and slice, or None
    covered: dict = field(default_factory=dict)        # elements that a source fills
    tied_to: dict = field(default_factory=dict)        # acceptable answers
    untied: dict = field(default_factory=dict)
    source_tensors: dict = field(default_factory=dict)   # name -> shape and dtype
    coverage: tuple = None                             # elements that sources fill, and all of the target

    def fail(self, codes, message, output_only=False):
        self.exits |= set(codes)
        if not output_only:
            self.plan_exits |= set(codes)
        self.messages.append(message)

    def mistake(self, error):
        self.codes |= {error.code} - {None}
        self.fail({2}, str(error))

    def refuse(self, name, codes):
        self.refused[name] = codes
        self.fail({1}, f"{' or '.join(sorted(codes))}: {name}")


def migrate(text, source, target=None, output="pt", settings=(), folder=None, others=None):
    """`others` are the further sources, by alias."""
    outcome, sources = Outcome(), {"": source, **(others or {})}
    try:
        targets = None if target is None else [tensor.name for tensor in target.open(None)[0]]
        spec = compile_spec(text, settings, folder, targets)
        tensors = open_sources(spec, sources, outcome)
    except SpecError as error:
        outcome.mistake(error)
        return outcome
    outcome.read = {tensor.name: tensor for tensor in tensors}

    items, dropped, unused = [Item(tensor.name, Value.of(tensor)) for tensor in tensors], [], False
    for number, rule in enumerate(spec.rules):
        try:
            items, matches, idle = apply_rule(rule, number, spec, items, dropped, outcome)
        except SpecError as error:
            outcome.mistake(error)
            return outcome
        outcome.matches.append(matches)
        unused = unused or idle
    outcome.items = items
    if spec.unused_rules and unused:
        outcome.fail({1}, "expect.unused_rules")

    fates = defaultdict(set)                           # of source tensors, by name
    for item in dropped:
        item.value.settle(fates, "dropped")
    names = defaultdict(list)                          # by outcome, for `expect`
    outcome.reached_policy = True
    if target is None:
        for item in items:
            if any(item.name.startswith(prefix(alias)) for alias in sources if alias):
                meet_unexpected(spec, item, fates, names, outcome)
                continue
            outcome.statuses[item.name] = item.value.statuses(outcome.read)
            outcome.sources[item.name] = item.value.sources
            outcome.outputs[item.name] = Output.of(item.value)
            outcome.lossy[item.name] = item.value.lossy
            if item.value.overflow:
                outcome.overflows.add(item.name)
            item.value.settle(fates, "used")
        if spec.loaded:
            raise Unsettled("expect.loaded without a target")
    else:
        meet_target(spec, items, target.open(None)[0], fates, names, outcome)
    for tensor in tensors:
        outcome.dispositions[tensor.name] = disposition(fates[tensor.name])
        outcome.source_tensors[tensor.name] = tensor.shape, tensor.dtype
    check_expect(spec, names, dropped, outcome)
    check_output(spec, output, outcome)
    if outcome.exits:                                  # the run comes to the values last
        outcome.overflows = set()
    elif outcome.overflows:
        outcome.exits = {1}
        outcome.messages.append(f"cast-overflow: {sorted(outcome.overflows)}")
    return outcome


def open_sources(spec, sources, outcome):
    """The tensors of all, under the names that the rules see."""
    if not set(spec.origins) <= set(sources):
        raise SpecError("a source that has to be given")
    tensors = []
    for alias, source in sources.items():
        said = spec.origins.get(alias, Origin(None, []))
        found, extras = source.open(said.root)
        for pattern in said.require:
            if not any(pattern.find(tensor.name) for tensor in found):
                outcome.fail({1}, "source.require")
        if spec.policy["extras"] and spec.policy["extras"][0].do == "error":
            if source.metadata:
                raise Unsettled("safetensors metadata under extras: error is content beside the tensors, or not")
            if extras:
                outcome.fail({1}, "policy.extras")
        tensors += [replace(tensor, name=prefix(alias) + tensor.name) for tensor in found]
    return tensors


def prefix(alias):
    return f"{alias}::".encode() if alias else b""


# Rules

def apply_rule(rule, number, spec, items, dropped, outcome):
    """The items after the rule, how many names it matched, and whether it counts as unused."""
    matches, by_entry = {}, Counter()
    for place, item in enumerate(items):
        if found := matching(rule, spec, item):
            matches[place] = Match(item, place, *found, rule.entries[found[0]].pattern)
            by_entry[found[0]] += 1
    results = []
    if rule.effect:
        effect = rule.effect(Step(number), list(matches.values()), spec.variables)
        for place, item in enumerate(items):
            results += effect.results.get(place, [] if place in effect.consumed else [item])
            if place in effect.lost:
                dropped.append(item)
    else:
        for place, item in enumerate(items):
            match = matches.get(place)
            if rule.verb in ("keep", "drop"):
                (results if bool(match) == (rule.verb == "keep") else dropped).append(item)
            elif not match:
                results.append(item)
            else:
                name = rewritten(match, rule.entries[match.entry].to, spec.variables, rule.all)
                results += [item] * (rule.verb == "copy") + [Item(name, item.value)]
    twice = [name for name, count in Counter(item.name for item in results).items() if count > 1]
    if twice:
        raise SpecError(f"two tensors under one name: {twice}", "collision")
    if rule.count and not holds(rule.count, len(matches)):
        outcome.fail({1}, f"count: {len(matches)}")
    if rule.verb == "keep" and not matches:
        outcome.fail({1}, "keep matches nothing")
    may_be_idle = rule.count is not None and holds(rule.count, 0)
    idle = any(not by_entry[at] for at in range(len(rule.entries))) if rule.table else not matches
    return results, len(matches), idle and not may_be_idle


def matching(rule, spec, item):
    """The entry that takes the name and where it is found, if the rule matches."""
    for at, entry in enumerate(rule.entries):
        found = entry.pattern.find(item.name)
        if found:
            break
    else:
        return None
    if any_found(rule.unless, item.name) or not where_holds(rule.where, item.value):
        return None
    if rule.when is not None:
        value = rule.when.value(Scope(spec.variables, found.captures, found.named))
        if isinstance(value, bytes):
            raise Unsettled("`when` that is text")
        if not isinstance(value, int):
            raise SpecError("`when` is not a number")
        if value == 0:
            return None
    return at, found


def where_holds(where, tensor):
    if "ndim" in where and tensor.data.dim() != where["ndim"]:
        return False
    if "dtype" in where and tensor.dtype != where["dtype"]:
        return False
    if "shape" in where:
        sizes = where["shape"]
        if len(sizes) != tensor.data.dim():
            return False
        return all(size is None or size == actual for size, actual in zip(sizes, tensor.shape))
    return True


# Expect and output

def disposition(fates):
    if "perhaps used" in fates:
        return {"used", *(disposition(fates - {"perhaps used"}) or {"dropped"})}
    if len(fates) <= 1 or "error" in fates:
        return set(fates)
    # Several results of one source tensor: the one that gets furthest decides, as "used" is "an element reaches the output".
    if "unexpected-kept" in fates:
        return fates & {"used", "unexpected-kept"}
    if "used" in fates:
        return {"used"}
    return fates - {"dropped"}


def check_expect(spec, names, dropped, outcome):
    for key, allowed in spec.expect.items():
        if key == "dropped":
            gone = [item for item in dropped if all(outcome.dispositions[name] == {"dropped"} for name in item.value.origins)]
            readings = {all(any_found(allowed, item.name) for item in dropped),
                        all(any_found(allowed, item.name) for item in gone),
                        all(any_found(allowed, name) for item in gone for name in item.value.origins)}
            if len(readings) > 1:
                raise Unsettled("a dropped tensor's name: in the source, or where it was dropped")
            kept_promise = readings.pop()
        else:
            kept_promise = all(any_found(allowed, name) for name in names[key])
            if key == "missing" and kept_promise and not all(any_found(allowed, name) for name in names["followers"]):
                raise Unsettled("a name loaded with its tie is missing, or not")
            perhaps = names["perhaps skipped"] if key in ("skipped", "adapted") else []
            if kept_promise and not all(any_found(allowed, name) for name in perhaps):
                raise Unsettled("a name left out for want of values is skipped or adapted, or not")
        if not kept_promise:
            outcome.fail({1}, f"expect.{key}")


def check_output(spec, form, outcome):
    for name in outcome.outputs:
        try:
            name.decode()
        except UnicodeDecodeError:
            raise Unsettled("an output name that is not UTF-8") from None
    if form == "pt":
        if spec.metadata:
            raise Unsettled("output.metadata for a .pt")
        return
    outcome.metadata = {"format": "pt", **spec.metadata}
    known = set(checkpoints.SAFETENSORS_DTYPES.values())
    for name, output in outcome.outputs.items():
        if output.data.dtype not in known:
            outcome.fail({2}, f"safetensors has no {output.dtype}", output_only=True)
        if name in (b"", b"__metadata__"):
            outcome.fail({2}, f"safetensors has no name {name}", output_only=True)
    if spec.ties == "duplicate":
        return
    if any(len(outcome.statuses[name] & {"loaded", "transformed"}) > 1 for name in outcome.outputs):
        raise Unsettled("a tie with what the rules have made and unmade")
    if len({output.tie for output in outcome.outputs.values()}) > len({output.alike for output in outcome.outputs.values()}):
        raise Unsettled("names that are tied in one reading alone")
    firsts = {}
    for name, output in list(outcome.outputs.items()):
        if output.tie not in firsts:
            firsts[output.tie] = name
        elif spec.ties == "error":
            outcome.fail({1, 2}, f"{name} is tied", output_only=True)
        else:
            # The name is left out; the page has no status for that, and its source's elements do reach the output.
            del outcome.outputs[name]
            outcome.statuses[name] = outcome.statuses[name] | {"omitted"}
            for source in outcome.sources.get(name) or []:
                outcome.dispositions[source] = outcome.dispositions[source] | {"dropped"}
