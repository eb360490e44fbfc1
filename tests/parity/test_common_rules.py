"""rules/common, each against what a Python library makes of the same weights."""

import copy

import pytest
import torch
from models import build, images, output_of
from safetensors.torch import load_file, save_file
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


@pytest.mark.parametrize("collected", [False, True])
@pytest.mark.parametrize("below", [False, True])
def test_average_as_a_list(regraft, below, collected):
    net, average = build(small_net, 0), build(small_net, 1)
    parameters = [one.detach().clone() for one in average.parameters()]
    # torch_ema.ExponentialMovingAverage.state_dict()
    ema = {"decay": 0.995, "num_updates": 12, "shadow_params": parameters,
           "collected_params": [one.detach() for one in net.parameters()] if collected else None}
    saved = {"model": net.state_dict(), "ema": ema} if below else ema
    state = run(regraft, "ema-shadow-params", saved, target=net.state_dict())

    average.load_state_dict(dict(net.named_buffers()), strict=False)  # it averages no buffers
    expected = output_of(average, images())
    assert not torch.allclose(output_of(net, images()), expected, atol=1e-3)
    assert_same(state, average.state_dict())
    net.load_state_dict(state, strict=True)
    assert torch.equal(output_of(net, images()), expected)


# --- shapes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "channels", "dtype"), [
    ("resnet18", 1, torch.float32), ("resnet18", 4, torch.float32), ("vit_tiny_patch16_224", 2, torch.float32),
    ("vit_tiny_patch16_224", 13, torch.float32), ("vit_tiny_patch16_224", 1, torch.float16),
    ("vit_tiny_patch16_224", 6, torch.float16), ("resnet18", 1, torch.bfloat16), ("resnet18", 5, torch.bfloat16)])
def test_input_channels_as_timm_adapts_them(regraft, name, channels, dtype):
    from timm import create_model
    from timm.models._manipulate import adapt_input_conv

    options = {"img_size": 64, "depth": 1} if name.startswith("vit") else {}
    old, new, theirs = (build(lambda: create_model(name, num_classes=5, **options, in_chans=count), seed)
                        for count, seed in ((3, 0), (channels, 1), (channels, 2)))
    state = old.to(dtype).state_dict()
    conv = "conv1.weight" if name == "resnet18" else "patch_embed.proj.weight"
    by_timm = state | {conv: adapt_input_conv(channels, state[conv])}

    spec = "input-channels-3-to-1" if channels == 1 else "input-channels-3-to-n"
    sets = () if channels in (1, 4) else ("--set", f"channels={channels}")
    ours = run(regraft, spec, state, *sets, target=new.to(dtype).state_dict())
    assert_same(ours, by_timm)
    new.load_state_dict(ours, strict=True)
    theirs.load_state_dict(by_timm, strict=True)
    new, old, theirs = new.float(), old.float(), theirs.float()
    assert torch.equal(output_of(new, images(channels)), output_of(theirs, images(channels)))
    if channels == 1 and dtype == torch.float32:  # a grey image is answered as before
        grey = images(1)
        torch.testing.assert_close(output_of(new, grey), output_of(old, grey.expand(-1, 3, -1, -1)))


class SamePad3d(nn.Conv3d):
    """A convolution over time whose first and last image go on for ever."""

    def forward(self, x):
        before, (high, wide) = (self.kernel_size[0] - 1) // 2, self.padding[1:]
        x = nn.functional.pad(x, (0, 0, 0, 0, before, before), mode="replicate")
        return nn.functional.conv3d(x, self.weight, self.bias, self.stride, (0, high, wide), self.dilation,
                                    self.groups)


def for_video(model, depth):
    """The same model with convolutions over time."""
    for name, child in model.named_children():
        if isinstance(child, nn.Conv2d):
            deep = 1 if child.kernel_size == (1, 1) else depth
            new = SamePad3d(child.in_channels, child.out_channels, (deep, *child.kernel_size),
                            (1, *child.stride), (0, *child.padding), (1, *child.dilation), child.groups,
                            child.bias is not None)
        elif isinstance(child, nn.BatchNorm2d):
            new = nn.BatchNorm3d(child.num_features)
        elif isinstance(child, nn.MaxPool2d):
            new = nn.MaxPool3d((1, child.kernel_size, child.kernel_size), (1, child.stride, child.stride),
                               (0, child.padding, child.padding))
        elif isinstance(child, nn.AdaptiveAvgPool2d):
            new = nn.AdaptiveAvgPool3d(1)
        else:
            new = for_video(child, depth)
        setattr(model, name, new)
    return model


