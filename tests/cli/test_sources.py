"""Several sources: their aliases on the command line, in the spec and in what is said of them."""

import json

import pytest

from helpers import (assert_error, assert_points_at, entries, read_any, run, schema_text, snapshot, succeed, to_torch,
                     write_any, write_pt, write_safetensors, write_spec)

MODEL = {"fc.weight": [4, 3], "fc.bias": [4]}
HEAD = {"weight": [2, 4], "bias": [2]}
MERGED = {"fc.weight": [4, 3], "fc.bias": [4], "head.weight": [2, 4], "head.bias": [2]}
SPEC = r"""
source: {aliases: [head]}
rules:
  - rename: '^head::'
    to: 'head.'
"""


@pytest.fixture
def folder(tmp_path):
    write_spec(tmp_path / "spec.yaml", SPEC)
    write_safetensors(tmp_path / "model.safetensors", entries(MODEL))
    write_safetensors(tmp_path / "head.safetensors", entries(HEAD, seed=1))
    (tmp_path / "target.yaml").write_text(schema_text(MERGED))
    return tmp_path


INPUTS = ["spec.yaml", "model.safetensors", "head=head.safetensors"]


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("target", [[], ["-t", "target.yaml"]])
def test_tensors_of_both_are_in_the_output(folder, suffix, target):
    head = write_any(folder / f"part.{suffix}", entries(HEAD, seed=1))
    out = f"out.{suffix}"
    succeed("apply", "spec.yaml", "model.safetensors", f"head={head}", *target, "-o", out, cwd=folder)
    model, part = entries(MODEL), entries(HEAD, seed=1)
    assert read_any(folder / out) == model | {f"head.{name}": one for name, one in part.items()}


def test_the_aliased_source_may_stand_anywhere(folder):
    expected = succeed("plan", *INPUTS, "--json", cwd=folder).out
    for arguments in [["head=head.safetensors", "spec.yaml", "model.safetensors"],
                      ["spec.yaml", "head=head.safetensors", "model.safetensors"]]:
        assert succeed("plan", *arguments, "--json", cwd=folder).out == expected


def test_rules_of_the_command_line(folder):
    succeed("apply", "model.safetensors", "head=head.safetensors", "-e", "{rename: '^head::', to: 'head.'}", "-o",
            "out.safetensors", cwd=folder)
    assert set(read_any(folder / "out.safetensors")) == set(MERGED)


def test_a_folder_may_have_an_equals_sign(folder):
    (folder / "run=3").mkdir()
    (folder / "model.safetensors").rename(folder / "run=3" / "m=1.safetensors")
    (folder / "head.safetensors").rename(folder / "run=3" / "head.safetensors")
    result = succeed("plan", "spec.yaml", "./run=3/m=1.safetensors", "head=run=3/head.safetensors", cwd=folder)
    assert "head=run=3/head.safetensors" in result.out
    succeed("plan", "spec.yaml", "run=3/m=1.safetensors", "head=run=3/head.safetensors", cwd=folder)


def test_the_report_names_source_and_alias(folder):
    report = json.loads(succeed("plan", *INPUTS, "--json", cwd=folder).out)
    assert [(one["role"], one["alias"], one["path"]) for one in report["inputs"]] == [
        ("source", None, "model.safetensors"), ("source", "head", "head.safetensors")]
    assert [(one["input"], one["name"]) for one in report["sources"]] == [
        (0, "fc.weight"), (0, "fc.bias"), (1, "head::weight"), (1, "head::bias")]
    merged = {one["name"]: one["sources"] for one in report["tensors"]}
    assert merged["head.bias"] == ["head::bias"]
    text = succeed("plan", *INPUTS, "--verbose", cwd=folder).out
    assert text.startswith("model.safetensors, head=head.safetensors\n")
    assert "head.weight  [2, 4] float32  from head::weight" in text


def test_explain(folder):
    told = succeed("explain", "head::bias", *INPUTS, cwd=folder).out
    assert "float32 [2] in head.safetensors" in told and "'head::bias' -> 'head.bias'" in told
    assert "from 'head::bias', float32 [2] in head.safetensors" in succeed(
        "explain", "head.bias", *INPUTS, cwd=folder).out


def test_digests_of_the_inputs(folder):
    report = json.loads(succeed("apply", *INPUTS, "-o", "out.pt", "--digest-inputs", "--json", cwd=folder).out)
    assert all(one["digest"] for one in report["inputs"])


def test_content_beside_the_tensors_has_the_alias(folder):
    write_pt(folder / "head.pt", {"state_dict": to_torch(entries(HEAD)), "epoch": 3})
    result = succeed("plan", "spec.yaml", "model.safetensors", "head=head.pt", cwd=folder)
    assert "head::epoch (int 3) dropped" in result.out
    write_spec(folder / "strict.yaml", SPEC + "policy:\n  extras:\n    - {match: '^head::epoch', do: error}\n")
    result = run("plan", "strict.yaml", "model.safetensors", "head=head.pt", cwd=folder)
    assert_error(result, 1, "extras", "head::epoch")


