"""YAML, by hand so that quoting and style vary only where they are meant to."""
import re


def emit(value, indent=0):
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, child in value.items():
            key = key if re.fullmatch("[a-z_]+", key) else scalar(key)
            if isinstance(child, dict) and child and indent < 3:
                lines.append(f"{pad}{key}:\n{emit(child, indent + 1)}")
            elif isinstance(child, list) and any(isinstance(item, dict) for item in child):
                lines.append(f"{pad}{key}:\n")
                for item in child:
                    block = isinstance(item, dict) and item
                    lines.append(f"{pad}  -\n{emit(item, indent + 2)}" if block else f"{pad}  - {inline(item)}\n")
            else:
                lines.append(f"{pad}{key}: {inline(child)}\n")
        return "".join(lines)
    return f"{pad}{inline(value)}\n"


def inline(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {inline(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(child) for child in value) + "]"
    return scalar(value)


def scalar(value):
    if value is None:
        return "~"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        if re.fullmatch(r"[a-z][a-z_0-9]*", value) and value not in ("true", "false", "null"):
            return value
        return "'" + value.replace("'", "''") + "'"
    return str(value)
