"""A classifier that learns more classes: those that it knows stay what they are."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import assert_same, statuses

OLD, NEW = 10, 15
SPEC = r"""
regraft: 1
policy:
  shape:
    - match: '^classifier\.3\.(weight|bias)$'
      do: pad
      dims: [0]
      fill: keep
"""


def classifier(classes, seed):
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(seed)
    return mobilenet_v3_small(num_classes=classes).eval()


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_classes_that_grew(regraft, suffix):
    old, new, by_hand = classifier(OLD, 0), classifier(NEW, 1), classifier(NEW, 1)
    save, load = (torch.save, torch.load) if suffix == "pt" else (save_file, load_file)
    save(old.state_dict(), regraft.folder / f"old.{suffix}")
    save(new.state_dict(), regraft.folder / f"new.{suffix}")
    report = regraft.apply(SPEC, f"old.{suffix}", f"new.{suffix}", f"grown.{suffix}")
    assert {name for name, status in statuses(report).items() if status != "loaded"} == {
        "classifier.3.weight", "classifier.3.bias"}

    with torch.no_grad():
        for ours, theirs in zip(by_hand.state_dict().values(), old.state_dict().values(), strict=True):
            (ours[:OLD] if ours.shape != theirs.shape else ours).copy_(theirs)
    grown = load(regraft.folder / f"grown.{suffix}")
    assert_same(grown, by_hand.state_dict())
    for name in ("classifier.3.weight", "classifier.3.bias"):
        assert torch.equal(grown[name][OLD:], new.state_dict()[name][OLD:])

    new.load_state_dict(grown, strict=True)
    torch.manual_seed(2)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before, after = old(images), new(images)
        assert torch.equal(after, by_hand(images))
    assert after.shape == (2, NEW) and after[:, OLD:].abs().sum() > 0
    torch.testing.assert_close(after[:, :OLD], before)
