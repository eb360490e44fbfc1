"""A real checkpoint of a real model: inspected, moved under other names and back, given another
vocabulary and fewer positions, and loaded.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import assert_same, statuses, write_schema

EXAMPLES = Path(__file__).resolve().parents[2] / "rules" / "examples"


@pytest.fixture(scope="module")
def renamed(regraft, original):
    """The checkpoint as .pt, below `encoder.`, with gamma and beta; and its report."""
    regraft("apply", EXAMPLES / "bert-prefix-gamma-beta.yaml", original, "-o", "renamed.pt",
            "--report", "renamed.json", "--digest-inputs", "--verify-output")
    return regraft.folder / "renamed.pt", json.loads((regraft.folder / "renamed.json").read_text())


@pytest.fixture(scope="module")
def back(regraft, renamed):
    """And back; with its report."""
    regraft("apply", EXAMPLES / "bert-back.yaml", renamed[0], "-o", "back.safetensors",
            "--report", "back.json", "--verify-output")
    path = regraft.folder / "back.safetensors"
    return path, json.loads((regraft.folder / "back.json").read_text())


def old_name(name):
    """What a name is called below the prefix."""
    name = name.replace(".LayerNorm.weight", ".LayerNorm.gamma")
    return "encoder." + name.replace(".LayerNorm.bias", ".LayerNorm.beta")


def test_inspect_lists_every_tensor(regraft, original, tensors):
    keys = regraft("inspect", original, "--keys").splitlines()
    assert sorted(keys) == sorted(tensors)
    assert len(keys) > 100

    listed = json.loads(regraft("inspect", original, "--json"))["tensors"]
    assert {one["name"]: (one["dtype"], one["shape"]) for one in listed} == {
        name: (str(tensor.dtype).removeprefix("torch."), list(tensor.shape))
        for name, tensor in tensors.items()}


def test_schema_plans_like_the_checkpoint(regraft, original):
    (regraft.folder / "bert.yaml").write_text(regraft("inspect", original, "--schema"))
    from_schema = json.loads(regraft("plan", EXAMPLES / "bert-prefix-gamma-beta.yaml",
                                     "bert.yaml", "--json"))
    from_file = json.loads(regraft("plan", EXAMPLES / "bert-prefix-gamma-beta.yaml", original,
                                   "--json"))
    assert from_schema["tensors"] == from_file["tensors"]


@pytest.mark.parametrize("mmap", [False, True])
def test_pt_loads_in_torch(renamed, tensors, mmap):
    loaded = torch.load(renamed[0], weights_only=True, mmap=mmap)
    assert_same(loaded, {old_name(name): tensor for name, tensor in tensors.items()})


def test_order_is_kept(regraft, original, renamed, back):
    keys = regraft("inspect", original, "--keys").splitlines()
    assert regraft("inspect", renamed[0], "--keys").splitlines() == [old_name(k) for k in keys]
    assert regraft("inspect", back[0], "--keys").splitlines() == keys


def test_round_trip_is_equal_in_every_bit(back, tensors):
    assert_same(load_file(back[0]), tensors)


def test_reports_agree(renamed, back, tensors):
    for _, report in (renamed, back):
        assert report["verdict"] == "ok"
        assert report["totals"]["loaded"]["tensors"] == len(tensors)
        assert {one["status"] for one in report["tensors"]} == {"loaded"}
        assert {one["disposition"] for one in report["sources"]} == {"used"}
    there = {one["sources"][0]: one["digest"] for one in renamed[1]["tensors"]}
    here = {one["name"]: one["digest"] for one in back[1]["tensors"]}
    assert there == here and all(there.values())


def test_same_inputs_same_bytes(regraft, original, renamed):
    regraft("apply", EXAMPLES / "bert-prefix-gamma-beta.yaml", original, "-o", "again.pt",
            "--no-sync")
    assert (regraft.folder / "again.pt").read_bytes() == renamed[0].read_bytes()


def config_of(package_files, **changes):
    from transformers import BertConfig

    config = BertConfig.from_json_file(str(package_files["config.json"]))
    config.update(changes)
    return config


def write_model_schema(path, config):
    from transformers import BertModel

    with torch.device("meta"):
        write_schema(path, BertModel(config).state_dict())


def output_of(config, path):
    """What the model makes of 2 times 32 tokens, 12 of which are masked."""
    from transformers import BertModel

    torch.manual_seed(0)
    model = BertModel(config).eval()
    model.load_state_dict(load_file(path), strict=True)
    ids = torch.arange(1000, 1064).reshape(2, 32)
    mask = torch.ones_like(ids)
    mask[1, 20:] = 0
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).last_hidden_state


@pytest.fixture(scope="module")
def before(regraft, package_files, original):
    """The output of the model as it was published."""
    config = config_of(package_files)
    # The model of today makes position_ids itself and has no such name.
    write_model_schema(regraft.folder / "model.json", config)
    regraft("apply", original, "-t", "model.json", "-o", "before.safetensors",
            "-e", r"drop: '\.position_ids$'")
    output = output_of(config, regraft.folder / "before.safetensors")
    assert output.abs().sum() > 0
    return output


def test_round_trip_in_the_model(regraft, package_files, back, before):
    regraft("apply", back[0], "-t", "model.json", "-o", "after.safetensors",
            "-e", r"drop: '\.position_ids$'")
    after = output_of(config_of(package_files), regraft.folder / "after.safetensors")
    assert torch.equal(before, after)


def test_more_tokens_and_fewer_positions(regraft, package_files, original, tensors, before):
    words, positions = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
    size, width = tensors[words].shape
    config = config_of(package_files, vocab_size=size + 8, max_position_embeddings=256)
    write_model_schema(regraft.folder / "resized.json", config)
    report = regraft.apply(r"""
        regraft: 1
        rules:
          - drop: '\.position_ids$'
        policy:
          shape:
            - match: '\.word_embeddings\.'
              do: pad
              dims: [0]
              fill: 0.25
            - match: '\.position_embeddings\.'
              do: slice
              dims: [0]
        """, original, "resized.json", "resized.safetensors")

    new = load_file(regraft.folder / "resized.safetensors")
    assert new[words].shape == (size + 8, width) and new[positions].shape == (256, width)
    expected = {name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")}
    expected[words] = torch.cat([tensors[words], torch.full((8, width), 0.25)])
    expected[positions] = tensors[positions][:256]
    assert_same(new, expected)
    assert [name for name, status in statuses(report).items() if status != "loaded"] == [words, positions]
    # Nothing but the 8 new rows is not of the checkpoint.
    elements = sum(tensor.numel() for tensor in expected.values())
    assert report["coverage"]["elements"] == elements
    assert report["coverage"]["elements_loaded"] == elements - 8 * width

    assert torch.equal(output_of(config, regraft.folder / "resized.safetensors"), before)
