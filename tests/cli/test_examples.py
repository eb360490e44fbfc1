"""rules/examples do what people do by hand today, bit for bit; and every page shows what happens.

Pages are README.md and docs/**/*.md; pages.py says what is in them.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jsonschema
import pytest
import torch
import yaml
from pages import Page, expected_pattern, normal
from torch import nn

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "rules" / "examples"

# --- loading by hand, and by a spec -------------------------------------------------------------


class Saved(nn.Module):
    """What was trained: two layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.conv2 = nn.Conv2d(16, 3, 3)


class MoreLayers(Saved):
    """The model got a layer."""

    def __init__(self):
        super().__init__()
        self.conv3 = nn.Conv2d(3, 8, 3)


class Renamed(nn.Module):
    """conv2 has other sizes and another name."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.conv2_new = nn.Conv2d(16, 32, 3)


class Wider(nn.Module):
    """conv2 has other sizes under its old name."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)


def state_of(model_class, seed):
    torch.manual_seed(seed)
    return model_class().state_dict()


def assert_same(actual, expected):
    """Equal names in one order, dtypes, shapes and bits."""
    assert list(actual) == list(expected)
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype, name
        assert actual[name].shape == tensor.shape, name
        assert (actual[name].contiguous().view(torch.uint8).tolist()
                == tensor.contiguous().view(torch.uint8).tolist()), name


def load_strictly(model_class, path):
    """A fresh model with the file's tensors, and nothing of the model's own."""
    torch.manual_seed(12345)
    model = model_class()
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state, strict=True)
    return model.state_dict()


@pytest.fixture
def migrate(regraft, tmp_path):
    """migrate(SPEC, MODEL_CLASS): the state of a model that loaded the migrated file strictly."""
    saved, own = state_of(Saved, 0), {}
    torch.save(saved, tmp_path / "saved.pt")

    def run(spec, model_class, suffix=".pt"):
        own.update(state_of(model_class, 1))
        torch.save(state_of(model_class, 1), tmp_path / "model.pt")
        output = "new" + suffix
        regraft("apply", EXAMPLES / spec, "saved.pt", "-t", "model.pt", "-o", output)
        return load_strictly(model_class, tmp_path / output), saved, own

    return run


def test_plain_load(migrate):
    loaded, saved, own = migrate("01-plain-load.yaml", Saved)
    assert not torch.equal(saved["conv1.weight"], own["conv1.weight"])
    assert_same(loaded, saved)


def test_plain_load_names_what_is_missing(regraft, tmp_path):
    torch.save(state_of(Saved, 0), tmp_path / "saved.pt")
    torch.save(state_of(MoreLayers, 1), tmp_path / "model.pt")
    before = sorted(os.listdir(tmp_path))
    result = regraft("apply", EXAMPLES / "01-plain-load.yaml", "saved.pt", "-t", "model.pt",
                     "-o", "new.pt", status=1)
    for text in (result.stdout, result.stderr):
        assert "conv3" in text and "conv1" not in text and "conv2" not in text
    assert "error[missing]" in result.stderr
    assert sorted(os.listdir(tmp_path)) == before

    with pytest.raises(RuntimeError, match="Missing key.*conv3.weight.*conv3.bias"):
        MoreLayers().load_state_dict(torch.load(tmp_path / "saved.pt"), strict=True)


def test_load_what_is_common(migrate):
    loaded, saved, own = migrate("02-load-what-is-common.yaml", MoreLayers)
    assert_same(loaded, saved | {"conv3.weight": own["conv3.weight"],
                                 "conv3.bias": own["conv3.bias"]})
    # What strict=False makes of the same model.
    torch.manual_seed(1)
    by_hand = MoreLayers()
    by_hand.load_state_dict(saved, strict=False)
    assert_same(loaded, by_hand.state_dict())


def test_load_what_is_common_still_sees_a_mistake(regraft, tmp_path):
    saved = state_of(Saved, 0)
    del saved["conv1.bias"]
    torch.save(saved, tmp_path / "saved.pt")
    torch.save(state_of(MoreLayers, 1), tmp_path / "model.pt")
    result = regraft("plan", EXAMPLES / "02-load-what-is-common.yaml", "saved.pt",
                     "-t", "model.pt", status=1)
    assert "conv1.bias" in result.stdout


