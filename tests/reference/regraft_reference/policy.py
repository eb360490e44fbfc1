"""Where the result and the target disagree: what becomes of each name, and the values that are due."""
from collections import Counter, defaultdict
from dataclasses import dataclass

import torch

from .decisions import AS_IT_IS, decide
from .dtypes import name_of
from .errors import Unsettled
from .initial import Impossible, initial
from .spec import holds


@dataclass
class Output:
    """One tensor of the output.

    Outputs with one `tie` have to be one tensor in a format that can share; those with one `alike` but two ties may be. `changed`
    says that it need not share with other views of its storage, as shape or values are no longer those of the origin. `made_of` is
    the tie of the tensor that a policy made it of: others of that tie it may not overlap. `close` is how closely the values have to
    be met.
    """
    data: torch.Tensor
    storages: frozenset        # what of it is shared stays within outputs that have one of these too
    tie: tuple
    alike: tuple
    changed: bool = False
    close: object = None
    made_of: object = None

    @classmethod
    def of(cls, value):
        """A result that arrives as it is."""
        treatment = AS_IT_IS, tuple(value.shape)
        return cls(value.data, value.storages, (value.tie, treatment), (value.alike, treatment), value.made, value.close)

    @classmethod
    def own(cls, tensor):
        """The target's own values."""
        return cls(tensor.data, frozenset([tensor.storage]), tensor.tie, tensor.tie)

    @property
    def shape(self):
        return list(self.data.shape)

    @property
    def dtype(self):
        return name_of(self.data.dtype)


def meet_target(spec, items, targets, fates, names, outcome):
    results = {item.name: item for item in items}
    groups = defaultdict(list)
    for tensor in targets:
        groups[tensor.tie].append(tensor)
    decisions, followers, conflicts, reached = {}, {}, set(), {}
    for group in groups.values():
        leaders = [tensor for tensor in group if tensor.name in results]
        for tensor in leaders:
            reached[tensor.name] = results[tensor.name]
            decisions[tensor.name] = decide(spec, tensor, results[tensor.name].value)
        if leaders and len(group) > 1:
            follow(spec, group, leaders, reached, decisions, followers, conflicts)
    firsts = first_missing(spec, groups, reached)

    for tensor in targets:
        name = tensor.name
        outcome.expected[name] = {"target_shape": tensor.shape, "target_dtype": tensor.dtype}
        if name not in reached:
            status = meet_missing(spec, tensor, firsts[name], names, outcome)
        else:
            source = reached[name].value
            decision = decisions[name]
            status = decision.status
            outcome.expected[name] |= of_source(source, outcome)
            if name in conflicts:
                status = "error"
                outcome.refuse(name, {"tie-conflict", *decision.codes})
            elif status in ("loaded", "adapted"):
                load(name, source, decision, outcome)
            elif status == "skipped":
                outcome.outputs[name] = Output.own(tensor)
                outcome.words[name] = decision.words
            elif status == "omitted":
                outcome.words[name] = decision.words
                names["perhaps skipped"].append(name)
            else:
                outcome.refuse(name, decision.codes)
            source.settle(fates, {"loaded": "used", "adapted": "used", "omitted": "skipped"}.get(status, status))
            if name not in conflicts and len(followers.get(name, [name])) == 1:
                outcome.sources[name] = source.sources
        outcome.statuses[name] = {status} if status != "loaded" else reached[name].value.statuses(outcome.read)
        names[status].append(name)
        if name in followers:
            names["followers"].append(name)
            outcome.tied_to[name] = followers[name]
        else:
            outcome.tied_to[name] = {None}

    for item in items:
        if item.name not in outcome.statuses:
            meet_unexpected(spec, item, fates, names, outcome)
    mark_untied(items, groups, reached, outcome)
    count_covered(spec, targets, outcome)


def follow(spec, group, leaders, reached, decisions, followers, conflicts):
    """Names that nothing reaches and that are tied to one that is reached; and ties that two tensors reach."""
    if len({reached[tensor.name].value.tie for tensor in leaders}) > 1:
        if {"skipped", "omitted"} & {decisions[tensor.name].status for tensor in leaders}:
            raise Unsettled("a skipped and a loaded tensor for one tie")
        conflicts |= {tensor.name for tensor in group}
    first = leaders[0].name
    for tensor in group:
        if tensor.name in reached:
            continue
        own = decide(spec, tensor, reached[first].value)
        # By the policies of its own name it could fare otherwise than the one it is tied to.
        treatments = {own.treatment, *(decisions[one.name].treatment for one in leaders)}
        loaded = {own.status, decisions[first].status} in ({"loaded"}, {"adapted"})
        if tensor.name not in conflicts and (not loaded or len(treatments) > 1):
            raise Unsettled("an unreached name that is tied to one which is treated otherwise, or which is not loaded")
        reached[tensor.name], decisions[tensor.name] = reached[first], decisions[first]
        followers[tensor.name] = {one.name for one in leaders}