def test_a_root_of_its_own(folder):
    both = {"model": to_torch(entries(HEAD)), "model_ema": to_torch(entries(HEAD, seed=5))}
    write_pt(folder / "head.pt", both)
    problem = assert_error(run("plan", "spec.yaml", "model.safetensors", "head=head.pt", cwd=folder), 2,
                           "root-ambiguous", "`source: {aliases: {head: {root: model_ema}}}`: 2 tensors")
    assert problem.file == "head.pt"
    write_spec(folder / "ema.yaml", SPEC.replace("[head]", "{head: {root: model_ema}}"))
    succeed("apply", "ema.yaml", "model.safetensors", "head=head.pt", "-o", "out.safetensors", cwd=folder)
    assert read_any(folder / "out.safetensors")["head.bias"] == entries(HEAD, seed=5)["bias"]


def test_what_is_left_of_an_aliased_source_is_not_written(folder):
    """Also without a target, where every other result is the output."""
    before = snapshot(folder)
    result = run("apply", "model.safetensors", "head=head.safetensors", "-e", "drop: '^head::bias'", "-o", "out.pt",
                 cwd=folder)
    assert_error(result, 1, "unexpected", "1 tensor still has the alias of a source: 'head::weight'",
                 "- drop: '^head::'")
    assert snapshot(folder) == before
    succeed("apply", "model.safetensors", "head=head.safetensors", "-e", "drop: '^head::bias'", "--unexpected", "drop",
            "-o", "out.pt", cwd=folder)
    assert set(read_any(folder / "out.pt")) == set(MODEL)


def test_an_alias_that_no_spec_names_is_allowed(folder):
    write_spec(folder / "plain.yaml", "rules:\n  - drop: '^more::'\n  - rename: '^head::'\n    to: 'head.'\n")
    succeed("plan", "plain.yaml", "model.safetensors", "head=head.safetensors", "more=head.safetensors", cwd=folder)


def test_an_alias_that_the_spec_names_is_missing(folder):
    problem = assert_error(run("plan", "spec.yaml", "model.safetensors", cwd=folder), 2, "usage", "'head'",
                           "head=FILE")
    assert_points_at(problem, "spec.yaml", (folder / "spec.yaml").read_text(), "head")


@pytest.mark.parametrize("arguments, words", [
    (["model.safetensors", "Head=head.safetensors"], ["'Head' cannot be the alias", "lower-case"]),
    (["model.safetensors", "=head.safetensors"], ["'' cannot be the alias"]),
    (["model.safetensors", "head="], ["'head=' names no file", "head=FILE"]),
    (["model.safetensors", "head=head.safetensors", "head=model.safetensors"],
     ["two sources have the alias 'head': 'head.safetensors' and 'model.safetensors'"]),
    (["head=head.safetensors"], ["the first source has no alias", "give it as head.safetensors"]),
    (["model.safetensors", "head.safetensors"], ["'head.safetensors' is too many", "other=head.safetensors"]),
])
def test_wrong_usage(folder, arguments, words):
    assert_error(run("plan", "spec.yaml", *arguments, cwd=folder), 2, "usage", *words)


def test_a_file_that_is_not_there(folder):
    result = run("plan", "spec.yaml", "model.safetensors", "head=nowhere.pt", cwd=folder)
    assert_error(result, 3, "file-open", file="nowhere.pt")


def test_the_output_is_no_input(folder):
    result = run("apply", *INPUTS, "-o", "head.safetensors", "--force", cwd=folder)
    assert_error(result, 3, "file-is-input")
    result = run("plan", *INPUTS, "--report", "head.safetensors", cwd=folder)
    assert result.status == 2
    assert read_any(folder / "head.safetensors") == entries(HEAD, seed=1)


def test_a_variable_beside_the_source(folder):
    (folder / "adapter").mkdir()
    (folder / "head.safetensors").rename(folder / "adapter" / "head.safetensors")
    (folder / "adapter" / "config.json").write_text('{"part": "top"}')
    write_spec(folder / "named.yaml", r"""
        vars:
          part: {from: 'head::config.json', key: part}
        rules:
          - rename: '^head::'
            to: '{part}.'
        """)
    assert "ok" in succeed("check", "named.yaml", cwd=folder).out
    succeed("apply", "named.yaml", "model.safetensors", "head=adapter/head.safetensors", "-o", "out.pt", cwd=folder)
    assert "top.bias" in read_any(folder / "out.pt")
    problem = assert_error(run("plan", "named.yaml", "model.safetensors", cwd=folder), 2, "bad-var",
                           "no source has the alias 'head'")
    assert_points_at(problem, "named.yaml", (folder / "named.yaml").read_text(), "'head::config.json'")
