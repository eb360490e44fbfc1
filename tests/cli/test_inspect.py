"""`regraft inspect` on files that torch and safetensors write.

The program is $REGRAFT, or build/regraft.
"""

import json
import math
import os
import subprocess
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("REGRAFT") or str(ROOT / "build" / "regraft")

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FLOAT8 = [torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz,
          torch.float8_e8m0fnu]
INTEGERS = [torch.int64, torch.int32, torch.int16, torch.int8,
            torch.uint64, torch.uint32, torch.uint16, torch.uint8]
COMPLEX = [torch.complex128, torch.complex64, torch.complex32]


def run(*arguments):
    return subprocess.run([PROGRAM, "inspect", *map(str, arguments)], capture_output=True,
                          check=False, timeout=120)


def text_of(*arguments):
    result = run(*arguments)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stderr == b""
    return result.stdout.decode()


def json_of(*arguments):
    return json.loads(text_of(*arguments, "--json"))


def tensors_of(*arguments):
    return {tensor["name"]: tensor for tensor in json_of(*arguments)["tensors"]}


def line_of(text, name):
    """The row of a table that begins with the name."""
    lines = [line for line in text.splitlines() if line.split("  ")[0] == name]
    assert lines, f"no row of {name} in\n{text}"
    return lines[0]


def every_code(dtype):
    """All values that a type of 8 or 16 bits has."""
    if dtype.itemsize == 1:
        return torch.arange(256, dtype=torch.int16).to(torch.uint8).view(dtype)
    return torch.arange(1 << 16, dtype=torch.int32).to(torch.int16).view(dtype)


def all_dtypes():
    torch.manual_seed(0)
    tensors = OrderedDict()
    for dtype in FLOATS:
        name = str(dtype).removeprefix("torch.")
        tensors[name] = torch.randn(7, 11, dtype=torch.float64).to(dtype)
        special = torch.tensor([1.5, math.nan, math.inf, -math.inf, 0.0, -0.0, math.nan, -3.0])
        tensors[name + "_special"] = special.to(dtype)
    for dtype in FLOAT8 + [torch.float16, torch.bfloat16]:
        tensors[str(dtype).removeprefix("torch.") + "_codes"] = every_code(dtype)
    for dtype in INTEGERS:
        name = str(dtype).removeprefix("torch.")
        limits = torch.iinfo(dtype)
        tensors[name] = torch.tensor([limits.min, 0, 1, limits.max, 5, 0], dtype=dtype)
    for dtype in COMPLEX:
        name = str(dtype).removeprefix("torch.")
        tensors[name] = torch.randn(5, 3, dtype=torch.complex128).to(dtype)
    tensors["bool"] = torch.tensor([[True, False], [True, True]])
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.empty(0, 4)
    tensors["large"] = torch.randn(1_500_000) * 100 + 3  # more than one block
    return tensors


def check_numbers(stated, tensor):
    """The statistics of a real tensor against torch's own in float64."""
    # torch computes little with unsigned integers; Python has numbers of any size.
    integer = not tensor.dtype.is_floating_point
    if integer:
        numbers = [int(number) for number in tensor.flatten().tolist()]
        assert stated["min"] == min(numbers) and stated["max"] == max(numbers)
        assert isinstance(stated["min"], int) and isinstance(stated["max"], int)
    values = tensor.to(torch.float64).flatten()
    finite = values[values.isfinite()]
    assert stated["count"] == values.numel()
    assert stated["nan"] == int(values.isnan().sum())
    assert stated["inf"] == int(values.isinf().sum())
    assert stated["zeros"] == int((values == 0).sum())
    if finite.numel() == 0:
        assert stated["min"] is stated["max"] is stated["mean"] is None
        assert stated["l2"] == 0
        return
    if not integer:
        assert stated["min"] == float(finite.min())
        assert stated["max"] == float(finite.max())
    scale = float(finite.abs().mean())  # a mean near zero is what is left of larger numbers
    assert stated["mean"] == pytest.approx(float(finite.mean()), rel=1e-12, abs=1e-12 * scale)
    assert stated["l2"] == pytest.approx(float(torch.linalg.vector_norm(finite)), rel=1e-12)