def test_layer_renamed(migrate):
    loaded, saved, own = migrate("03a-layer-renamed.yaml", Renamed)
    assert_same(loaded, own | {"conv1.weight": saved["conv1.weight"],
                               "conv1.bias": saved["conv1.bias"]})
    torch.manual_seed(1)
    by_hand = Renamed()
    by_hand.load_state_dict(saved, strict=False)
    assert_same(loaded, by_hand.state_dict())


def test_list_of_names(migrate):
    loaded, saved, own = migrate("03b-list-of-names.yaml", Wider)
    torch.manual_seed(1)
    by_hand = Wider()
    chosen = ["conv1.weight", "conv1.bias"]
    by_hand.load_state_dict({name: saved[name] for name in chosen}, strict=False)
    assert_same(loaded, by_hand.state_dict())
    assert_same(loaded, own | {name: saved[name] for name in chosen})


def test_list_of_names_sees_a_typing_error(regraft, tmp_path):
    saved = state_of(Saved, 0)
    torch.save({name.replace("bias", "offset"): t for name, t in saved.items()},
               tmp_path / "saved.pt")
    result = regraft("plan", EXAMPLES / "03b-list-of-names.yaml", "saved.pt", status=1)
    assert "error[count-unmet]" in result.stderr


def test_plain_load_names_what_has_another_shape(regraft, tmp_path):
    torch.save(state_of(Saved, 0), tmp_path / "saved.pt")
    torch.save(state_of(Wider, 1), tmp_path / "model.pt")
    result = regraft("plan", EXAMPLES / "01-plain-load.yaml", "saved.pt", "-t", "model.pt",
                     status=1)
    assert "error[shape-mismatch]" in result.stderr
    assert "conv2" in result.stdout and "conv1" not in result.stdout


def test_skip_on_mismatch(migrate, regraft, tmp_path):
    loaded, saved, own = migrate("03c-skip-on-mismatch.yaml", Wider)
    torch.manual_seed(1)
    by_hand = Wider()
    fits = {name: tensor for name, tensor in saved.items() if tensor.shape == own[name].shape}
    by_hand.load_state_dict(fits, strict=False)
    assert_same(loaded, by_hand.state_dict())

    plan = regraft("plan", EXAMPLES / "03c-skip-on-mismatch.yaml", "saved.pt", "-t", "model.pt",
                   "--json")
    status = {tensor["name"]: tensor["status"] for tensor in json.loads(plan.stdout)["tensors"]}
    assert status == {"conv1.weight": "loaded", "conv1.bias": "loaded",
                      "conv2.weight": "skipped", "conv2.bias": "skipped"}


def test_keep_and_pad(migrate, regraft, tmp_path):
    loaded, saved, own = migrate("03d-keep-and-pad.yaml", Wider)
    torch.manual_seed(1)
    by_hand = Wider()
    with torch.no_grad():
        for name in ("weight", "bias"):
            getattr(by_hand.conv1, name).copy_(saved[f"conv1.{name}"])
            getattr(by_hand.conv2, name)[:3].copy_(saved[f"conv2.{name}"])
    assert_same(loaded, by_hand.state_dict())
    for name in ("conv2.weight", "conv2.bias"):
        assert torch.equal(loaded[name][3:], own[name][3:])
        assert not torch.equal(loaded[name][:3], own[name][:3])

    # The old outputs are the old ones.
    image = torch.randn(2, 3, 9, 9)
    models = []
    for model_class, state in ((Saved, saved), (Wider, loaded)):
        models.append(model_class())
        models[-1].load_state_dict(state, strict=True)
    before, after = (model.conv2(model.conv1(image)) for model in models)
    assert after.shape == (2, 32, 5, 5)
    torch.testing.assert_close(after[:, :3], before)

    plan = regraft("plan", EXAMPLES / "03d-keep-and-pad.yaml", "saved.pt", "-t", "model.pt", "--json")
    copied = {tensor["name"]: tensor["copied"] for tensor in json.loads(plan.stdout)["tensors"]
              if tensor["status"] == "adapted"}
    rows, whole = [0, 3], [[0, 16], [0, 3], [0, 3]]
    assert copied == {"conv2.weight": {"from": [rows, *whole], "to": [rows, *whole]},
                      "conv2.bias": {"from": [rows], "to": [rows]}}


