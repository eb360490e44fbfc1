"""The verbs that make one tensor of a group: cat, stack, combine."""
import re
from collections import defaultdict
from dataclasses import dataclass, field

import numpy

from .checks import typed
from .errors import SpecError, Unsettled
from .formula import Formula
from .matches import Item, rewritten
from .parameters import axis, dtype
from .patterns import patterns
from .values import promoted
from .verbs import Effect, Entry, misshapen, template


def bad(message):
    return SpecError(message, "bad-group")


def partial(value):
    if value != "pass":
        raise SpecError("partial: pass")
    return value


@dataclass
class Group:
    parts: dict = field(default_factory=lambda: defaultdict(list))       # matches by their part; of a group that holds, one each

    @property
    def matches(self):
        return [match for part in sorted(self.parts) for match in self.parts[part]]

    @property
    def place(self):
        """"The result stands where its first part stood": the first in the order of the parts."""
        return self.matches[0].place


def gather(matches, names_of, part_of, wanted, words, variables):
    """The groups that are whole, by name; `wanted` gives the parts that a group with some has to have."""
    groups = defaultdict(Group)
    for match in matches:
        groups[names_of(match)].parts[part_of(match)].append(match)
    whole = {}
    for names, group in groups.items():
        doubled = [part for part, found in group.parts.items() if len(found) > 1]
        if doubled:
            raise bad(f"{names}: two names for {doubled}")
        if set(group.parts) != set(wanted(group.parts)):
            if "partial" in words.read:
                continue
            raise bad(f"{names}: {sorted(group.parts)} are there")
        if len({tuple(words.captured(match)) for match in group.matches}) > 1:
            raise bad(f"{names}: captures that differ")
        whole[names] = group
    return whole


def together(bind):
    """cat and stack."""
    def read(value, words, variables):
        listed = not isinstance(value, str)
        entries = [Entry(pattern) for pattern in patterns(value)]
        to, _ = words.need("to", template), words.take("partial", partial)
        given, dim = words.take("dtype", dtype), words.number("dim", 0)
        words.check(entries, variables)
        for entry in entries:
            to.check(entry.pattern.groups, entry.pattern.named, variables)
        if listed:
            def part_of(match):
                return match.entry

            def wanted(parts):
                return range(len(entries))
        else:
            counted = index_of(entries[0].pattern, to)

            def part_of(match):
                text = match.found.captures[counted]
                if not re.fullmatch(rb"[0-9]+", text):
                    raise bad(f"{text} is not a number")
                return int(text)

            def wanted(parts):
                return range(len(parts))

        def apply(step, matches, variables):
            effect = Effect()
            groups = gather(matches, lambda match: rewritten(match, to, variables), part_of, wanted, words, variables)
            for name, group in groups.items():
                parts = [match.value for match in group.matches]
                at = dim.value(group.matches[0].scope(variables))
                effect.consumed |= {match.place for match in group.matches}
                effect.results[group.place].append(Item(name, bind(step, parts, at, promoted(parts, given))))
            return effect
        return entries, apply
    return read


def index_of(pattern, to):
    used = to.captures | {pattern.named[name] for name in to.names if name in pattern.named}
    left = set(range(1, pattern.groups + 1)) - used
    if 0 in used or len(left) != 1:
        raise SpecError("not exactly one capture that `to` does not use")
    return left.pop()


@together
def cat(step, parts, dim, dtype):
    at = axis(dim, parts[0].shape)
    if any(len(part.shape) != len(parts[0].shape) for part in parts):
        if any(part.shape == [0] for part in parts):
            raise Unsettled("torch.cat passes over [0] among tensors of more dimensions")
        raise misshapen("another number of dimensions")
    if len({tuple(part.shape[:at] + part.shape[at + 1:]) for part in parts}) > 1:
        raise misshapen(f"{[part.shape for part in parts]} on {at}")
    if len(parts) == 1:
        return step.cast(parts[0], dtype)
    return step.joined(parts, ("cat", at, dtype), lambda *arrays: numpy.concatenate(arrays, at), dtype)


@together
def stack(step, parts, dim, dtype):
    at = axis(dim, parts[0].shape, 1)
    if len({tuple(part.shape) for part in parts}) > 1:
        raise misshapen(f"{[part.shape for part in parts]}")
    return step.joined(parts, ("stack", at, dtype), lambda *arrays: numpy.stack(arrays, at), dtype)


def combine(value, words, variables):
    operands = list(typed(value, dict))
    entries = [Entry(pattern, operand=name) for name in operands for pattern in patterns(value[name])]
    if not entries or not all(re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) for name in operands):
        raise SpecError("operands are names")
    to, given, _ = words.rule.get("to"), words.take("dtype", dtype), words.take("partial", partial)
    if isinstance(to, dict):
        if "as" in words.rule:
            raise SpecError("`as` beside formulas in `to`")
        results = [(template(name), Formula(text)) for name, text in to.items()]
        words.read["to"] = Formulas([formula for _, formula in results])
    else:
        results = [(words.need("to", template), words.need("as", Formula))]
    if not results:
        raise SpecError("an empty `to`")
    for entry in entries:
        for name, _ in results:
            name.check(entry.pattern.groups, entry.pattern.named, variables)
    for expression in words.expressions():
        for entry in entries:
            expression.check(entry.pattern.groups, entry.pattern.named, variables, operands)

    named = {name for _, formula in results for name in formula.names}
    by_value = {name for _, formula in results for name in formula.by_value}
    if not set(operands) <= named:
        raise SpecError("an operand that no formula uses")

    def part_of(match):
        return operands.index(entries[match.entry].operand)

    def apply(step, matches, variables):
        effect = Effect()
        groups = gather(matches, lambda match: rewritten(match, results[0][0], variables), part_of,
                        lambda parts: range(len(operands)), words, variables)
        for first, group in groups.items():
            values = {operands[part]: match.value for part, (match,) in group.parts.items()}
            effect.consumed |= {match.place for match in group.matches}
            for to, formula in results:
                names = {rewritten(match, to, variables) for match in group.matches}
                if len(names) > 1:
                    raise bad(f"{first}: names {names} for one result")
                result = formula.value(step, values, group.matches[0].scope(variables), given)
                place = min(match.place for match in group.matches if operands[part_of(match)] in formula.by_value)
                effect.results[place].append(Item(names.pop(), result))
            effect.lost |= {match.place for match in group.matches if operands[part_of(match)] not in by_value}
        return effect
    return entries, apply


class Formulas:
    def __init__(self, formulas):
        self.formulas = formulas

    def expressions(self):
        return [each for formula in self.formulas for each in formula.expressions()]