def check_values(stated, tensor):
    if not tensor.dtype.is_complex:
        return check_numbers(stated, tensor)
    tensor = tensor.resolve_conj().resolve_neg()
    parts = torch.view_as_real(tensor.to(torch.complex128))
    check_numbers(stated["real"], parts[..., 0].contiguous())
    check_numbers(stated["imaginary"], parts[..., 1].contiguous())


def saved(folder, tensors, suffix):
    path = folder / f"all{suffix}"
    if suffix == ".pt":
        torch.save(tensors, path)
    else:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_all_dtypes(tmp_path, suffix):
    tensors = all_dtypes()
    if suffix == ".safetensors":
        # What the format has no name for.
        del tensors["complex128"], tensors["complex32"]
    path = saved(tmp_path, tensors, suffix)
    document = json_of(path, "--values")
    stated = {tensor["name"]: tensor for tensor in document["tensors"]}
    assert stated.keys() == tensors.keys()
    if suffix == ".pt":
        assert list(stated) == list(tensors)  # in the order of the file
    for name, tensor in tensors.items():
        assert stated[name]["dtype"] == str(tensor.dtype).removeprefix("torch.")
        assert stated[name]["shape"] == list(tensor.shape)
        assert stated[name]["bytes"] == tensor.numel() * tensor.itemsize
        check_values(stated[name]["values"], tensor)
    totals = document["totals"]
    assert totals["tensors"] == len(tensors)
    assert totals["parameters"] == sum(tensor.numel() for tensor in tensors.values())
    assert totals["bytes"] == sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())
    assert document["file_bytes"] == path.stat().st_size
    assert document["path"] == str(path)

    text = text_of(path, "--values")
    for name, tensor in tensors.items():
        row = line_of(text, name)
        assert str(tensor.dtype).removeprefix("torch.") in row
        assert str(list(tensor.shape)) in row
    assert f"{totals['parameters']:,} ({totals['parameters'] / 1e6:.1f} M)" in text
    assert "inf" not in line_of(text, "large")


def test_float4(tmp_path):
    packed = torch.arange(256, dtype=torch.int16).to(torch.uint8).view(torch.float4_e2m1fn_x2)
    torch.save({"w": packed}, tmp_path / "f4.pt")
    stated = tensors_of(tmp_path / "f4.pt", "--values")["w"]
    assert stated["dtype"] == "float4_e2m1fn_x2"
    assert stated["shape"] == [256]
    values = stated["values"]
    assert (values["count"], values["min"], values["max"], values["zeros"]) == (512, -6, 6, 64)
    numbers = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert values["l2"] == pytest.approx(math.sqrt(64 * sum(x * x for x in numbers)), rel=1e-15)


def views():
    torch.manual_seed(1)
    base = torch.randn(6, 8)
    long = torch.randn(40)
    return OrderedDict(
        base=base, tied=base, transposed=base.t(), row=base[2], column=base[:, 3],
        slice=long[3:6], step=torch.randn(30)[::4], expanded=torch.randn(5, 1).expand(5, 9),
        windows=torch.arange(12.0).unfold(0, 4, 1), parameter=torch.nn.Parameter(torch.randn(3)),
        frozen=torch.nn.Parameter(torch.randn(2), requires_grad=False),
        leaf=torch.randn(2).requires_grad_(), conjugate=torch.randn(4, dtype=torch.cfloat).conj(),
        negative=torch.randn(3, dtype=torch.cfloat).conj().imag, whole=torch.zeros(2))


