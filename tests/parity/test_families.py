"""Checkpoints of one library in the models of another, or of a later one."""

import re

import torch
from models import build, images, output_of
from support import RULES, assert_same, write_schema


def migrate(regraft, spec, model, target):
    """The target's state dict after a migration of the model's, which is of the same kind."""
    torch.save(model, regraft.folder / "old.pt")
    write_schema(regraft.folder / "new.json", target.state_dict())
    regraft("apply", RULES / spec, "old.pt", "-t", "new.json", "-o", "new.pt", "--force", "--no-sync")
    return torch.load(regraft.folder / "new.pt", weights_only=True)


def test_efficientnet_of_torchvision_in_timm(regraft):
    from timm import create_model
    from torchvision.models import efficientnet_b0

    old = build(lambda: efficientnet_b0(num_classes=11), 0)
    new = build(lambda: create_model("efficientnet_b0", num_classes=11), 1)
    expected = output_of(old, images())
    assert not torch.allclose(output_of(new, images()), expected, atol=1e-2)

    state = migrate(regraft, "torchvision-to-timm/efficientnet_b0.yaml", old.state_dict(), new)
    assert len(state) == len(old.state_dict())
    new.load_state_dict(state, strict=True)
    torch.testing.assert_close(output_of(new, images()), expected)


def test_densenet_with_its_first_names(regraft):
    from torchvision.models import DenseNet

    def constructor():
        return DenseNet(growth_rate=8, block_config=(2, 3), num_init_features=16, num_classes=11)

    old, new = build(constructor, 0), build(constructor, 1)
    with torch.no_grad():              # as load_state_dict leaves a counter that a file does not have
        for name, buffer in old.named_buffers():
            if name.endswith("num_batches_tracked"):
                buffer.zero_()
    legacy = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", name): tensor
              for name, tensor in old.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert "features.denseblock2.denselayer3.norm.2.running_var" in legacy
    expected = output_of(old, images())
    assert not torch.allclose(output_of(new, images()), expected, atol=1e-2)

    state = migrate(regraft, "densenet-legacy/torchvision.yaml", legacy, new)
    assert_same(state, old.state_dict())
    new.load_state_dict(state, strict=True)
    assert torch.equal(output_of(new, images()), expected)
