"""A migration: rules, then policy, then expect, then what the output's format can hold.

Mistakes are gathered as exit codes. Where one run meets mistakes of two classes the page does not say which code wins, so `exits`
holds all that are acceptable.
"""
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import torch

from . import checkpoint as checkpoints
from .errors import SpecError, Unsettled
from .expressions import Scope
from .patterns import any_found
from .spec import compile_spec, holds

ANY_FAILURE = {1, 2, 3}


@dataclass
class Item:
    """A name on its way through the rules."""
    name: bytes
    source: checkpoints.Tensor


@dataclass
class Output:
    """One tensor of the output. `tie` is equal for outputs that have to be one tensor in a format that can share; `changed` says
    that the shape is no longer the origin's, so that the output need not share with other views of the origin's storage."""
    origin: checkpoints.Tensor
    shape: list
    tie: tuple
    changed: bool


@dataclass
class Outcome:
    exits: set = field(default_factory=set)            # empty: success
    plan_exits: set = field(default_factory=set)       # without what only the output's format decides
    messages: list = field(default_factory=list)
    statuses: dict = field(default_factory=dict)       # name -> acceptable statuses; of targets, or of outputs without a target
    sources: dict = field(default_factory=dict)        # name -> source names, where only one answer is possible
    dispositions: dict = field(default_factory=dict)   # source name -> acceptable dispositions
    matches: list = field(default_factory=list)        # for each rule
    outputs: dict = field(default_factory=dict)        # name -> Output, in order
    items: list = field(default_factory=list)          # what the rules left
    reached_policy: bool = False
    metadata: dict = field(default_factory=dict)

    def fail(self, codes, message, output_only=False):
        self.exits |= set(codes)
        if not output_only:
            self.plan_exits |= set(codes)
        self.messages.append(message)


def migrate(text, source, target=None, output="pt", settings=(), folder=None):
    outcome = Outcome()
    try:
        spec = compile_spec(text, settings, folder)
        tensors, extras = source.open(spec.root)
    except SpecError as error:
        outcome.fail({2}, str(error))
        return outcome
    for pattern in spec.require:
        if not any(pattern.find(tensor.name) for tensor in tensors):
            outcome.fail({1}, "source.require")
    if spec.policy["extras"] and spec.policy["extras"][0].do == "error":
        if source.metadata:
            raise Unsettled("safetensors metadata under extras: error is content beside the tensors, or not")
        if extras:
            outcome.fail({1}, "policy.extras")

    items, dropped, unused = [Item(tensor.name, tensor) for tensor in tensors], [], False
    for rule in spec.rules:
        try:
            items, matches, idle = apply_rule(rule, spec, items, dropped, outcome)
        except SpecError as error:
            outcome.fail({2}, str(error))
            return outcome
        outcome.matches.append(matches)
        unused = unused or idle
    outcome.items = items
    if spec.unused_rules and unused:
        outcome.fail({1}, "expect.unused_rules")

    fates = defaultdict(set)                           # of source tensors, by name
    for item in dropped:
        fates[item.source.name].add("dropped")
    names = defaultdict(list)                          # by outcome, for `expect`
    outcome.reached_policy = True
    if target is None:
        for item in items:
            outcome.statuses[item.name] = {"loaded"}
            outcome.sources[item.name] = [item.source.name]
            outcome.outputs[item.name] = Output(item.source, item.source.shape, item.source.tie, False)
            fates[item.source.name].add("used")
        if spec.loaded:
            raise Unsettled("expect.loaded without a target")
    else:
        meet_target(spec, items, target.open(None)[0], fates, names, outcome)
    for tensor in tensors:
        outcome.dispositions[tensor.name] = disposition(fates[tensor.name])
    check_expect(spec, names, dropped, outcome)
    check_output(spec, output, outcome)
    return outcome


# Rules