def test_views_and_ties(tmp_path):
    tensors = views()
    path = tmp_path / "views.pt"
    torch.save(tensors, path)
    stated = tensors_of(path, "--values")
    for name, tensor in tensors.items():
        assert stated[name]["strides"] == list(tensor.stride())
        assert stated[name]["offset"] == tensor.storage_offset()
        assert stated[name]["contiguous"] == tensor.is_contiguous()
        assert stated[name]["parameter"] == isinstance(tensor, torch.nn.Parameter)
        assert stated[name]["requires_grad"] == tensor.requires_grad
        assert stated[name]["conj"] == tensor.is_conj()
        assert stated[name]["neg"] == tensor.is_neg()
        check_values(stated[name]["values"], tensor.detach())
    assert stated["tied"]["tied_to"] == "base"
    assert [name for name in stated if "tied_to" in stated[name]] == ["tied"]
    assert stated["base"]["storage"] == stated["row"]["storage"] != stated["slice"]["storage"]

    text = text_of(path)
    assert "tied to base" in line_of(text, "tied")
    assert "strided [1, 8]" in line_of(text, "transposed")
    assert "view of 32 of 192 bytes of views/data/0 (shared with base, transposed, column)" in \
        line_of(text, "row")
    assert "view of 12 of 160 bytes of views/data/" in line_of(text, "slice")
    assert "shared" not in line_of(text, "slice")
    assert line_of(text, "parameter").endswith("parameter")
    assert line_of(text, "frozen").endswith("parameter, no grad")
    assert line_of(text, "leaf").endswith("requires grad")
    assert "conjugate bit" in line_of(text, "conjugate")
    assert "negative bit" in line_of(text, "negative")
    assert line_of(text, "whole").endswith("8")  # nothing to remark
    assert "15, of which 1 tied to another" in text


