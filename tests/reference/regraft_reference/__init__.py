"""A second reading of the language page, written from the page alone, to compare the engine with.

`migrate(text, source, target, output, settings, folder)` gives an `Outcome`; `load_pt` and `load_safetensors` read its inputs.
In scope: the verbs keep, drop, rename and copy with all that every rule takes; vars; source.root and require; the policies
without adaptation and casts; expect; output.metadata and ties.
"""
from .checkpoint import Checkpoint, addresses, load_pt, load_safetensors, raw_bytes, read_safetensors
from .errors import OutOfScope, SpecError, Unsettled
from .migrate import Outcome, migrate

__all__ = ["Checkpoint", "OutOfScope", "Outcome", "SpecError", "Unsettled", "addresses", "load_pt", "load_safetensors", "migrate",
           "raw_bytes", "read_safetensors"]