def apply_rule(rule, spec, items, dropped, outcome):
    """The items after the rule, how many names it matched, and whether it counts as unused."""
    results, matches, by_entry = [], 0, Counter()
    for item in items:
        match = matching(rule, spec, item)
        if match:
            matches += 1
            by_entry[match[0]] += 1
        if not match:
            if rule.verb == "keep":
                dropped.append(item)
            else:
                results.append(item)
        elif rule.verb == "keep":
            results.append(item)
        elif rule.verb == "drop":
            dropped.append(item)
        elif rule.verb == "copy":
            results += [item, Item(rewritten(rule, spec, item, *match), item.source)]
        else:
            results.append(Item(rewritten(rule, spec, item, *match), item.source))
    twice = [name for name, count in Counter(item.name for item in results).items() if count > 1]
    if twice:
        raise SpecError(f"two tensors under one name: {twice}")
    if rule.count and not holds(rule.count, matches):
        outcome.fail({1}, f"count: {matches}")
    if rule.verb == "keep" and not matches:
        outcome.fail({1}, "keep matches nothing")
    may_be_idle = rule.count is not None and holds(rule.count, 0)
    idle = any(not by_entry[at] for at in range(len(rule.entries))) if rule.table else not matches
    return results, matches, idle and not may_be_idle


def matching(rule, spec, item):
    """The entry that takes the name and where it is found, if the rule matches."""
    for at, entry in enumerate(rule.entries):
        found = entry.pattern.find(item.name)
        if found:
            break
    else:
        return None
    if any_found(rule.unless, item.name) or not where_holds(rule.where, item.source):
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


def rewritten(rule, spec, item, at, found):
    name, entry = item.name, rule.entries[at]

    def replacement(place):
        if isinstance(entry.to, bytes):                # a literal table
            return entry.to
        return entry.to.expand(Scope(spec.variables, place.captures, place.named))

    if not rule.all:
        return name[:found.start] + replacement(found) + name[found.end:]
    # RE2::GlobalReplace: an empty match right after the match before it is stepped over.
    result, at, last_end = b"", 0, None
    while at <= len(name):
        found = entry.pattern.find(name, at)
        if not found:
            break
        result += name[at:found.start]
        if found.start == found.end == last_end:
            result += name[found.start:found.start + 1]
            at = found.start + 1
            continue
        result += replacement(found)
        at = last_end = found.end
    return result + name[at:]


# Policy

def meet_target(spec, items, targets, fates, names, outcome):
    results = {item.name: item for item in items}
    target_names = {tensor.name for tensor in targets}
    outcome.statuses = {tensor.name: set() for tensor in targets}
    tied = defaultdict(list)
    for tensor in targets:
        tied[tensor.tie].append(tensor)
    reached = {tensor.name: results[tensor.name] for tensor in targets if tensor.name in results}
    followers = {}                                     # unreached names that are loaded with a tied one
    for group in tied.values():
        leaders = [tensor for tensor in group if tensor.name in reached]
        if len(leaders) < 1 or len(group) < 2:
            continue
        decisions = [decide(spec, tensor, reached[tensor.name]) for tensor in leaders]
        if len({reached[tensor.name].source.tie for tensor in leaders}) > 1:
            if {"skipped"} & {status for status, _ in decisions}:
                raise Unsettled("a skipped and a loaded tensor for one tie")
            outcome.fail({1, 2}, "two different tensors for one tie")
        for tensor in group:
            if tensor.name in reached:
                continue
            if len(leaders) > 1 and len(set(decisions)) > 1:
                raise Unsettled("a tie between names that the policies treat differently")
            # By the policies of its own name it could fare otherwise than the one it is tied to.
            if decide(spec, tensor, reached[leaders[0].name]) != decisions[0] or decisions[0][0] != "loaded":
                raise Unsettled("an unreached name that is tied to one which is not loaded")
            followers[tensor.name] = reached[leaders[0].name]

    for tensor in targets:
        item = reached.get(tensor.name) or followers.get(tensor.name)
        if item is None:
            do = spec.decide("missing", tensor.name)
            names["missing"].append(tensor.name)
            status = {"keep": "kept", "omit": "omitted", "error": "error"}[do]
            if do == "keep":
                outcome.outputs[tensor.name] = Output(tensor, tensor.shape, tensor.tie, False)
            elif do == "error":
                outcome.fail({1}, f"missing {tensor.name}")
        else:
            status, shape = decide(spec, tensor, item)
            source = item.source
            if status == "loaded":
                changed = list(shape) != source.shape
                outcome.outputs[tensor.name] = Output(source, list(shape), (source.tie, shape), changed)
                fates[source.name].add("used")
                if tensor.name in reached:
                    outcome.sources[tensor.name] = [source.name]
            elif status == "skipped":
                outcome.outputs[tensor.name] = Output(tensor, tensor.shape, tensor.tie, False)
                fates[source.name].add("skipped")
            else:
                outcome.fail(ANY_FAILURE if status == "cast" else {1}, f"{status} of {tensor.name}")
                fates[source.name].add("error")
                status = "error" if status != "cast" else "cast"
        # A refused cast has no status that the page gives.
        outcome.statuses[tensor.name] = {status} if status != "cast" else set()
        names[status].append(tensor.name)
        if tensor.name in followers:
            names["followers"].append(tensor.name)

    for item in items:
        if item.name in target_names:
            continue
        names["unexpected"].append(item.name)
        do = spec.decide("unexpected", item.name)
        if do == "keep":
            outcome.outputs[item.name] = Output(item.source, item.source.shape, (item.source.tie, tuple(item.source.shape)), False)
            outcome.statuses[item.name] = {"unexpected"}
            outcome.sources[item.name] = [item.source.name]
            fates[item.source.name].add("unexpected-kept")
        elif do == "drop":
            fates[item.source.name].add("unexpected-dropped")
        else:
            outcome.fail({1}, f"unexpected {item.name}")
            fates[item.source.name].add("error")

    if spec.loaded:
        check_loaded(spec, targets, outcome)


