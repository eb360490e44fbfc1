"""A second reading of the language page, written from the page alone, to compare the engine with.

`migrate(text, source, target, output, settings, folder, others)` gives an `Outcome`; `load_pt`, `load_safetensors` and `load_schema` read
its inputs. In scope: the verbs but `use`, with all that every rule takes; vars; source.root and require; the policies; expect;
output.metadata and ties.
"""
from . import casts, dtypes
from .checkpoint import Checkpoint, addresses, load_pt, load_safetensors, load_schema, raw_bytes, read_safetensors
from .closeness import agrees
from .errors import Misfit, OutOfScope, SpecError, Unsettled
from .migrate import Outcome, migrate

__all__ = ["Checkpoint", "Misfit", "OutOfScope", "Outcome", "SpecError", "Unsettled", "addresses", "agrees", "casts", "dtypes",
           "load_pt", "load_safetensors", "load_schema", "migrate", "raw_bytes", "read_safetensors"]
