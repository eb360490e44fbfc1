"""Integer expressions, and the templates of `to` that contain them.

An expression is parsed into nested tuples and evaluated with `Scope`. A value is an int, bytes (text), a float, a list or a dict
(vars only). Text turns into a number only where arithmetic asks for one.
"""
import re

from .errors import SpecError, Unsettled

TOKEN = re.compile(r"\s*(?:(\d+)|\\(\d)|([A-Za-z_]\w*)|(//|==|!=|<=|>=|[-+*%<>()\[\],]))", re.ASCII)
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
WORDS = ("and", "or", "not", "get")


class Scope:
    """What a name or a `\\1` in an expression stands for, on one tensor."""

    def __init__(self, variables, captures=(), named=None):
        self.variables, self.captures, self.named = variables, captures, named or {}

    def capture(self, number):
        return self.captures[number]

    def name(self, name):
        return self.captures[self.named[name]] if name in self.named else self.variables[name]


class Expression:
    def __init__(self, text):
        self.tokens, self.at = _tokens(text), 0
        self.names, self.captures = set(), set()     # for the checks when the spec is compiled
        self.tree = self._or()
        if self.at != len(self.tokens):
            raise SpecError(f"{self.tokens[self.at][1]!r} is not expected in {text!r}")

    def check(self, groups, named, variables, *others):
        """`others` are the further things that a name can stand for."""
        for number in self.captures:
            if number > groups:
                raise SpecError(f"capture \\{number} does not exist", "bad-template")
        for name in self.names:
            meanings = sum(name in known for known in (named, variables, *others))
            if meanings > 1:
                raise SpecError(f"{name} is two of capture, var and what the verb gives", "ambiguous-name")
            if not meanings:
                raise SpecError(f"{name} is neither a capture nor a var", "unknown-name")

    def value(self, scope):
        return _evaluate(self.tree, scope)

    # Precedence is Python's, from the loosest to the tightest.
    def _peek(self):
        return self.tokens[self.at][1] if self.at < len(self.tokens) else None

    def _take(self, *wanted):
        if self.at < len(self.tokens) and self.tokens[self.at][0] in ("operator", "name") and self._peek() in wanted:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def _need(self, wanted):
        if not self._take(wanted):
            raise SpecError(f"{wanted!r} expected")

    def _or(self):
        left = self._and()
        while self._take("or"):
            left = ("or", left, self._and())
        return left

    def _and(self):
        left = self._not()
        while self._take("and"):
            left = ("and", left, self._not())
        return left

    def _not(self):
        return ("not", self._not()) if self._take("not") else self._comparison()

    def _comparison(self):
        first, rest = self._sum(), []
        while operator := self._take(*COMPARISONS):
            rest.append((operator, self._sum()))
        return ("compare", first, rest) if rest else first

    def _sum(self):
        left = self._product()
        while operator := self._take("+", "-"):
            left = ("arithmetic", operator, left, self._product())
        return left

    def _product(self):
        left = self._unary()
        while operator := self._take("*", "//", "%"):
            left = ("arithmetic", operator, left, self._unary())
        return left

    def _unary(self):
        if self._take("-"):
            return ("arithmetic", "-", ("constant", 0), self._unary())
        return self._postfix()

    def _postfix(self):
        value = self._atom()
        while self._take("["):
            value = ("index", value, self._or())
            self._need("]")
        return value

    def _atom(self):
        if self.at == len(self.tokens):
            raise SpecError("the expression ends too early")
        kind, text = self.tokens[self.at]
        if kind == "operator":
            self._need("(")
            value = self._or()
            self._need(")")
            return value
        self.at += 1
        if kind == "integer":
            if int(text) >= 2**63:
                raise SpecError(f"{text} is beyond int64")
            return ("constant", int(text))
        if kind == "capture":
            self.captures.add(int(text))
            return ("capture", int(text))
        if text == "get":
            self._need("(")
            arguments = [self._or()]
            for _ in range(2):
                self._need(",")
                arguments.append(self._or())
            self._need(")")
            return ("get", *arguments)
        if text in WORDS:
            raise SpecError(f"{text!r} is not expected")
        self.names.add(text)
        return ("name", text)


def _tokens(text):
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if not match:
            raise SpecError(f"cannot read {text[at:]!r}")
        kind = ("integer", "capture", "name", "operator")[match.lastindex - 1]
        tokens.append((kind, match[match.lastindex]))
        at = match.end()
    return tokens


class Fault(SpecError):
    """An expression that cannot be evaluated for a tensor."""

    def __init__(self, message):
        super().__init__(message, "evaluation")