def decide(spec, target, item):
    """What becomes of a target tensor that a result reaches, and its shape."""
    source = item.source
    shape = tuple(target.shape)
    # `[1]` onto `[]` loads, as in load_state_dict; `[]` onto `[1]` is a mismatch.
    if source.shape != target.shape and not (source.shape == [1] and target.shape == []):
        return ("skipped" if spec.decide("shape", target.name) == "skip" else "wrong shape"), shape
    if source.dtype != target.dtype:
        do = spec.decide("dtype", target.name)
        if do == "error":
            return "wrong dtype", shape
        if do == "cast":
            return "cast", shape
    return "loaded", shape


def disposition(fates):
    if len(fates) <= 1 or "error" in fates:
        return set(fates)
    # Several results of one source tensor: the one that gets furthest decides, as "used" is "an element reaches the output".
    if "unexpected-kept" in fates:
        return fates & {"used", "unexpected-kept"}
    if "used" in fates:
        return {"used"}
    return fates - {"dropped"}


# Expect and output

def check_expect(spec, names, dropped, outcome):
    for key, allowed in spec.expect.items():
        if key == "dropped":
            gone = [item for item in dropped if outcome.dispositions[item.source.name] == {"dropped"}]
            readings = {all(any_found(allowed, item.name) for item in dropped),
                        all(any_found(allowed, item.name) for item in gone),
                        all(any_found(allowed, item.source.name) for item in gone)}
            if len(readings) > 1:
                raise Unsettled("a dropped tensor's name: in the source, or where it was dropped")
            kept_promise = readings.pop()
        else:
            kept_promise = all(any_found(allowed, name) for name in names[key])
            if key == "missing" and kept_promise and not all(any_found(allowed, name) for name in names["followers"]):
                raise Unsettled("a name loaded with its tie is missing, or not")
        if not kept_promise:
            outcome.fail({1}, f"expect.{key}")


def check_loaded(spec, targets, outcome):
    verdicts = set()
    for unique in (False, True):                       # tied target names counted each, or once
        seen, total, filled = set(), 0, 0
        for tensor in targets:
            if unique and tensor.tie in seen:
                continue
            seen.add(tensor.tie)
            total += tensor.data.numel()
            if outcome.statuses[tensor.name] == {"loaded"}:
                filled += tensor.data.numel()
        if not total:
            raise Unsettled("a share of no elements")
        verdicts.add(holds(spec.loaded, 100 * filled, total))
    if len(verdicts) > 1:
        raise Unsettled("expect.loaded with ties")
    if not verdicts.pop():
        outcome.fail({1}, "expect.loaded")


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
        if output.origin.data.dtype not in known:
            outcome.fail({2}, f"safetensors has no {output.origin.dtype}", output_only=True)
        if name in (b"", b"__metadata__"):
            outcome.fail({2}, f"safetensors has no name {name}", output_only=True)
    if spec.ties == "duplicate":
        return
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
            if output.origin.storage[0] == "source":
                outcome.dispositions[output.origin.name] |= {"dropped"}