def load(name, source, decision, outcome):
    tie, alike = (source.tie, decision.treatment), (source.alike, decision.alike)
    if decision.treatment[0] == AS_IT_IS:
        changed = source.made or decision.data.dim() != source.data.dim()
        outcome.outputs[name] = Output(decision.data, source.storages, tie, alike, changed, decision.close)
    else:
        storages = source.storages if decision.moved or source.made else frozenset([alike])
        outcome.outputs[name] = Output(decision.data, storages, tie, alike, True, decision.close, source.tie)
    outcome.words[name] = decision.words
    outcome.lossy[name] = None if source.lossy is None else source.lossy or decision.lossy
    outcome.covered[name] = decision.covered
    outcome.copied[name] = decision.copied
    if decision.overflow or source.overflow:
        outcome.overflows.add(name)


# A name that nothing reaches, and one that the target lacks

def first_missing(spec, groups, reached):
    """For each name that `missing` initialises the first of the tied names, which seeds `normal`."""
    firsts = {}
    for group in groups.values():
        unreached = [tensor for tensor in group if tensor.name not in reached]
        chosen = [spec.decide("missing", tensor.name) for tensor in unreached]
        for tensor, case in zip(unreached, chosen):
            firsts[tensor.name] = unreached[0].name
            if case.do == "normal" and chosen[0] is not case:
                raise Unsettled("the first of the tied names is treated otherwise: does its name seed, or that of the first alike?")
    return firsts


def meet_missing(spec, tensor, first, names, outcome):
    name = tensor.name
    case = spec.decide("missing", name)
    names["missing"].append(name)
    outcome.words[name] = {case.do}
    if case.do == "keep" and tensor.has_values:
        outcome.outputs[name] = Output.own(tensor)
        return "kept"
    if case.do in ("keep", "omit"):
        return "omitted"
    if case.do == "error":
        outcome.refuse(name, {"missing"})
        return "error"
    try:
        data, close = initial(case.do, case.parameters, tensor.dtype, tensor.shape, first)
    except Impossible:
        outcome.refuse(name, {"missing"})
        return "error"
    tie = ("initial", tensor.tie, case.place)
    alike = ("initial", tensor.tie, case.do, repr(case.parameters))
    outcome.outputs[name] = Output(data, frozenset([alike]), tie, alike, True, close)
    return "initialised"


def meet_unexpected(spec, item, fates, names, outcome):
    names["unexpected"].append(item.name)
    source = item.value
    do = spec.decide("unexpected", item.name).do
    if do == "keep":
        outcome.outputs[item.name] = Output.of(source)
        if source.overflow:
            outcome.overflows.add(item.name)
        outcome.statuses[item.name] = {"unexpected"}
        outcome.sources[item.name] = source.sources
        outcome.lossy[item.name] = source.lossy
        outcome.expected[item.name] = {"target_shape": None, "target_dtype": None}
        outcome.expected[item.name] |= of_source(source, outcome)
        outcome.words[item.name] = {do}
        source.settle(fates, "unexpected-kept")
    elif do == "drop":
        source.settle(fates, "unexpected-dropped")
    else:
        outcome.refuse(item.name, {"unexpected"})
        source.settle(fates, "error")


# The report

def of_source(value, outcome):
    """Of the first source tensor, if there is no doubt which that is."""
    if not value.sources:
        return {}
    tensor = outcome.read[value.sources[0]]
    return {"source_shape": tensor.shape, "source_dtype": tensor.dtype}


def mark_untied(items, groups, reached, outcome):
    """Names of which it is plain that they were tied and stand alone now, or that they were not tied or still are."""
    tied = Counter(item.value.tie for item in items)
    remade = {outcome.read[name].tie for item in items if item.value.made for name in item.value.origins}
    by_source = defaultdict(list)
    for name, item in reached.items():
        if name in outcome.outputs:
            by_source[item.value.tie].append(outcome.outputs[name])
    for group in groups.values():
        for name in (tensor.name for tensor in group):
            output, item = outcome.outputs.get(name), reached.get(name)
            if item and remade & {outcome.read[origin].tie for origin in item.value.origins}:
                continue                               # what rules have made of one of the tied names
            if item and not item.value.data.numel():
                continue                               # torch.load does not say whether two storages without bytes were one
            if len(group) < 2 and (not item or tied[item.value.tie] < 2):
                outcome.untied[name] = False
            elif output and item:
                others = [other for other in by_source[item.value.tie] if other is not output]
                alone = all(other.alike != output.alike for other in others)
                if output.changed and alone and not all(other.changed for other in others):
                    outcome.untied[name] = True


def count_covered(spec, targets, outcome):
    totals = set()
    for unique in (False, True):                       # tied target names counted each, or once
        seen, total, filled = set(), 0, 0
        for tensor in targets:
            if unique and tensor.tie in seen:
                continue
            seen.add(tensor.tie)
            total += tensor.data.numel()
            filled += outcome.covered.get(tensor.name, 0)
        totals.add((filled, total))
        if not unique:
            outcome.coverage = filled, total
    if not spec.loaded:
        return
    if any(not total for _, total in totals):
        raise Unsettled("a share of no elements")
    verdicts = {holds(spec.loaded, 100 * filled, total) for filled, total in totals}
    if len(verdicts) > 1:
        raise Unsettled("expect.loaded with ties")
    if not verdicts.pop():
        outcome.fail({1}, "expect.loaded")
