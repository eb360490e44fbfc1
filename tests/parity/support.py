"""What the parity tests share: a torchvision that can be imported, schemas of models, comparisons, and
where the shipped specs are.
"""

import json
import sys
import types
from pathlib import Path

import torch

RULES = Path(__file__).resolve().parents[2] / "rules"


def let_torchvision_be_imported():
    """timm and transformers import torchvision, though nothing here needs its operators.

    Its wheel may be built for CUDA. Beside a torch for the CPU its operators do not load, and the
    module that tells torch about them fails; so an empty one stands in its place.
    """
    name = "torchvision._meta_registrations"
    sys.modules.setdefault(name, types.ModuleType(name))


def write_schema(path, tensors):
    """A target schema of a state dict; of its values nothing is used, so they may be meta tensors."""
    entries = {name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
               for name, tensor in tensors.items()}
    path.write_text(json.dumps({"regraft_schema": 1, "tensors": entries}))


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def assert_same(actual, expected):
    """Equal names, dtypes, shapes and bits."""
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype, name
        assert actual[name].shape == tensor.shape, name
        assert torch.equal(bits(actual[name]), bits(tensor)), name


def statuses(report):
    return {one["name"]: one["status"] for one in report["tensors"]}
