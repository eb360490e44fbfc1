"""Parameters of verbs: numbers and lists of numbers, which may be expressions over the captures and the vars."""
from .checks import typed
from .dtypes import NAMES
from .errors import SpecError
from .expressions import Expression, Fault


class Number:
    """A literal, or text that is an expression."""

    def __init__(self, raw, fractions=False):
        self.fractions = fractions
        kinds = (int, float) if fractions else (int,)
        self.literal = raw if isinstance(raw, kinds) and not isinstance(raw, bool) else None
        self.expression = Expression(typed(raw, str)) if self.literal is None else None

    def value(self, scope):
        return self.literal if self.expression is None else number(self.expression.value(scope), self.fractions)

    def expressions(self):
        return [self.expression] if self.expression else []


class Numbers:
    """A list of them, or text that is an expression of which the value is a list."""

    def __init__(self, raw):
        self.items = [Number(item) for item in raw] if isinstance(raw, list) else None
        self.whole = Expression(typed(raw, str)) if self.items is None else None

    def value(self, scope):
        if self.items is not None:
            return [item.value(scope) for item in self.items]
        value = self.whole.value(scope)
        if not isinstance(value, list):
            raise Fault(f"{value!r} is not a list")
        return [number(item) for item in value]

    def expressions(self):
        return [self.whole] if self.items is None else [each for item in self.items for each in item.expressions()]


def number(value, fractions=False):
    if isinstance(value, int) or (fractions and isinstance(value, float)):
        return value
    if isinstance(value, bytes) and value.isdigit() and int(value) < 2**63:
        return int(value)
    raise Fault(f"{value!r} is not a number")


class Words:
    """What a rule says beside its verb."""

    def __init__(self, rule):
        self.rule, self.read = rule, {}

    def take(self, key, kind, default=None):
        if key not in self.rule:
            return default
        self.read[key] = kind(self.rule[key])
        return self.read[key]

    def need(self, key, kind):
        if key not in self.rule:
            raise SpecError(f"{key} is missing")
        return self.take(key, kind)

    def number(self, key, default=None):
        return self.take(key, Number) or (None if default is None else Number(default))

    def expressions(self):
        return [each for value in self.read.values() if hasattr(value, "expressions") for each in value.expressions()]

    def check(self, entries, variables):
        for entry in entries:
            for expression in self.expressions():
                expression.check(entry.pattern.groups, entry.pattern.named, variables)

    def captured(self, match):
        """The texts of the captures that the parameters use."""
        scope = match.scope({})
        result = []
        for expression in self.expressions():
            result += [scope.capture(number) for number in sorted(expression.captures)]
            result += [scope.name(name) for name in sorted(expression.names) if name in match.found.named]
        return result


def dtype(value):
    if typed(value, str) not in NAMES:
        raise SpecError(f"no dtype {value}")
    return value


def flag(value):
    return typed(value, bool)


def axis(dim, shape, room=0):
    """A dimension from 0; negatives count from the end."""
    size = len(shape) + room
    if not -size <= dim < size:
        raise SpecError(f"dimension {dim} of {shape}", "rule-shape")
    return dim % size