def test_keep_and_pad_is_about_the_outputs_alone(regraft, tmp_path):
    saved = state_of(Saved, 0)
    saved["conv2.weight"] = saved["conv2.weight"][:, :8].clone()
    torch.save(saved, tmp_path / "saved.pt")
    torch.save(state_of(Wider, 1), tmp_path / "model.pt")
    result = regraft("plan", EXAMPLES / "03d-keep-and-pad.yaml", "saved.pt", "-t", "model.pt", status=1)
    assert "error[shape-mismatch]" in result.stderr and "conv2.weight" in result.stderr


def test_the_same_into_safetensors(regraft, tmp_path):
    from safetensors.torch import load_file
    saved = state_of(Saved, 0)
    torch.save(saved, tmp_path / "saved.pt")
    torch.save(state_of(MoreLayers, 1), tmp_path / "model.pt")
    regraft("apply", EXAMPLES / "02-load-what-is-common.yaml", "saved.pt", "-t", "model.pt",
            "-o", "new.safetensors")
    loaded = load_file(tmp_path / "new.safetensors")
    expected = saved | {name: tensor for name, tensor in state_of(MoreLayers, 1).items()
                        if name.startswith("conv3.")}
    assert_same({name: loaded[name] for name in expected}, expected)


# --- the shipped specs as files -----------------------------------------------------------------

SPECS = sorted((REPOSITORY / "rules").rglob("*.yaml"))


def spec_id(path):
    return path.relative_to(REPOSITORY / "rules").as_posix()


def test_spec_is_listed():
    readme = (REPOSITORY / "rules" / "README.md").read_text()
    listed = set(re.findall(r"\]\(([\w/.-]+\.yaml)\)", readme))
    assert listed == {spec_id(path) for path in SPECS}


@pytest.mark.parametrize("spec", SPECS, ids=spec_id)
def test_spec_is_sound(regraft, spec):
    assert regraft("check", spec).stdout == f"{spec}: ok\n"


@pytest.mark.parametrize("spec", SPECS, ids=spec_id)
def test_spec_fits_the_json_schema(regraft, spec):
    schema = json.loads(regraft("schema", "spec").stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(spec.read_text()))


@pytest.mark.parametrize("spec", SPECS, ids=spec_id)
def test_spec_names_its_schema(spec):
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", spec.read_text())
    assert named, "the first line is for editors"
    assert (spec.parent / named[1]).resolve() == REPOSITORY / "schemas" / "spec.v1.json"


# --- the demo -----------------------------------------------------------------------------------


