"""What every part of a spec is checked with."""
from .errors import SpecError


def fields(mapping, allowed):
    for key in typed(mapping, dict):
        if key not in allowed:
            raise SpecError(f"unknown key {key}")
    return mapping


def typed(value, kind):
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise SpecError(f"{value!r} is not a {kind.__name__}")
    return value