def test_root_is_found(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    path = tmp_path / "checkpoint.pt"
    torch.save({"state_dict": model.state_dict(), "epoch": 12, "optimizer": optimizer.state_dict(),
                "args": {"name": "x"}}, path)
    document = json_of(path)
    assert document["root"] == {"path": "state_dict", "chosen": "automatically"}
    assert [tensor["name"] for tensor in document["tensors"]] == list(model.state_dict())
    assert {"path": "epoch", "summary": "int 12", "can_be_kept": True} in document["extras"]
    assert any(extra["path"].startswith("optimizer") for extra in document["extras"])
    modules = document["containers"][0]["module_metadata"]
    assert {"module": "1", "entries": [{"key": "version", "value": 2}]} in modules
    text = text_of(path)
    assert "root        state_dict (found automatically)" in text
    assert "epoch: int 12" in text
    assert "3 modules: version 1 in 2; version 2 in 1" in text
    assert text_of(path, "--keys").splitlines() == list(model.state_dict())

    assert "(given)" in text_of(path, "--root", "state_dict")
    top = json_of(path, "--root", "")
    assert top["root"] == {"path": "", "chosen": "given"}
    assert "state_dict.0.weight" in [tensor["name"] for tensor in top["tensors"]]


def test_many_extras_are_not_cut_silently(tmp_path):
    path = tmp_path / "extras.pt"
    torch.save({"w": {"a": torch.zeros(2)}, **{f"x{i}": i for i in range(80)}}, path)
    text = text_of(path)
    assert "x49: int 49" in text and "x50: int 50" not in text
    assert "and 30 more; --json has all" in text
    assert len(json_of(path)["extras"]) == 80


@pytest.fixture(name="two_roots")
def two_roots_fixture(tmp_path):
    path = tmp_path / "two.pt"
    torch.save({"model": {"w": torch.ones(2)}, "model_ema": {"w": torch.zeros(2)}}, path)
    return path


def test_several_roots_are_all_shown(two_roots):
    document = json_of(two_roots)
    assert document["root"] == {"path": "", "chosen": "none"}
    assert [tensor["name"] for tensor in document["tensors"]] == ["model.w", "model_ema.w"]
    assert document["notes"][0] == "the checkpoint holds 2 state dicts"
    assert any("{root: model_ema}" in note for note in document["notes"])
    text = text_of(two_roots)
    assert "note: the checkpoint holds 2 state dicts" in text
    assert "--root model" in text
    assert [tensor["name"] for tensor in json_of(two_roots, "--root", "model_ema")["tensors"]] == \
        ["w"]


@pytest.mark.parametrize("option", ["--keys", "--schema"])
def test_several_roots_need_one_for_a_spec(two_roots, option):
    result = run(two_roots, option)
    assert result.returncode == 2
    assert result.stdout == b""
    assert b"root-ambiguous" in result.stderr
    assert b"--root model" in result.stderr
    assert run(two_roots, option, "--root", "model").returncode == 0
    assert run(two_roots, option, "--root", "").returncode == 0


def test_a_wrong_root_names_the_right_one(two_roots):
    result = run(two_roots, "--root", "mdel")
    assert result.returncode == 2
    assert b"did you mean --root model?" in result.stderr


def test_no_state_dict(tmp_path):
    tensor = torch.ones(2)
    for name, content in {"bare": tensor, "list": [tensor, tensor + 1],
                          "few": {"a": 1, "b": 2, "c": tensor}}.items():
        path = tmp_path / f"{name}.pt"
        torch.save(content, path)
        text = text_of(path)
        assert "note: no mapping in the checkpoint consists mostly of tensors" in text
        assert "--root '' takes all names from the top" in text
        assert len(tensors_of(path)) == (2 if name == "list" else 1)
        assert run(path, "--keys").returncode == 2
        assert run(path, "--keys", "--root", "").returncode == 0


def test_the_hint_names_no_optimizer(tmp_path):
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    path = tmp_path / "optimizer.pt"
    torch.save({"optimizer": optimizer.state_dict(), "my net": model.state_dict(),
                "ema": model.state_dict()}, path)
    assert b"as in --root 'my net';" in run(path, "--keys").stderr
    assert text_of(path, "--keys", "--root", "my net") == "weight\nbias\n"


def test_two_tensors_of_one_name(tmp_path):
    path = tmp_path / "twice.pt"
    torch.save({"a.b": torch.ones(2), "a": {"b": torch.ones(3)}, "c": torch.ones(4)}, path)
    assert "note: two tensors have the dotted name 'a.b'" in text_of(path)
    assert [tensor["shape"] for tensor in json_of(path)["tensors"]] == [[2], [3], [4]]
    assert run(path, "--keys").returncode == 3


def test_expanded_without_end(tmp_path):
    path = tmp_path / "huge.pt"
    torch.save({"w": torch.ones(1).expand(1 << 40, 1 << 20), "b": torch.zeros(1).expand(1 << 60)},
               path)
    stated = tensors_of(path, "--values")
    assert stated["w"]["values"]["mean"] == 1
    assert stated["b"]["values"]["zeros"] == 1 << 60


def test_no_tensors(tmp_path):
    path = tmp_path / "none.pt"
    torch.save({"epoch": 3}, path)
    text = text_of(path)
    assert "tensors     0" in text
    assert "note: the checkpoint holds no tensors" in text
    assert "epoch: int 3" in text
    assert json_of(path, "--values")["tensors"] == []
    assert run(path, "--keys").returncode == 2


@pytest.mark.filterwarnings("ignore")
def test_tensors_that_cannot_be_carried(tmp_path):
    quantized = torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8)
    path = tmp_path / "quantized.pt"
    torch.save({"q": quantized, "w": torch.ones(2), "v": torch.ones(2)}, path)
    assert "unsupported: a quantized tensor (qint8)" in line_of(text_of(path), "q")
    stated = tensors_of(path, "--values")["q"]
    assert stated["unsupported"] == "a quantized tensor (qint8)"
    assert stated["values"] == {"absent": "a quantized tensor (qint8)"}