def _checked(number):
    if not -2**63 <= number < 2**63:
        raise Fault("int64 overflow")
    return number


def _is_digits(value):
    return isinstance(value, bytes) and re.fullmatch(rb"[0-9]+", value) is not None


def _number(value):
    if isinstance(value, int):
        return value
    if _is_digits(value):
        return _checked(int(value))
    raise Fault(f"{value!r} is not a number")


def _truth(value):
    if isinstance(value, bytes) and not _is_digits(value):
        raise Unsettled("text as a condition: an error, or true unless empty")
    return _number(value) != 0


def _equal(left, right):
    if isinstance(left, bytes) and isinstance(right, bytes):
        if _is_digits(left) and _is_digits(right):
            return int(left) == int(right)
        return left == right
    for value in (left, right):
        if isinstance(value, bytes) and not _is_digits(value):
            raise Unsettled("text == number: an error, or simply not equal")
    return _number(left) == _number(right)


def _compare(operator, left, right):
    if operator in ("==", "!="):
        return _equal(left, right) == (operator == "==")
    left, right = _number(left), _number(right)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def _index(container, key):
    """The element, or None where there is none."""
    if isinstance(container, list):
        number = _number(key)
        if number < 0:
            raise Unsettled("a negative index: an error, or counted from the end")
        return container[number] if number < len(container) else None
    if isinstance(container, dict):
        text = str(key).encode() if isinstance(key, int) else key
        if not isinstance(text, bytes):
            raise Fault("a key must be text")
        return container.get(text)
    raise Fault("only lists and maps have an index")


def _evaluate(tree, scope):
    kind = tree[0]
    if kind == "constant":
        return tree[1]
    if kind == "capture":
        return scope.capture(tree[1])
    if kind == "name":
        return scope.name(tree[1])
    if kind == "index":
        value = _index(_evaluate(tree[1], scope), _evaluate(tree[2], scope))
        if value is None:
            raise Fault("an index that is not there")
        return value
    if kind == "get":
        container, key, default = (_evaluate(part, scope) for part in tree[1:])
        if not isinstance(container, dict):
            raise Fault("get needs a map")
        value = _index(container, key)
        return default if value is None else value
    if kind == "or":
        return int(_truth(_evaluate(tree[1], scope)) or _truth(_evaluate(tree[2], scope)))
    if kind == "and":
        return int(_truth(_evaluate(tree[1], scope)) and _truth(_evaluate(tree[2], scope)))
    if kind == "not":
        return int(not _truth(_evaluate(tree[1], scope)))
    if kind == "compare":
        left = _evaluate(tree[1], scope)
        for operator, right_tree in tree[2]:
            right = _evaluate(right_tree, scope)
            if not _compare(operator, left, right):
                return 0
            left = right
        return 1
    operator = tree[1]
    left, right = _number(_evaluate(tree[2], scope)), _number(_evaluate(tree[3], scope))
    if operator in ("//", "%") and right == 0:
        raise Fault("division by zero")
    return _checked({"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right,
                     "//": lambda: left // right, "%": lambda: left % right}[operator]())


class Template:
    """`to`: literal bytes, captures and expressions."""

    def __init__(self, text):
        self.parts, at = [], 0
        while at < len(text):
            two, one = text[at:at + 2], text[at]
            if two in ("{{", "}}", "\\\\"):
                self.parts.append(one.encode())
                at += 2
            elif one == "\\":
                if not re.fullmatch(r"\\[0-9]", two):
                    raise SpecError(f"{two!r} means nothing in `to`")
                self.parts.append(Expression(two))
                at += 2
            elif one == "{":
                end = text.find("}", at)
                if end < 0:
                    raise SpecError("a { is not closed")
                self.parts.append(Expression(text[at + 1:end]))
                at = end + 1
            elif one == "}":
                raise SpecError("a } is not opened")
            else:
                self.parts.append(one.encode())
                at += 1

    @property
    def names(self):
        return {name for part in self.parts if isinstance(part, Expression) for name in part.names}

    @property
    def captures(self):
        return {number for part in self.parts if isinstance(part, Expression) for number in part.captures}

    def check(self, *what):
        for part in self.parts:
            if isinstance(part, Expression):
                part.check(*what)

    def expand(self, scope):
        return b"".join(part if isinstance(part, bytes) else _in_name(part.value(scope)) for part in self.parts)


def _in_name(value):
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        if value < 0:
            raise Fault("a negative number in a name")
        return str(value).encode()
    raise Fault(f"{value!r} cannot stand in a name")
