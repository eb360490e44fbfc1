"""Adapters of peft, merged: equal to merge_and_unload()."""

import copy

import pytest
import torch
from models import build, images, output_of
from support import RULES

SPEC = RULES / "common" / "lora-merge.yaml"
IDS = torch.arange(12).reshape(2, 6)


def bert():
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                                intermediate_size=24, max_position_embeddings=20))


def gpt2():
    from transformers import GPT2Config, GPT2Model

    return GPT2Model(GPT2Config(vocab_size=50, n_positions=20, n_embd=16, n_layer=2, n_head=2))


def resnet():
    from torchvision.models import resnet18

    return resnet18(num_classes=5)


# A model, an input, and what LoraConfig is given.
CASES = {
    "linear": (bert, IDS, {"target_modules": ["query", "value"], "r": 4, "lora_alpha": 12}),
    "embeddings": (bert, IDS, {"target_modules": ["word_embeddings", "key"], "r": 4, "lora_alpha": 6}),
    "ranks of their own": (bert, IDS, {"target_modules": ["query", "dense"], "r": 4, "lora_alpha": 12,
                                       "rank_pattern": {"query": 2, "output.dense": 7}}),
    "alphas of their own": (bert, IDS, {"target_modules": ["query", "value"], "r": 4, "lora_alpha": 12, "alpha_pattern": {
        "value": 5, "encoder.layer.1.attention.self.query": 20}}),
    "rank-stabilised": (bert, IDS, {"target_modules": ["query", "word_embeddings"], "r": 8,
                                    "lora_alpha": 12, "use_rslora": True}),
    "inputs x outputs": (gpt2, IDS, {"target_modules": ["c_attn", "c_proj"], "r": 4, "lora_alpha": 8,
                                     "fan_in_fan_out": True}),
    "rank-stabilised, inputs x outputs": (gpt2, IDS, {
        "target_modules": ["c_attn", "wte"], "r": 4, "lora_alpha": 8, "fan_in_fan_out": True,
        "use_rslora": True}),
    "convolutions": (resnet, images(size=32), {"target_modules": ["conv1", "downsample.0", "fc"], "r": 4,
                                               "lora_alpha": 2}),
}


def with_adapter(model, folder, **options):
    """A model with an adapter that was trained, which it saves in the folder."""
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(**options)).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, one in adapted.named_parameters():
            if "lora_" in name:        # as it begins, one of the two is nought
                one.copy_(torch.randn(one.shape, generator=generator) * 0.2)
    adapted.save_pretrained(folder)
    return adapted


@pytest.mark.parametrize("case", CASES)
def test_as_peft_merges(regraft, case):
    constructor, data, options = CASES[case]
    base = build(constructor, 0)
    torch.save(base.state_dict(), regraft.folder / "base.pt")
    adapted = with_adapter(base, regraft.folder / "adapter", **options)
    merged = adapted.merge_and_unload().state_dict()
    regraft("apply", SPEC, "base.pt", "lora=adapter/adapter_model.safetensors", "-t", "base.pt",
            "-o", "merged.pt", "--force", "--no-sync")
    state = torch.load(regraft.folder / "merged.pt", weights_only=True)

    assert state.keys() == merged.keys()
    changed = {name for name, tensor in base.state_dict().items() if not torch.equal(tensor, merged[name])}
    assert changed
    for name, tensor in merged.items():
        if name in changed:
            torch.testing.assert_close(state[name], tensor, rtol=1e-6, atol=1e-6, msg=name)
        else:
            assert torch.equal(state[name], tensor), name
    ours, theirs = build(constructor, 1), build(constructor, 2)
    ours.load_state_dict(state, strict=True)
    theirs.load_state_dict(merged, strict=True)
    result = output_of(ours, data)
    torch.testing.assert_close(result, output_of(theirs, data), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(result, output_of(base, data), atol=1e-2)


def test_what_it_does_not_merge_is_named(regraft):
    """A whole module beside the adapter: nobody would notice if it were left out."""
    base = build(bert, 0)
    torch.save(base.state_dict(), regraft.folder / "base.pt")
    with_adapter(base, regraft.folder / "more", target_modules=["query"], modules_to_save=["pooler"])
    for target in (("-t", "base.pt"), ()):
        told = regraft("plan", SPEC, "base.pt", "lora=more/adapter_model.safetensors", *target, status=1)
        unexpected = told[told.index(" unexpected"):]
        assert "lora::base_model.model.pooler.dense.{bias,weight}" in unexpected, told
        assert "lora_A" not in unexpected
