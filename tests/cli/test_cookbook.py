"""docs/cookbook.md: every spec on the page does to a checkpoint what plain torch does to it.

A recipe is named as its block on the page and gives the source, what is expected, and the target if the
spec needs one; then an adapter and its configuration. A block without a recipe, or the other way round, is a failure.
"""

import json
from pathlib import Path

import pytest
import torch
from pages import Page
from safetensors.torch import save_file
from torch.nn.functional import interpolate

PAGE = Page.read(Path(__file__).resolve().parents[2] / "docs" / "cookbook.md")
SPECS = [name for name in PAGE.files if name.endswith(".yaml")]
RECIPES = {}


def recipe(function):
    RECIPES[function.__name__.replace("_", "-") + ".yaml"] = function
    return function


def drawn(shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}



# --- names --------------------------------------------------------------------------------------

ENCODER = {"model.encoder.fc.weight": (4, 3), "model.encoder.fc.bias": (4,), "model.head.weight": (2, 4)}


@recipe
def prefix():
    old = drawn(ENCODER)
    return old, {name.replace("model.encoder.", "backbone."): tensor for name, tensor in old.items()}


@recipe
def part():
    old = drawn(ENCODER)
    return old, {name: old[f"model.encoder.{name}"] for name in ("fc.weight", "fc.bias")}


# --- rows ---------------------------------------------------------------------------------------


def classifier(classes, seed=0):
    return drawn({"conv.weight": (4, 3, 3, 3), "fc.weight": (classes, 4), "fc.bias": (classes,)}, seed)


@recipe
def head():
    def check(new):
        assert abs(new["fc.weight"]).max() < 0.06 and new["fc.weight"].std() > 0.004
        assert torch.equal(new["fc.bias"], torch.zeros(12))

    old = classifier(10)
    return old, {"conv.weight": old["conv.weight"], "fc.weight": check, "fc.bias": check}, classifier(12, 1)


@recipe
def classes():
    old, chosen = classifier(10), [7, 0, 3]
    return old, old | {name: old[name][chosen] for name in ("fc.weight", "fc.bias")}


@recipe
def more_classes():
    old, new = classifier(10), classifier(12, 1)
    return old, old | {name: torch.cat([old[name], new[name][10:]]) for name in ("fc.weight", "fc.bias")}, new


@recipe
def vocabulary():
    old = drawn({"embed_tokens.weight": (10, 4), "lm_head.weight": (10, 4), "norm.weight": (4,)})
    rows = [0, 1, 2, 9, 4, 4, 7]
    return old, old | {name: old[name][rows] for name in ("embed_tokens.weight", "lm_head.weight")}


def resized(positions, size, rows=4):
    grid = positions[:, 1:].reshape(1, rows, -1, positions.shape[-1]).permute(0, 3, 1, 2)
    grid = interpolate(grid, size=size, mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)


@recipe
def positions():
    old = drawn({"pos_embed": (1, 1 + 4 * 4, 8), "norm.weight": (8,)})
    new = drawn({"pos_embed": (1, 1 + 6 * 6, 8), "norm.weight": (8,)}, 1)
    return old, old | {"pos_embed": resized(old["pos_embed"], (6, 6))}, new


@recipe
def positions_to_size():
    old = drawn({"pos_embed": (1, 1 + 4 * 4, 8), "norm.weight": (8,)})
    return old, old | {"pos_embed": resized(old["pos_embed"], (5, 7))}


# --- attention ----------------------------------------------------------------------------------


def attention(q, k, v, width=8):
    shapes = {f"layers.{layer}.attn.{name}_proj.{kind}": (rows, width)[:2 if kind == "weight" else 1]
              for layer in range(2) for name, rows in (("q", q), ("k", k), ("v", v))
              for kind in ("weight", "bias")}
    return drawn(shapes | {"norm.weight": (width,)})


def fused(separate, name="qkv_proj", order=lambda q, k, v: torch.cat([q, k, v])):
    """The layers of a separate state dict with one tensor for three."""
    result = {"norm.weight": separate["norm.weight"]}
    for key, q in separate.items():
        if ".q_proj." in key:
            k, v = (separate[key.replace(".q_proj.", f".{other}_proj.")] for other in "kv")
            result[key.replace("q_proj", name)] = order(q, k, v)
    return result


@recipe
def fuse_qkv():
    old = attention(16, 8, 8)
    return old, fused(old)


@recipe
def split_qkv():
    new = attention(8, 8, 8)
    return fused(new), new


@recipe
def split_grouped_qkv():
    new = attention(32, 8, 8)
    return fused(new), new


@recipe
def split_interleaved_qkv():
    def order(*three):
        heads = [tensor.unflatten(0, (4, -1)) for tensor in three]
        return torch.cat([one[head] for head in range(4) for one in heads])

    new = attention(16, 16, 16)
    return fused(new, "query_key_value", order), new


@recipe
def split_interleaved_groups():
    def order(q, k, v):
        q, k, v = (tensor.unflatten(0, (-1, 4)) for tensor in (q, k, v))
        return torch.cat([row for group in range(2)
                          for row in (*q[4 * group:4 * group + 4], k[group], v[group])])

    new = {name: tensor for name, tensor in attention(32, 8, 8).items() if not name.endswith("bias")}
    return fused(new, "wqkv", order), new


