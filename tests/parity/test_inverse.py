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
