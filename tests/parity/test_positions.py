"""Position embeddings on another grid, against timm: equal in every bit, the torch being one."""

import itertools

import pytest
import torch
from support import assert_same, statuses


def case(name, source, target, prefix, antialias, mode="bicubic"):
    """A case of the policy. What is the default is left out, so that the defaults are tested too."""
    lines = [f"    - match: {{exact: {name}}}", "      do: interpolate"]
    for key, grid in (("from", source), ("size", target)):
        if grid[0] != grid[1]:
            lines.append(f"      {key}: {list(grid)}")
    if prefix:
        lines.append(f"      prefix_tokens: {prefix}")
    if antialias:
        lines.append("      antialias: true")
    if mode != "bicubic":
        lines.append(f"      mode: {mode}")
    return "\n".join(lines) + "\n"


SPEC = "regraft: 1\npolicy:\n  shape:\n"
GRIDS = [((14, 14), (24, 24)), ((24, 24), (14, 14)), ((10, 14), (24, 9)), ((14, 14), (7, 30))]


def test_as_timm_resamples(regraft):
    from timm.layers import resample_abs_pos_embed

    torch.manual_seed(0)
    old, new, theirs, spec = {}, {}, {}, SPEC
    for grids, prefix, antialias, mode, dtype in itertools.product(
            GRIDS, (0, 1, 5), (True, False), ("bicubic", "bilinear"), (torch.float32, torch.bfloat16)):
        before, after = grids
        name = f"pos_embed.{len(old)}"
        old[name] = torch.randn(1, before[0] * before[1] + prefix, 48).mul(0.02).to(dtype)
        new[name] = torch.randn(1, after[0] * after[1] + prefix, 48).to(dtype)
        theirs[name] = resample_abs_pos_embed(old[name], list(after), list(before), prefix, mode,
                                              antialias)
        spec += case(name, before, after, prefix, antialias, mode)
    torch.save(old, regraft.folder / "old.pt")
    torch.save(new, regraft.folder / "new.pt")
    report = regraft.apply(spec, "old.pt", "new.pt", "resized.pt")
    assert statuses(report) == dict.fromkeys(old, "adapted")
    assert_same(torch.load(regraft.folder / "resized.pt", weights_only=True), theirs)


# Grids of 16 x 16 pixels; what timm makes of the class token and of registers.
MODELS = {
    "class token": ((224, 224), (384, 384), 1, {}),
    "not square": ((160, 224), (384, 144), 1, {}),
    "no prefix": ((224, 224), (384, 384), 0, {"class_token": False, "global_pool": "avg"}),
    "registers": ((384, 384), (224, 224), 5, {"reg_tokens": 4}),
}


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_in_the_model(regraft, kind, antialias):
    from timm import create_model
    from timm.layers import resample_abs_pos_embed

    source, target, prefix, options = MODELS[kind]

    def model(size, seed):
        torch.manual_seed(seed)
        return create_model("vit_tiny_patch16_384", pretrained=False, img_size=size, num_classes=7,
                            depth=2, **options).eval()

    old, theirs, ours = model(source, 0), model(source, 0), model(target, 1)
    torch.save(old.state_dict(), regraft.folder / "old.pt")
    torch.save(ours.state_dict(), regraft.folder / "new.pt")
    before, after = (tuple(one.patch_embed.grid_size) for one in (old, ours))
    report = regraft.apply(SPEC + case("pos_embed", before, after, prefix, antialias),
                           "old.pt", "new.pt", "resized.pt")
    assert [name for name, status in statuses(report).items() if status != "loaded"] == ["pos_embed"]

    theirs.set_input_size(img_size=target)
    if not antialias:                  # set_input_size has no such parameter
        with torch.no_grad():
            theirs.pos_embed.copy_(resample_abs_pos_embed(old.pos_embed, list(after), list(before),
                                                          prefix, antialias=False))
    state = torch.load(regraft.folder / "resized.pt", weights_only=True)
    assert_same(state, theirs.state_dict())
    ours.load_state_dict(state, strict=True)
    torch.manual_seed(2)
    images = torch.randn(2, 3, *target)
    with torch.no_grad():
        result = ours(images)
        assert torch.equal(result, theirs(images))
    assert result.shape == (2, 7) and result.abs().sum() > 0
