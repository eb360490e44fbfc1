"""Names on their way, where a rule's pattern is found in them, and the name that `to` makes of one."""
from dataclasses import dataclass

from .expressions import Scope


@dataclass
class Item:
    """A name on its way through the rules."""
    name: bytes
    value: object              # values.Value


@dataclass
class Match:
    item: Item
    place: int                 # among the names, as they stand when the rule begins
    entry: int                 # which of the rule's entries was found
    found: object              # patterns.Found
    pattern: object

    @property
    def value(self):
        return self.item.value

    def scope(self, variables, **more):
        return Scope({**variables, **more}, self.found.captures, self.found.named)


def rewritten(match, to, variables, everywhere=False, **more):
    name = match.item.name

    def replacement(place):
        if isinstance(to, bytes):                      # a literal table
            return to
        return to.expand(Scope({**variables, **more}, place.captures, place.named))

    if not everywhere:
        return name[:match.found.start] + replacement(match.found) + name[match.found.end:]
    # RE2::GlobalReplace: an empty match right after the match before it is stepped over.
    result, at, last_end = b"", 0, None
    while at <= len(name):
        found = match.pattern.find(name, at)
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
