"""Patterns: where one is found in a name, and what it captured there."""
import re2

from .errors import SpecError

OPTIONS = re2.Options()
OPTIONS.encoding = re2.Options.Encoding.LATIN1     # names are bytes; this also makes `.` one byte
OPTIONS.log_errors = False


class Found:
    def __init__(self, start, end, captures, named):
        self.start, self.end, self.captures, self.named = start, end, captures, named


class Pattern:
    def __init__(self, text):
        try:
            self.compiled = re2.compile(text.encode(), OPTIONS)
        except re2.error as error:
            raise SpecError(f"pattern {text!r}: {error}") from None
        self.groups = self.compiled.groups
        self.named = {name.decode(): number for name, number in self.compiled.groupindex.items()}

    def find(self, name, start=0):
        match = self.compiled.search(name, start)
        if not match:
            return None
        captures = [match.group(number) or b"" for number in range(self.groups + 1)]   # took no part: empty
        return Found(match.start(), match.end(), captures, self.named)


class Exact:
    groups, named = 0, {}

    def __init__(self, text):
        self.name = text.encode()

    def find(self, name, start=0):
        return Found(0, len(name), [name], {}) if start == 0 and name == self.name else None


def patterns(value):
    """A pattern, a list of them, or `{exact: ...}`, as a list in written order."""
    if isinstance(value, str):
        return [Pattern(value)]
    if isinstance(value, list) and value:
        return [pattern for item in value for pattern in patterns(item)]
    if isinstance(value, dict) and set(value) == {"exact"}:
        names = value["exact"]
        names = [names] if isinstance(names, str) else names
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return [Exact(name) for name in names]
    raise SpecError(f"{value!r} is not a pattern")


def any_found(alternatives, name):
    return any(pattern.find(name) for pattern in alternatives)