@pytest.mark.parametrize("depth", [3, 5])
def test_a_film_in_which_nothing_moves(regraft, depth):
    from torchvision.models import resnet18

    image = build(lambda: resnet18(num_classes=5), 0)
    video = build(lambda: for_video(resnet18(num_classes=5), depth), 1)
    film = images(size=32).unsqueeze(2).expand(-1, -1, 4, -1, -1)
    expected = output_of(image, images(size=32))
    assert not torch.allclose(output_of(video, film), expected, atol=1e-2)

    sets = () if depth == 3 else ("--set", f"depth={depth}")
    state = run(regraft, "inflate-2d-to-3d", image.state_dict(), *sets, target=video.state_dict())
    stem = image.conv1.weight.detach()
    assert torch.equal(state["conv1.weight"], stem.unsqueeze(2).repeat(1, 1, depth, 1, 1) / depth)
    video.load_state_dict(state, strict=True)
    torch.testing.assert_close(output_of(video, film), expected, rtol=1e-4, atol=1e-4)


# --- arithmetic ---------------------------------------------------------------------------------


def test_batchnorm_of_a_residual_net(regraft):
    from torch.fx.experimental.optimization import fuse
    from torchvision.models import resnet18

    old = build(lambda: resnet18(num_classes=5), 0)
    theirs, ours = fuse(copy.deepcopy(old)), fuse(build(lambda: resnet18(num_classes=5), 1))
    state = run(regraft, "fold-batchnorm", old.state_dict(), target=ours.state_dict())
    assert state.keys() == theirs.state_dict().keys() and "layer2.0.downsample.0.bias" in state
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-6, atol=1e-6, msg=name)
    assert not torch.allclose(output_of(ours, images()), output_of(old, images()), atol=1e-2)
    ours.load_state_dict(state, strict=True)
    torch.testing.assert_close(output_of(ours, images()), output_of(theirs, images()), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output_of(ours, images()), output_of(old, images()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_batchnorm_behind_convolutions_of_all_kinds(regraft, dtype):
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    kinds = {"plain": nn.Conv2d(4, 6, 3, bias=False), "bias": nn.Conv2d(4, 6, 3),
             "depthwise": nn.Conv2d(4, 8, 3, groups=4), "pointwise": nn.Conv2d(4, 6, 1, bias=False)}
    model = build(lambda: nn.ModuleDict({
        **{name: nn.ModuleDict({"conv": conv, "bn": nn.BatchNorm2d(conv.out_channels, eps=1e-3)})
           for name, conv in kinds.items()},
        "alone": nn.ModuleDict({"conv": nn.Conv2d(4, 6, 3)})}), 0).to(dtype)
    expected = dict(model["alone"].state_dict(prefix="alone."))
    for name in kinds:
        fused = fuse_conv_bn_eval(model[name]["conv"], model[name]["bn"])
        expected |= {f"{name}.conv.weight": fused.weight.detach(), f"{name}.conv.bias": fused.bias.detach()}
    state = run(regraft, "fold-batchnorm", model.state_dict(), "--set", "eps=0.001")
    assert state.keys() == expected.keys()
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-14, torch.bfloat16: 2e-2}[dtype]
    for name, tensor in expected.items():
        assert state[name].dtype == dtype
        torch.testing.assert_close(state[name], tensor, rtol=tolerance, atol=tolerance)
    assert_same({name: state[name] for name in state if name.startswith("alone")},
                dict(model["alone"].state_dict(prefix="alone.")))


def dequantised(weight, scale, block=128):
    """Block by block, as it is written down."""
    result = torch.empty(weight.shape, dtype=torch.float32)
    for row in range(0, weight.shape[0], block):
        for column in range(0, weight.shape[1], block):
            here = (slice(row, row + block), slice(column, column + block))
            result[here] = weight[here].float() * scale[row // block, column // block]
    return result.bfloat16()


def test_blocks_of_float8(regraft):
    torch.manual_seed(0)
    state, expected = {}, {}
    for name, (rows, columns) in {"square": (256, 256), "edges": (200, 300), "row": (1, 129),
                                  "small": (7, 5)}.items():
        weight = (torch.randn(rows, columns) * 50).to(torch.float8_e4m3fn)
        scale = torch.rand(-(-rows // 128), -(-columns // 128)) * 0.01 + 1e-4
        state |= {f"{name}.weight": weight, f"{name}.weight_scale_inv": scale}
        expected[f"{name}.weight"] = dequantised(weight, scale)
    state |= {"norm.weight": torch.randn(8).bfloat16(), "head.weight": torch.randn(4, 8)}
    expected |= {name: state[name] for name in ("norm.weight", "head.weight")}
    save_file(state, regraft.folder / "fp8.safetensors")
    regraft("apply", COMMON / "fp8-block-scales.yaml", "fp8.safetensors", "-o", "bf16.safetensors",
            "--force", "--no-sync")
    assert_same(load_file(regraft.folder / "bf16.safetensors"), expected)
