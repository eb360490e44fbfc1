"""YAML as the page's section "Strictness" has it.

PyYAML's own loaders resolve `yes`, `010` and `1_000` by YAML 1.1 and let the last of two equal keys win, so only its parser is
used and every scalar is resolved here.
"""
import re

import yaml

from .errors import SpecError

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)     # libyaml is ten times as fast, where PyYAML was built with it
INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
FLOAT = re.compile(r"-?[0-9]+(\.[0-9]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)")


def load(text):
    try:
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise SpecError("an alias")
            if getattr(event, "tag", None):
                raise SpecError("a tag")
        node = yaml.compose(text, Loader=LOADER)   # raises on a second document
    except yaml.YAMLError as error:
        raise SpecError(f"not YAML: {error}") from None
    return None if node is None else _value(node)


def _value(node):
    if isinstance(node, yaml.SequenceNode):
        return [_value(child) for child in node.value]
    if isinstance(node, yaml.MappingNode):
        result = {}
        for key_node, child in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError("a key that is not text")
            key = key_node.value       # "map keys are text": `{3: x}` and `{'3': x}` are one
            if key == "<<" and not key_node.style:
                raise SpecError("a merge key")
            if key in result:
                raise SpecError(f"duplicated key {key}")
            result[key] = _value(child)
        return result
    return node.value if node.style else _scalar(node.value)


def _scalar(text):
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if INTEGER.fullmatch(text):
        number = int(text)
        if not -2**63 <= number < 2**63:
            raise SpecError(f"integer {text} is too large")
        return number
    if FLOAT.fullmatch(text):
        return float(text)
    return text