def test_names_are_bytes(tmp_path):
    names = ["plain", "ünï", "new\nline", "tab\there", "", " space ", "quote'\"\\"]
    path = tmp_path / "names.pt"
    torch.save({name: torch.ones(1) for name in names}, path)
    keys = run(path, "--keys").stdout.split(b"\n")
    assert len(keys) == len(names) + 1
    for name in ["plain", "ünï", "", " space ", "quote'\"\\"]:
        assert keys[names.index(name)] == name.encode()
    assert b"new" in keys[2] and b"line" in keys[2]
    assert [tensor["name"] for tensor in json_of(path)["tensors"]] == names
    assert "\t" not in text_of(path)


def test_a_name_that_is_not_utf8(tmp_path):
    # A lone surrogate, as os.fsdecode() makes it; pickle writes it in three bytes.
    name = "nam\udcff"
    path = tmp_path / "bytes.pt"
    torch.save({name: torch.ones(1), "b": torch.ones(1)}, path)
    expected = name.encode("utf-8", "surrogatepass")
    assert run(path, "--keys").stdout == expected + b"\nb\n"
    tensor = json_of(path)["tensors"][0]
    assert tensor["name"] == "nam\\xed\\xb3\\xbf"
    assert bytes.fromhex(tensor["name_bytes"]) == expected
    assert "nam\\xed\\xb3\\xbf" in text_of(path)


def test_safetensors_metadata(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"w": torch.ones(2)}, path, metadata={"format": "pt", "long": "é" * 500})
    text = text_of(path)
    assert "format: pt" in text
    assert "... (1,000 bytes; --json has all)" in text
    entries = {entry["key"]: entry["value"] for entry in json_of(path)["metadata"]}
    assert entries == {"format": "pt", "long": "é" * 500}


def test_schema_reads_back(tmp_path):
    for name, tensors in {"views": views(), "dtypes": all_dtypes()}.items():
        path = tmp_path / f"{name}.pt"
        torch.save(tensors, path)
        schema = tmp_path / f"{name}.yaml"
        schema.write_text(text_of(path, "--schema"), encoding="utf-8")
        document = json_of(schema)
        assert document["has_values"] is False
        before, after = tensors_of(path), tensors_of(schema)
        assert list(before) == list(after)
        for key in before:
            for field in ["dtype", "shape", "strides", "offset", "tied_to", "parameter"]:
                assert before[key].get(field) == after[key].get(field), (key, field)
        assert text_of(schema, "--schema") == schema.read_text(encoding="utf-8")
        assert "none of them in this file" in text_of(schema)
        result = run(schema, "--values")
        assert result.returncode == 2
        assert b"--values" in result.stderr


@pytest.mark.parametrize("name", ["x\x01", "\x7f", "\x80"])
def test_a_name_that_yaml_cannot_spell_is_not_in_a_schema(tmp_path, name):
    path = saved(tmp_path, {"a": torch.zeros(1), name: torch.zeros(1)}, ".pt")
    result = run(path, "--schema")
    assert result.returncode == 2 and result.stdout == b""
    assert b"[cannot-write]" in result.stderr and b"YAML has no spelling" in result.stderr


def test_json_is_deterministic(tmp_path):
    path = saved(tmp_path, all_dtypes(), ".pt")
    first, second = run(path, "--json", "--values"), run(path, "--json", "--values")
    assert first.returncode == 0
    assert first.stdout == second.stdout


@pytest.mark.parametrize("options", [("--keys", "--json"), ("--schema", "--json"),
                                     ("--keys", "--values"), ("--schema", "--values")])
def test_options_that_exclude_each_other(tmp_path, options):
    path = tmp_path / "w.pt"
    torch.save({"w": torch.ones(1)}, path)
    result = run(path, *options)
    assert result.returncode == 2
    assert result.stdout == b""
    assert b"error[usage]" in result.stderr


def test_files_that_are_no_checkpoints(tmp_path):
    assert run(tmp_path / "absent.pt").returncode == 3
    (tmp_path / "page.pt").write_text("<!DOCTYPE html><html></html>", encoding="utf-8")
    result = run(tmp_path / "page.pt")
    assert result.returncode == 3
    assert b"not-a-checkpoint" in result.stderr
