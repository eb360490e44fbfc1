"""rules/common, each against what a Python library makes of the same weights."""

import pytest
import torch
from models import build, images, output_of
from support import RULES, assert_same
from torch import nn

COMMON = RULES / "common"


def run(regraft, spec, state, *options, target=None):
    """What a shipped spec makes of a state dict."""
    torch.save(state, regraft.folder / "old.pt")
    if target is not None:
        torch.save(target, regraft.folder / "target.pt")
        options = ("-t", "target.pt", *options)
    regraft("apply", COMMON / f"{spec}.yaml", "old.pt", "-o", "new.pt", "--force", "--no-sync", *options)
    return torch.load(regraft.folder / "new.pt", weights_only=True)


# --- names --------------------------------------------------------------------------------------


def normed(weight_norm):
    """Weight norm on a kernel, on one of another dimension, on a whole matrix, and in an LSTM."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = weight_norm(nn.Conv1d(4, 6, 3))
            self.up = weight_norm(nn.ConvTranspose1d(6, 5, 3), dim=1)
            self.rnn = weight_norm(nn.LSTM(5, 4), name="weight_hh_l0")
            self.head = weight_norm(nn.Linear(4, 3), dim=None)

        def forward(self, x):
            return self.head(self.rnn(self.up(self.conv(x)).transpose(1, 2))[0])

    return Net


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weight_norm_as_parametrizations_and_back(regraft):
    hooks = normed(torch.nn.utils.weight_norm)
    parametrized = normed(torch.nn.utils.parametrizations.weight_norm)
    old, new, theirs = build(hooks, 0), build(parametrized, 1), build(parametrized, 2)
    signal = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(3))
    expected = output_of(old, signal)
    assert not torch.allclose(output_of(new, signal), expected, atol=1e-2)

    state = run(regraft, "weight-norm-to-parametrizations", old.state_dict(), target=new.state_dict())
    theirs.load_state_dict(old.state_dict(), strict=True)  # torch renames them itself
    assert_same(state, theirs.state_dict())
    new.load_state_dict(state, strict=True)
    torch.testing.assert_close(output_of(new, signal), expected)

    back = run(regraft, "parametrizations-to-weight-norm", state, target=old.state_dict())
    assert_same(back, old.state_dict())


def test_gamma_and_beta(regraft):
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=24, max_position_embeddings=20)
    old, new = build(lambda: BertModel(config), 0), build(lambda: BertModel(config), 1)
    ids = torch.arange(12).reshape(2, 6)
    expected = output_of(old, ids)
    assert not torch.allclose(output_of(new, ids), expected, atol=1e-2)

    legacy = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"):
              tensor for name, tensor in old.state_dict().items()}
    assert sum(name.endswith(("gamma", "beta")) for name in legacy) == 10
    state = run(regraft, "bert-gamma-beta", legacy, target=new.state_dict())
    assert_same(state, old.state_dict())
    new.load_state_dict(state, strict=True)
    assert torch.equal(output_of(new, ids), expected)


def small_net():
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3),
                         nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))


def test_counters_of_batchnorm(regraft):
    model = build(small_net, 0)
    state = run(regraft, "drop-num-batches-tracked", model.state_dict())
    assert_same(state, {name: tensor for name, tensor in model.state_dict().items()
                        if name not in ("1.num_batches_tracked", "4.num_batches_tracked")})


@pytest.fixture
def one_process(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_wrappers_in_any_order(regraft, one_process):
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    net = build(small_net, 0)
    expected = net.state_dict()
    for wrapped in (net, DataParallel(net), torch.compile(net), torch.compile(DistributedDataParallel(net)),
                    DistributedDataParallel(torch.compile(DataParallel(net)))):
        assert_same(run(regraft, "strip-wrappers", wrapped.state_dict(), target=expected), expected)

    inside = build(lambda: nn.Sequential(*(torch.compile(one) for one in small_net())), 0)
    assert "0._orig_mod.weight" in inside.state_dict()
    expected = {name.replace("._orig_mod", ""): tensor for name, tensor in inside.state_dict().items()}
    assert_same(run(regraft, "strip-wrappers", DataParallel(inside).state_dict()), expected)

    # Names as FSDP's modules have them, around one another and around activation checkpointing.
    fsdp = {"_fsdp_wrapped_module.blocks.0._fsdp_wrapped_module._checkpoint_wrapped_module.module.weight":
            torch.ones(2), "module._orig_mod._fsdp_wrapped_module.head.bias": torch.zeros(2)}
    assert run(regraft, "strip-wrappers", fsdp).keys() == {"blocks.0.module.weight", "head.bias"}


# --- averages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["ema", "ema_model"])
def test_average_below_a_prefix(regraft, prefix):
    net, average = build(small_net, 0), build(small_net, 1)
    both = nn.ModuleDict({"model": net, prefix: average, "ema_other": build(small_net, 2)})
    options = () if prefix == "ema" else ("--set", f"prefix={prefix}")
    state = run(regraft, "ema-prefix", both.state_dict(), *options, target=net.state_dict())
    expected = output_of(average, images())
    assert not torch.allclose(output_of(net, images()), expected, atol=1e-2)
    assert_same(state, average.state_dict())
    net.load_state_dict(state, strict=True)
    assert torch.equal(output_of(net, images()), expected)
