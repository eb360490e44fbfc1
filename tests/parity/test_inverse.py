"""Shipped specs that have an inverse: there and back, bit for bit, on models of the libraries."""

import re

import pytest
import torch
from models import build
from support import RULES, assert_same
from torch import nn


def efficientnet():
    from torchvision.models import efficientnet_b0

    return build(lambda: efficientnet_b0(num_classes=11), 0).state_dict()


def densenet():
    from torchvision.models import DenseNet

    model = build(lambda: DenseNet(growth_rate=8, block_config=(2, 3), num_init_features=16, num_classes=11), 0)
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", name): tensor
            for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}


def bert():
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=24, max_position_embeddings=20)
    return {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
            for name, tensor in build(lambda: BertModel(config), 0).state_dict().items()}


def normed(weight_norm):
    def model():
        return nn.ModuleDict({"conv": weight_norm(nn.Conv1d(4, 6, 3)), "head": weight_norm(nn.Linear(4, 3), dim=None),
                              "rnn": weight_norm(nn.LSTM(5, 4), name="weight_hh_l0")})

    return lambda: build(model, 0).state_dict()


def counted():
    return build(lambda: nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)), 0).state_dict()


SPECS = {
    "torchvision-to-timm/efficientnet_b0": efficientnet,
    "densenet-legacy/torchvision": densenet,
    "common/bert-gamma-beta": bert,
    "common/weight-norm-to-parametrizations": normed(torch.nn.utils.weight_norm),
    "common/parametrizations-to-weight-norm": normed(torch.nn.utils.parametrizations.weight_norm),
    "common/drop-num-batches-tracked": counted,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("spec", SPECS)
def test_there_and_back(regraft, spec):
    state = SPECS[spec]()
    torch.save(state, regraft.folder / "old.pt")
    path = RULES / f"{spec}.yaml"
    regraft("invert", path, "old.pt", "-o", "back.yaml")
    regraft("apply", path, "old.pt", "-o", "new.pt", "--force", "--no-sync")
    there = torch.load(regraft.folder / "new.pt", weights_only=True)
    assert there.keys() != state.keys()
    regraft("apply", "back.yaml", "new.pt", "-t", "old.pt", "-o", "again.pt", "--force", "--no-sync")
    assert_same(torch.load(regraft.folder / "again.pt", weights_only=True), state)


def test_no_shipped_spec_with_an_inverse_is_left_out(regraft):
    for path in sorted(RULES.glob("*/*.yaml")):
        name = f"{path.parent.name}/{path.stem}"
        if path.parent.name == "examples" or name in SPECS:
            continue
        regraft("invert", path, status=2)


VIT = r"""
regraft: 1
rules:
  - rename: '^blocks\.(\d+)\.'
    to: 'encoder.layer.\1.'
  - split: '\.attn\.qkv\.'
    to: ['.attn.q.', '.attn.k.', '.attn.v.']
  - transpose: '\.mlp\.fc1\.weight$'
    dims: [0, 1]
  - rearrange: '\.attn\.proj\.weight$'
    pattern: 'o (h d) -> (h o) d'
    with: {h: 3}
  - unbind: '^pos_embed$'
    to: 'pos.{i}'
    dim: 1
  - permute: '^patch_embed\.proj\.weight$'
    dims: [2, 3, 1, 0]
  - cat: ['\.norm1\.', '\.norm2\.']
    to: '.norms.'
  - stack: '^encoder\.layer\.(\d+)\.mlp\.fc2\.weight$'
    to: 'fc2'
"""


def test_a_vision_transformer_rearranged_and_back(regraft):
    from timm import create_model

    model = build(lambda: create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=5), 0)
    state = model.state_dict()
    torch.save(state, regraft.folder / "old.pt")
    (regraft.folder / "spec.yaml").write_text(VIT)
    regraft("invert", "spec.yaml", "old.pt", "-o", "back.yaml")
    regraft("apply", "spec.yaml", "old.pt", "-o", "new.pt", "--force", "--no-sync")
    there = torch.load(regraft.folder / "new.pt", weights_only=True)
    assert there["encoder.layer.1.attn.q.weight"].shape == (192, 192) and there["fc2"].shape == (2, 192, 768)
    regraft("apply", "back.yaml", "new.pt", "-o", "again.pt", "--force", "--no-sync", "--strict")
    assert_same(torch.load(regraft.folder / "again.pt", weights_only=True), state)