def test_demo_without_a_package_index(program, tmp_path):
    shutil.copytree(REPOSITORY / "rules", tmp_path / "rules")
    shutil.copytree(REPOSITORY / "tests" / "demo", tmp_path / "tests" / "demo")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    environment |= {"REGRAFT": str(program), "PYTHON": sys.executable, "PIP_NO_INDEX": "1",
                    "PIP_CONFIG_FILE": os.devnull}
    result = subprocess.run(["bash", "tests/demo/demo.sh"], cwd=tmp_path, env=environment, text=True,
                            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "is made instead" in result.stdout
    assert "every byte are equal" in result.stdout
    report = result.stdout.split("== The report")[1].strip().splitlines()
    assert report[0].startswith("bert-back")
    assert report[-1].startswith("ok: wrote build/demo/back.safetensors")


# --- the pages ----------------------------------------------------------------------------------


def pages():
    found = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [path for path in found if Page.read(path).blocks]


def make_readme_files(folder):
    """A detector's backbone as it was trained, and the model that takes it over."""
    def block(prefix, width):
        return {f"{prefix}.attn.qkv.weight": torch.randn(3 * width, width),
                f"{prefix}.attn.qkv.bias": torch.randn(3 * width),
                f"{prefix}.mlp.fc.weight": torch.randn(4 * width, width),
                f"{prefix}.mlp.fc.bias": torch.randn(4 * width)}

    torch.manual_seed(0)
    old = {"module.patch_embed.proj.weight": torch.randn(48, 3, 4, 4),
           "module.patch_embed.proj.bias": torch.randn(48),
           "module.patch_embed.bn.num_batches_tracked": torch.tensor(7)}
    for stage in range(2):
        for index in range(3):
            old |= block(f"module.layers.{stage}.blocks.{index}", 48)
    old |= {"module.norm.weight": torch.ones(48), "module.norm.bias": torch.zeros(48),
            "module.head.weight": torch.randn(1000, 48), "module.head.bias": torch.randn(1000)}
    torch.save({"epoch": 12, "lr": 0.001, "state_dict": old}, folder / "old.pt")

    new = {"conv_proj.weight": torch.randn(48, 3, 4, 4), "conv_proj.bias": torch.randn(48)}
    for index in range(6):
        new |= block(f"blocks.{index}", 48)
        new[f"blocks.{index}.scale"] = torch.full((48,), 1e-5)
    new |= {"encoder.ln.weight": torch.ones(48), "encoder.ln.bias": torch.zeros(48),
            "head.weight": torch.randn(10, 48), "head.bias": torch.randn(10)}
    torch.save(new, folder / "model.pt")


# The README and the guides speak of these files, and do not show how to make them.
MAKERS = {"README.md": make_readme_files, "docs/cli.md": make_readme_files,
          "docs/guide.md": make_readme_files}


def write_tools(folder, program):
    """`regraft` and `python3` by name, whatever they are here."""
    folder.mkdir()
    for name, path in (("regraft", program), ("python3", sys.executable)):
        tool = folder / name
        tool.write_text(f'#!/bin/sh\nexec {shlex.quote(str(path))} "$@"\n')
        tool.chmod(0o755)


def run_commands(commands, folder, environment):
    """The output of each command, run one after the other in one shell."""
    mark = "--- the next command ---"
    script = "exec 2>&1\n"
    for command in commands:
        script += (f"{command.text}\nregraft_status=$?\nprintf '\\n%s\\n' '{mark}'\n"
                   "(exit $regraft_status)\n")
    result = subprocess.run(["bash"], input=script, cwd=folder, env=environment, text=True,
                            capture_output=True, check=False, timeout=300)
    # Which the kernel has its part in.
    printed = re.sub(r"^regraft: (not )?confined: .*\n", "", result.stdout, flags=re.MULTILINE)
    outputs = printed.split(f"\n{mark}\n")
    assert len(outputs) == len(commands) + 1, result.stdout + result.stderr
    return outputs[:-1]


def run_page(path, program, top):
    """Each command of a page with what it prints, in a new folder below `top`."""
    page = Page.read(path)
    folder = top / "here"
    folder.mkdir()
    shutil.copytree(REPOSITORY / "rules", folder / "rules")
    name = path.relative_to(REPOSITORY).as_posix()
    if name in MAKERS:
        MAKERS[name](folder)
    for file, text in page.files.items():
        assert folder in (folder / file).resolve().parents
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    write_tools(top / "tools", program)
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("REGRAFT", "PYTHONPATH")}
    environment |= {"PATH": f"{top / 'tools'}:{os.environ['PATH']}", "NO_COLOR": "1",
                    "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore"}
    for commands in page.blocks:
        yield from zip(commands, run_commands(commands, folder, environment))


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_page_shows_what_happens(page, program, tmp_path):
    for command, output in run_page(page, program, tmp_path):
        expected = list(command.output)
        while expected and not expected[-1].strip():
            expected.pop()
        assert re.fullmatch(expected_pattern(expected), normal(output)), (
            f"{page.name}:{command.line}: $ {command.text}\n{output}\n"
            "if the page is what is wrong: tests/cli/test_examples.py PROGRAM writes it anew")


def write_anew(path, program):
    """Puts what the commands print now into the page; an output with `...` stays as it is."""
    with tempfile.TemporaryDirectory() as top:
        outputs = list(run_page(path, program, Path(top)))
    lines = path.read_text(encoding="utf-8").splitlines()
    for command, output in reversed(outputs):
        if any(line.strip() == "..." for line in command.output):
            continue
        begin = command.line + command.text.count("\n")
        printed = [line.rstrip() for line in output.rstrip().splitlines()]
        lines[begin:begin + len(command.output)] = printed
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for one in pages():
        write_anew(one, Path(sys.argv[1]).absolute())