def of_meta():
    return drawn({"layers.0.attention.wq.weight": (8 * 6, 8), "layers.0.attention.wk.weight": (2 * 6, 8),
                  "layers.0.attention.wv.weight": (2 * 6, 8)})


def in_halves():
    """As transformers' conversion of llama weights writes it."""
    def permute(weight, heads):
        rows, columns = weight.shape
        return weight.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)

    old = of_meta()
    return {"layers.0.attention.q_proj.weight": permute(old["layers.0.attention.wq.weight"], 8),
            "layers.0.attention.k_proj.weight": permute(old["layers.0.attention.wk.weight"], 2),
            "layers.0.attention.wv.weight": old["layers.0.attention.wv.weight"]}


@recipe
def rotary_to_halves():
    return of_meta(), in_halves()


@recipe
def rotary_to_neighbours():
    return in_halves(), of_meta()


# --- experts ------------------------------------------------------------------------------------


def experts():
    return drawn({f"layers.{layer}.mlp.experts.{expert}.{name}.weight": shape
                  for layer in range(2) for expert in range(12)
                  for name, shape in (("gate_proj", (6, 4)), ("up_proj", (6, 4)), ("down_proj", (4, 6)))})


def experts_in_one():
    one = experts()

    def stacked(layer, *names):
        return torch.stack([torch.cat([one[f"layers.{layer}.mlp.experts.{expert}.{name}.weight"]
                                       for name in names]) for expert in range(12)])

    return {f"layers.{layer}.mlp.experts.{new}": stacked(layer, *names) for layer in range(2)
            for new, names in (("gate_up_proj", ["gate_proj", "up_proj"]), ("down_proj", ["down_proj"]))}


@recipe
def fuse_experts():
    return experts(), experts_in_one()


@recipe
def split_experts():
    return experts_in_one(), experts()


# --- several sources, shipped rules -------------------------------------------------------------


@recipe
def lora():
    old = drawn({"layers.0.q_proj.weight": (6, 4), "layers.0.q_proj.bias": (6,), "layers.1.q_proj.weight": (6, 4),
                 "norm.weight": (4,)})
    name = "base_model.model.layers.1.q_proj"
    adapter = drawn({f"{name}.lora_A.weight": (2, 4), f"{name}.lora_B.weight": (6, 2)}, 1)
    change = (12 / 2) * (adapter[f"{name}.lora_B.weight"] @ adapter[f"{name}.lora_A.weight"])
    merged = old["layers.1.q_proj.weight"] + change
    return old, old | {"layers.1.q_proj.weight": merged}, None, adapter, {"lora_alpha": 12, "r": 2}


@recipe
def channels():
    old = drawn({"conv1.weight": (4, 3, 5, 5), "conv1.bias": (4,), "fc.weight": (2, 4)})
    return old, old | {"conv1.weight": old["conv1.weight"][:, [0, 1, 2, 0]] * (3 / 4)}


@recipe
def channels_of_zeros():
    old = drawn({"conv1.weight": (4, 3, 5, 5), "conv1.bias": (4,), "fc.weight": (2, 4)})
    return old, old | {"conv1.weight": torch.cat([old["conv1.weight"], torch.zeros(4, 1, 5, 5)], 1)}


def batchnormed(seed=0):
    return drawn({"conv.weight": (4, 3, 5, 5), "bn.weight": (4,), "bn.bias": (4,), "bn.running_mean": (4,),
                  "bn.running_var": (4,)}, seed) | {"bn.num_batches_tracked": torch.tensor(seed)}


@recipe
def average():
    average = batchnormed(1)
    old = {f"model.{name}": tensor for name, tensor in batchnormed().items()}
    return old | {f"ema_model.{name}": tensor for name, tensor in average.items()}, average


@recipe
def average_as_a_list():
    average, model = batchnormed(1), batchnormed()
    names = ["conv.weight", "bn.weight", "bn.bias"]
    old = {"decay": 0.99, "num_updates": 3, "shadow_params": [average[name] for name in names],
           "collected_params": None}
    return old, model | {name: average[name] for name in names}, model


# --- running them -------------------------------------------------------------------------------


def rounding(name):
    """Where a sum is in no order that torch promises. What only moves has the same bits."""
    return 1e-6 if name == "lora.yaml" else 0


def test_every_spec_has_a_recipe():
    assert sorted(RECIPES) == sorted(SPECS) and len(SPECS) > 10


@pytest.mark.parametrize("name", SPECS)
def test_recipe(regraft, tmp_path, name):
    for file, text in PAGE.files.items():
        (tmp_path / file).write_text(text)
    source, expected, target, adapter, config = (*RECIPES[name](), None, None, None)[:5]
    torch.save(source, tmp_path / "old.pt")
    options = []
    if adapter:
        save_file(adapter, tmp_path / "adapter_model.safetensors")
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        options += ["lora=adapter_model.safetensors"]
    if target:
        torch.save(target, tmp_path / "model.pt")
        options += ["-t", "model.pt"]
    regraft("apply", name, "old.pt", *options, "-o", "new.pt", "--no-sync")
    new = torch.load(tmp_path / "new.pt", weights_only=True)
    assert new.keys() == expected.keys()
    assert new.keys() != source.keys() or any(not torch.equal(new[key], source[key]) for key in new)
    for key, tensor in expected.items():
        if callable(tensor):
            tensor(new)
        else:
            torch.testing.assert_close(new[key], tensor, rtol=rounding(name), atol=rounding(name))
