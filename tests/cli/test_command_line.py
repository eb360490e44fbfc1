"""The command line as its page says it: options, what goes to stdout and what to stderr, colour, the
schemas, `check`, and that every hint that shows a command or a rule can be used as printed."""

import json
import re
import shlex
import subprocess

import jsonschema
import pytest
import yaml

from helpers import (PROGRAM, Entry, assert_error, diagnostics, entries, environment, errors_of, noise, read_any,
                     read_safetensors, run, run_in_terminal, schema_text, snapshot, succeed, write_pt,
                     write_safetensors, write_spec)

SOURCE = {"module.fc.weight": [4, 3], "module.fc.bias": [4], "module.head.weight": [10, 4], "extra.weight": [2],
          "num_batches_tracked": ("I64", [])}
TARGET = {"fc.weight": [4, 3], "fc.bias": [4], "head.weight": [5, 4], "gate.weight": [3]}
RULES = [r"rename: '^module\.'" "\nto: ''", "drop: 'num_batches_tracked$'"]
POLICIES = ["--missing", "keep", "--unexpected", "drop", "--shape", "skip"]


@pytest.fixture
def folder(tmp_path):
    write_safetensors(tmp_path / "source.safetensors", entries(SOURCE))
    write_safetensors(tmp_path / "target.safetensors", entries(TARGET, seed=1))
    write_spec(tmp_path / "spec.yaml", r"""
        rules:
          - rename: '^module\.'
            to: ''
          - drop: 'num_batches_tracked$'
        policy: {missing: keep, unexpected: drop, shape: skip}
        """)
    return tmp_path


SPEC = ["spec.yaml", "source.safetensors", "-t", "target.safetensors"]


def typed():
    """The same as the spec, given on the command line behind the source."""
    return ["source.safetensors", "-t", "target.safetensors", *(word for rule in RULES for word in ("-e", rule)),
            *POLICIES]


def report_of(result):
    return json.loads(result.out)


# --- slips ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words, message, hint", [
    (["explian", "x"], "there is no command 'explian'", "did you mean `explain`?"),
    (["plan", *SPEC, "--shap", "pad"], "--shap", "did you mean `--shape`?"),
    (["inspect", "source.safetensors", "--schma"], "--schma", "did you mean `--schema`?"),
    (["plan", *SPEC, "--quite-another"], "--quite-another", "regraft plan --help"),
    (["--quite-another"], "subcommand", "regraft --help")])
def test_a_misspelt_word_of_the_command_line(folder, words, message, hint):
    result = run(*words, cwd=folder)
    assert result.status == 2 and result.out == ""
    assert message in result.err and f"hint: {hint}" in result.err


def test_a_report_that_cannot_be_written_does_not_deny_the_output(folder):
    result = run("apply", *SPEC, "-o", "out.safetensors", "--report", "/proc/report.json", cwd=folder)
    assert result.status == 3 and (folder / "out.safetensors").exists()
    assert "failed: 1 error; out.safetensors is written" in result.out


def test_a_cast_has_no_place_of_the_shape_policy(folder):
    write_safetensors(folder / "half.safetensors", entries({"fc.weight": ("F16", [5, 3])}))
    result = succeed("plan", "source.safetensors", "-t", "half.safetensors", "-e", RULES[0], "--unexpected", "drop",
                     "--shape", "pad", cwd=folder)
    lossy, = (line for line in result.out.splitlines() if line.startswith(" lossy"))
    assert "float32 -> float16" in lossy and "--shape" not in lossy


def test_initial_values_that_cannot_be_say_why(folder):
    write_spec(folder / "large.yaml", "policy: {unexpected: drop, shape: skip, missing: [{do: normal, mean: 1e39}]}")
    result = run("plan", "large.yaml", *SPEC[1:], cwd=folder)
    assert result.status == 1 and "too large for float32" in result.err


# --- rules and policies on the command line -----------------------------------------------------------


def test_rules_of_the_command_line_do_what_a_spec_does(folder):
    by_file = report_of(succeed("plan", *SPEC, "--json", cwd=folder))
    by_words = report_of(succeed("plan", *typed(), "--json", cwd=folder))
    assert by_words["spec"]["fingerprint"] == by_file["spec"]["fingerprint"]
    assert by_words["totals"] == by_file["totals"]
    statuses = {one["name"]: one["status"] for one in by_words["tensors"]}
    assert statuses == {"fc.weight": "loaded", "fc.bias": "loaded", "head.weight": "skipped", "gate.weight": "kept"}


@pytest.mark.parametrize("arguments", [
    ["-e", "drop: '^extra'", "source.safetensors"],
    ["-e", "drop: '^extra'", "-e", "drop: 'bias$'", "source.safetensors"],
    ["--rule", "drop: '^extra'", "source.safetensors", "--json"],
    ["source.safetensors", "-e", "drop: '^extra'"],
    ["source.safetensors", "-e", "drop: '^extra'", "--json", "-e", "drop: 'bias$'"],
], ids=lambda arguments: " ".join(arguments))
def test_a_rule_may_stand_before_or_behind_the_source(folder, arguments):
    succeed("plan", *arguments, cwd=folder)


def test_set_may_stand_before_the_spec(folder):
    write_spec(folder / "spec.yaml", "vars: {n: 1, m: 2}\nrules: [{rename: '^module', to: 'm{n + m}'}]")
    for arguments in (["--set", "n=3", "--set", "m=4", "spec.yaml", "source.safetensors"],
                      ["spec.yaml", "source.safetensors", "--set", "n=3", "--set", "m=4"],
                      ["spec.yaml", "--set", "n=3", "source.safetensors", "--set", "m=4"]):
        assert "m7.fc.weight" in succeed("plan", *arguments, "--json", cwd=folder).out


def test_set_reads_yaml_values(folder):
    write_spec(folder / "spec.yaml", "vars: {depths: [0], word: x}\n"
               "rules: [{rename: '^module', to: '{word}{depths[1]}'}]")
    report = report_of(succeed("plan", "spec.yaml", "source.safetensors", "--set", "depths=[3, 5]", "--set",
                               "word=layer", "--json", cwd=folder))
    assert "layer5.fc.weight" in {one["name"] for one in report["tensors"]}
    assert report["spec"]["vars"] == {"depths": [3, 5], "word": "layer"}


def test_a_mistake_in_a_rule_of_the_command_line_has_a_place(folder):
    result = run("plan", "source.safetensors", "-e", "drop: x", "-e", "drop: '(x'", "-e", "drpo: x", cwd=folder)
    found = errors_of(result)
    assert result.status == 2 and [(one.code, one.line) for one in found] == [("bad-pattern", 1), ("unknown-key", 1)], \
        str(result)
    assert "-e" in found[0].file and "2" in found[0].file and "3" in found[1].file
    assert found[0].source == "drop: '(x'" and "^" in found[0].caret


def test_policies_alone_are_a_spec(folder):
    write_safetensors(folder / "source.safetensors", entries({"fc.weight": [4, 3]}))
    succeed("apply", "source.safetensors", "-t", "target.safetensors", "--missing", "keep", "-o", "new.safetensors",
            cwd=folder)
    new, target = read_any(folder / "new.safetensors"), read_any(folder / "target.safetensors")
    assert list(new) == list(target)
    assert new["fc.bias"] == target["fc.bias"] and new["fc.weight"] == entries({"fc.weight": [4, 3]})["fc.weight"]


@pytest.mark.parametrize("option, word, allowed", [
    ("--missing", "error", False), ("--missing", "omit", True), ("--missing", "keep", True),
    ("--unexpected", "error", False), ("--unexpected", "drop", True), ("--unexpected", "keep", True),
    ("--shape", "error", False), ("--shape", "skip", True),
])
def test_each_policy_word(folder, option, word, allowed):
    result = run("plan", *SPEC, option, word, "--json", cwd=folder)
    assert result.status == (0 if allowed else 1), str(result)
    report = report_of(result)
    assert report["verdict"] == ("ok" if allowed else "failed")
    if not allowed:
        code = {"--missing": "missing", "--unexpected": "unexpected", "--shape": "shape-mismatch"}[option]
        assert [one["code"] for one in report["diagnostics"] if one["severity"] == "error"] == [code]


def test_a_policy_option_replaces_the_whole_policy(folder):
    write_spec(folder / "spec.yaml", r"""
        rules: [{rename: '^module\.', to: ''}, {drop: 'num_batches_tracked$'}]
        policy:
          unexpected: drop
          missing: keep
          shape: [{match: '^head', do: skip}]
        """)
    succeed("plan", *SPEC, cwd=folder)
    assert_error(run("plan", *SPEC, "--shape", "error", cwd=folder), 1, "shape-mismatch", "head.weight")


@pytest.mark.parametrize("word", ["cast", "source", "error"])
def test_dtype(folder, word):
    write_safetensors(folder / "source.safetensors", entries({"w": ("F16", [2])}))
    (folder / "model.yaml").write_text(schema_text({"w": [2]}))
    write_spec(folder / "spec.yaml", "rules: []")
    result = run("plan", "spec.yaml", "source.safetensors", "-t", "model.yaml", "--dtype", word, "--json", cwd=folder)
    only, = report_of(result)["tensors"]
    if result.status == 0:
        assert only["dtype"] == {"cast": "float32", "source": "float16"}[word]
    else:  # a program that cannot convert values says so
        assert word != "source"
        assert_error(result, 1, "dtype-mismatch", "'w'", "float16", "float32")
    assert (only["source_dtype"], only["target_dtype"]) == ("float16", "float32")


def test_extras(folder):
    import torch

    write_pt(folder / "training.pt", {"model": {"w": torch.ones(2)}, "epoch": 3, "args": {"lr": 0.1}})
    report = report_of(succeed("plan", "training.pt", "--extras", "drop", "--json", cwd=folder))
    assert {one["path"] for one in report["extras"]} >= {"epoch"}
    assert_error(run("plan", "training.pt", "--extras", "error", cwd=folder), 1, "extras", "epoch")


def test_a_wrong_policy_word(folder):
    found = assert_error(run("plan", *SPEC, "--missing", "kep", cwd=folder), 2, "unknown-key", "`keep`")
    assert "--missing" in found.file


# --- what was typed becomes a spec ----------------------------------------------------------------------


def without_places(report):
    """A report without the lines of the spec, and its name."""
    def clean(value):
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items() if key not in ("line", "column", "file", "path")}
        return [clean(item) for item in value] if isinstance(value, list) else value

    return clean(report)


EXOTIC = ["rename: {'^module\\.': '', \"it's: a\": 'b # c'}", "drop: {exact: ['- x', 'a: b', '~', 'true', '010']}",
          "copy: '^fc\\.bias$'\nto: 'copy.{{0}}'\nnote: \"two\\nlines\"", "drop: ['^extra', \"''$\"]\nunless: weightless",
          "rename: '^(?P<a>\\w+)\\.weight$'\nto: '{a}.w'\nwhen: '1 < 2'\nwhere: {ndim: 2, shape: [~, 3]}\ncount: '>= 0'"]


@pytest.mark.parametrize("rules", [RULES, EXOTIC, []], ids=["plain", "exotic", "none"])
def test_write_spec_round_trip(folder, rules):
    words = ["source.safetensors", "-t", "target.safetensors", *(word for rule in rules for word in ("-e", rule)),
             *POLICIES]
    first = succeed("plan", *words, "--write-spec", "typed.yaml", "--json", cwd=folder)
    written = ["typed.yaml", "source.safetensors", "-t", "target.safetensors"]
    second = succeed("plan", *written, "--json", cwd=folder)
    assert without_places(report_of(first)) == without_places(report_of(second))
    assert succeed("plan", *written, "--print", "spec", cwd=folder).out == (folder / "typed.yaml").read_text()
    assert yaml.safe_load((folder / "typed.yaml").read_text())["regraft"] == 1
    assert run("check", "typed.yaml", cwd=folder).status in (0, 1)
    # And what is written from what was written is the same.
    succeed("plan", *written, "--write-spec", "again.yaml", cwd=folder)
    assert (folder / "again.yaml").read_text() == (folder / "typed.yaml").read_text()


def test_write_spec_takes_the_policy_options_into_a_spec(folder):
    succeed("plan", *SPEC, "--missing", "omit", "--write-spec", "new.yaml", cwd=folder)
    assert yaml.safe_load((folder / "new.yaml").read_text())["policy"] \
        == {"missing": "omit", "unexpected": "drop", "shape": "skip"}


def test_print_shows_each_stage(folder):
    printed = {stage: succeed("plan", *SPEC, "-o", "new.pt", "--print", stage, cwd=folder).out
               for stage in ("spec", "program", "plan", "schedule")}
    assert yaml.safe_load(printed["spec"]) == yaml.safe_load((folder / "spec.yaml").read_text())
    assert "rename" in printed["program"] and "policy shape: skip" in printed["program"]
    for name in TARGET:
        assert name in printed["plan"] and name in printed["schedule"]
    assert len(set(printed.values())) == 4
    # Without the files that a stage does not need.
    for stage in ("spec", "program"):
        assert succeed("plan", "spec.yaml", "--print", stage, cwd=folder).out == printed[stage]
    assert not (folder / "new.pt").exists()


def test_a_printed_spec_is_a_spec(folder):
    (folder / "printed.yaml").write_text(succeed("plan", *SPEC, "--print", "spec", cwd=folder).out)
    fingerprints = {report_of(succeed("plan", spec, *SPEC[1:], "--json", cwd=folder))["spec"]["fingerprint"]
                    for spec in ("spec.yaml", "printed.yaml")}
    assert len(fingerprints) == 1


# --- JSON and the schemas -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schemas")
    return {what: json.loads(succeed("schema", what, cwd=folder).out) for what in ("spec", "report", "plan", "target")}


@pytest.mark.parametrize("what", ["spec", "report", "plan", "target"])
def test_a_schema_is_draft_7(schemas, what):
    assert schemas[what]["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schemas[what])


def valid(schema, document):
    problems = sorted(jsonschema.Draft7Validator(schema).iter_errors(document), key=str)
    return [f"{list(one.absolute_path)}: {one.message[:300]}" for one in problems]


def json_runs(folder):
    """Arguments of runs of every sort, and their status."""
    import torch

    tied = torch.ones(2, 2)
    write_pt(folder / "training.pt", {"model": {"a.weight": tied, "b.weight": tied, "c\udcff": torch.ones(1)},
                                      "epoch": 3})
    (folder / "model.yaml").write_text(schema_text(TARGET))
    write_spec(folder / "wrong.yaml", "rules: [{rename: '^fc', to: 'b'}]")
    write_spec(folder / "collides.yaml", "rules: [{rename: 'weight$|bias$', to: 'same'}, {rename: '^.*$', to: 'x'}]")
    yield ["plan", *SPEC], 0
    yield ["plan", *SPEC, "-o", "new.pt"], 0
    yield ["plan", "spec.yaml", "source.safetensors"], 0
    yield ["plan", "spec.yaml", "source.safetensors", "-t", "model.yaml", "--shape", "error"], 1
    yield ["plan", "wrong.yaml", "source.safetensors", "-t", "target.safetensors"], 1
    yield ["plan", "collides.yaml", "source.safetensors", "-t", "target.safetensors"], 2
    yield ["plan", "spec.yaml", "training.pt"], 0
    yield ["apply", *SPEC, "-o", "new.pt"], 0
    yield ["apply", *SPEC, "-o", "new.safetensors", "--digest", "sha256", "--digest-inputs"], 0
    yield ["apply", *SPEC, "-o", "new.safetensors"], 3
    yield ["apply", *SPEC, "-o", "other.safetensors", "--digest", "none"], 0
    yield ["apply", "spec.yaml", "training.pt", "-o", "training.safetensors"], None
    yield ["apply", *SPEC, "-o", "dry.pt", "--dry-run"], 0


def test_json_validates(folder, schemas):
    for arguments, status in json_runs(folder):
        result = run(*arguments, "--json", "--report", "report.json", cwd=folder)
        assert status is None or result.status == status, str(result)
        document = report_of(result)
        assert document["verdict"] == ("ok" if result.status == 0 else "failed"), str(result)
        assert bool([one for one in document["diagnostics"] if one["severity"] == "error"]) == (result.status != 0)
        assert valid(schemas["report"], document) == [], arguments
        report = folder / "report.json"
        assert report.exists() or not document["sources"], "there was a plan, so there is a report"
        if report.exists():
            assert report.read_text() == result.out, arguments
            report.unlink()


def test_json_of_a_run_that_ends_early(folder):
    write_spec(folder / "wrong.yaml", "rules: [{drpo: x}]\npolcy: {}")
    for arguments, status in ((["plan", "wrong.yaml", "source.safetensors"], 2), (["plan", "spec.yaml", "no.pt"], 3),
                              (["plan", "spec.yaml"], 2), (["check", "wrong.yaml"], 2)):
        result = run(*arguments, "--json", cwd=folder)
        document = report_of(result)
        assert result.status == status and document["verdict"] == "failed", str(result)
        assert {one["severity"] for one in document["diagnostics"]} == {"error"}
        assert all(one["code"] and one["message"] for one in document["diagnostics"])


EXAMPLE = r"""
# yaml-language-server: $schema=../schemas/spec.v1.json
regraft: 1
name: vit-small
description: Upstream ViT checkpoints into our model.
revision: v3
revises: v2

vars:
  heads: 6
  depths: [0, 3, 6]
  dim: {from: config.json, key: hidden_size, default: 4}

source:
  root: [state_dict, model]
  require: ['^blocks\.0\.']

rules:
  - drop: ['\.position_ids$', 'num_batches_tracked$']
  - rename: '^module\.'
    to: ''
  - rename:
      '^patch_embed\.proj\.': 'conv_proj.'
      '^norm\.': 'encoder.ln.'
  - rename: '^layers\.(\d+)\.blocks\.(?P<block>\d+)\.'
    to: 'blocks.{depths[\1] + block}.'
    unless: '^layers\.9'
    where: {ndim: 2, dtype: float32, shape: [~, 768]}
    when: 'block < 12'
    count: '>= 0'
    id: blocks
    note: the stages are counted through
  - copy: {exact: tok_embed.weight}
    to: 'lm_head.weight'
  - keep: '.'

policy:
  missing:
    - match: '^head\.'
      do: keep
    - {match: 'mask$', do: zeros}
    - {match: '^proj\.', do: normal, mean: 0, std: 0.02, seed: 3}
  unexpected: error
  dtype:
    - {match: 'steps$', do: cast}
  shape:
    - match: '^pos_embed$'
      do: interpolate
      size: [14, 16]
      from: [12, 12]
      pattern: 1 (h w) c
      mode: bilinear
      prefix_tokens: 1
      suffix_tokens: 0
      antialias: true
    - match: '^tok_embed'
      do: pad
      fill: keep
      align: center
      dims: [0, -1]
      or: omit
    - {match: '^rows', do: pad_slice, fill: -.inf}
    - {match: '^columns', do: slice, align: end, dims: [1]}
    - {match: '^flat', do: reshape}
    - match: '^head\.'
      unless: 'bias$'
      do: skip
      or: omit
  extras: drop

expect:
  missing: ['^head\.']
  loaded: '>= 98%'
  unused_rules: error

output:
  metadata: {made_by: hand}
  ties: first
"""


def test_the_example_of_the_language_page_is_valid(folder, schemas):
    assert valid(schemas["spec"], yaml.safe_load(EXAMPLE)) == []
    (folder / "example.yaml").write_text(EXAMPLE)
    result = run("check", "example.yaml", cwd=folder)
    assert result.status in (0, 1) and not [one for one in errors_of(result) if one.code not in ("unused-var",)], \
        str(result)


@pytest.mark.parametrize("right, wrong", [
    ("regraft: 1", "regraft: 2"), ("regraft: 1", "regaft: 1"), ("name: vit", "nam: vit"), ("vars:", "var:"),
    ("  root:", "  rot:"), ("  - drop:", "  - dorp:"), ("    to: ''", "    too: ''"), ("unless: '^l", "unles: '^l"),
    ("where: {ndim", "where: {ndims"), ("dtype: float32", "dtype: flaot32"), ("  missing:\n    - m", "  mising:\n    - m"),
    ("unexpected: error", "unexpected: eror"), ("      do: keep", "      do: kep"), ("- match", "- mach"),
    ("or: omit", "or: skip"), ("  loaded:", "  loded:"), ("unused_rules: error", "unused_rules: true"),
    ("ties: first", "ties: second"), ("extras: drop", "extras: [drop]"), ("copy: {exact:", "copy: {exat:"),
    ("    to: 'lm_head.weight'\n", ""), ("rules:", "rules: none\nrulez:"),
    ("do: zeros", "do: zeroes"), ("do: zeros", "do: zeros, seed: 1"), ("mean: 0", "mean: .inf"), ("mean: 0", "mean: '0'"),
    ("std: 0.02", "std: -1"), ("seed: 3", "seed: -3"), ("seed: 3", "seed: 0.5"), ("do: cast", "do: cast, dtype: int64"),
    ("size: [14, 16]", "size: [14]"), ("size: [14, 16]", "size: 14"), ("from: [12, 12]", "from: [0, 12]"),
    ("(h w)", "(h*w)"), ("mode: bilinear", "mode: cubic"), ("prefix_tokens: 1", "prefix_tokens: -1"),
    ("antialias: true", "antialias: yes please"), ("fill: keep", "fill: none"), ("fill: keep", "fill: '0'"),
    ("align: center", "align: middle"), ("dims: [0, -1]", "dims: []"), ("dims: [0, -1]", "dims: [0.5]"),
    ("dims: [0, -1]", "dims: 0"), ("do: slice", "do: slice, fill: 0"), ("do: reshape", "do: reshape, shape: [2]"),
])
def test_the_schema_and_the_program_refuse_the_same(folder, schemas, right, wrong):
    assert right in EXAMPLE
    text = EXAMPLE.replace(right, wrong, 1)
    assert valid(schemas["spec"], yaml.safe_load(text)), "the schema takes it"
    (folder / "example.yaml").write_text(text)
    assert run("check", "example.yaml", cwd=folder).status == 2


def test_the_target_schema_that_inspect_writes_is_valid(folder, schemas):
    import torch

    tied = torch.ones(2, 3)
    write_pt(folder / "tied.pt", {"a": tied, "b": tied, "c": tied.T, "yes": torch.ones(()), "a: b": torch.ones(0)})
    for path in ("source.safetensors", "tied.pt"):
        text = succeed("inspect", path, "--schema", cwd=folder).out
        assert valid(schemas["target"], yaml.safe_load(text)) == [], text
        (folder / "target.yaml").write_text(text)
        write_spec(folder / "same.yaml", "rules: []")
        assert "100.0%" in succeed("plan", "same.yaml", path, "-t", "target.yaml", cwd=folder).out


# --- check ------------------------------------------------------------------------------------------------


def test_check_of_a_spec_that_is_fine(folder):
    result = succeed("check", "spec.yaml", cwd=folder)
    assert "spec.yaml" in result.out and "ok" in result.out and result.err == ""
    document = report_of(succeed("check", "spec.yaml", "--json", cwd=folder))
    assert (document["diagnostics"], document["verdict"]) == ([], "ok")


@pytest.mark.parametrize("body, code, line", [
    ("vars: {unused: 1}\nrules: []", "unused-var", 2),
    ("rules:\n  - drop: ['', '^x']", "unreachable", 3),
    ("rules:\n  - drop: ['^x', '^y', '^x']", "unreachable", 3),
    ("rules:\n  - rename:\n      '^': 'a.'\n      '^x': 'b.'", "unreachable", 5),
    ("policy:\n  shape:\n    - {do: skip}\n    - {match: 'x', do: error}", "unreachable", 5),
    ("policy:\n  missing:\n    - {match: 'x', do: keep}\n    - {match: 'x', do: omit}", "unreachable", 5),
])
def test_check_finds_what_is_in_vain(folder, body, code, line):
    write_spec(folder / "spec.yaml", body)
    found = assert_error(run("check", "spec.yaml", cwd=folder), 1, code, file="spec.yaml")
    assert found.line == line and "^" in found.caret


@pytest.mark.parametrize("body", [
    "vars: {used: 1}\nrules: [{rename: 'x', to: '{used}'}]",
    "vars: {used: 1}\nrules: [{drop: 'x(.)', when: '\\1 == used'}]",
    "vars: {used: 1}\nrules: [{drop: 'x', where: {shape: ['used * 2']}}]",
    "rules:\n  - drop: ['^x', '^']",
    "policy:\n  shape:\n    - {match: 'x', unless: 'y', do: skip}\n    - {match: 'x', do: error}",
    "policy:\n  shape:\n    - {match: 'x', do: skip}\n    - {do: error}",
])
def test_check_has_no_false_alarm(folder, body):
    write_spec(folder / "spec.yaml", body)
    succeed("check", "spec.yaml", cwd=folder)


def test_check_of_several_specs(folder):
    write_spec(folder / "vain.yaml", "vars: {unused: 1}")
    write_spec(folder / "wrong.yaml", "rulse: []")
    for specs, status in ((["spec.yaml", "spec.yaml"], 0), (["spec.yaml", "vain.yaml"], 1),
                          (["wrong.yaml", "vain.yaml"], 2), (["vain.yaml", "nothing.yaml", "wrong.yaml"], 3)):
        result = run("check", *specs, cwd=folder)
        assert result.status == status, str(result)
        for spec in specs:
            assert spec in result.out + result.err, str(result)


# --- usage ----------------------------------------------------------------------------------------------------


def test_version(folder):
    result = succeed("--version", cwd=folder)
    assert re.fullmatch(r"regraft \d+\.\d+\.\d+\n", result.out) and result.err == ""
    assert report_of(succeed("plan", *SPEC, "--json", cwd=folder))["engine"]["version"] == result.out.split()[1]


@pytest.mark.parametrize("command", [[], ["inspect"], ["plan"], ["apply"], ["check"], ["schema"]])
def test_help(folder, command):
    texts = {succeed(*command, option, cwd=folder).out for option in ("--help", "-h")}
    text, = texts
    if not command:
        for word in ("inspect", "plan", "apply", "check", "schema", "--version", "130"):
            assert word in text
    assert len(text.splitlines()) > 3


@pytest.mark.parametrize("arguments", [["--bogus"], ["plan", "--bogus"], ["bogus"], [], ["schema"], ["schema", "bogus"],
                                       ["inspect"], ["check"], ["plan", "spec.yaml", "source.safetensors", "--print", "x"],
                                       ["plan", "spec.yaml", "source.safetensors", "--color", "x"], ["plan", "-t"],
                                       ["apply", "spec.yaml", "source.safetensors", "-o", "n.pt", "--digest", "md5"],
                                       ["inspect", "source.safetensors", "target.safetensors"]], ids=" ".join)
def test_wrong_usage(folder, arguments):
    before = snapshot(folder)
    result = run(*arguments, cwd=folder)
    assert result.status == 2 and "error[usage]" in result.err and result.out == "", str(result)
    assert "hint:" in result.err and snapshot(folder) == before


@pytest.mark.parametrize("option, value, words", [
    ("--digest", "", "'' is none of none|sha256|xxh3"), ("--digest", "2", "'2' is none of"),
    ("--color", "1", "'1' is none of"), ("--progress", "Auto", "'Auto' is none of auto|off|plain"),
    ("--max-growth", "", "it is empty"), ("--max-growth", "x", "x"),
])
def test_values_that_no_option_has(folder, option, value, words):
    before = snapshot(folder)
    result = run("apply", *SPEC, "-o", "new.pt", option, value, cwd=folder)
    assert result.status == 2 and "error[usage]: " in result.err and words in result.err, str(result)
    assert snapshot(folder) == before


# --- stdout, stderr, colour -----------------------------------------------------------------------------------


def test_data_on_stdout_messages_on_stderr(folder):
    write_spec(folder / "vain.yaml", "rules: [{drop: 'nothing'}]")
    assert succeed("plan", *SPEC, cwd=folder).err == ""
    assert succeed("apply", *SPEC, "-o", "new.pt", cwd=folder).err == ""
    result = succeed("plan", "vain.yaml", "source.safetensors", "--json", cwd=folder)
    assert report_of(result)["verdict"] == "ok" and "warning[unused-rule]" in result.err
    result = run("plan", "vain.yaml", "source.safetensors", "-t", "target.safetensors", cwd=folder)
    assert "error[missing]" in result.err and "error[" not in result.out
    assert "NOT ALLOWED" in result.out
    result = run("plan", "nothing.yaml", "source.safetensors", cwd=folder)
    assert result.out == "" and "error[file-open]" in result.err
    for arguments in (["inspect", "source.safetensors"], ["schema", "spec"], ["plan", *SPEC, "--print", "plan"]):
        result = succeed(*arguments, cwd=folder)
        assert result.out and result.err == ""


@pytest.mark.parametrize("mode", ["auto", "plain", "off"])
def test_progress_is_no_data(folder, mode):
    result = succeed("apply", *SPEC, "-o", f"{mode}.pt", "--json", "--progress", mode, cwd=folder)
    assert report_of(result)["verdict"] == "ok" and "\r" not in result.err


COLOURED = [["plan", *SPEC], ["plan", *SPEC, "--missing", "error"], ["plan", "nothing.yaml", "source.safetensors"],
            ["check", "wrong.yaml"]]


@pytest.mark.parametrize("arguments", COLOURED, ids=" ".join)
def test_colour(folder, arguments):
    write_spec(folder / "wrong.yaml", "rulse: []")
    escape = "\x1b["
    plain = run(*arguments, cwd=folder)
    assert escape not in plain.out + plain.err, "a pipe"
    always = run(*arguments, "--color", "always", cwd=folder)
    assert escape in always.out + always.err and always.status == plain.status
    assert re.sub(r"\x1b\[[0-9;]*m", "", always.out + always.err) == plain.out + plain.err, "colour alone"
    always = run(*arguments, "--color", "always", cwd=folder, env=environment(NO_COLOR="1"))
    assert escape in always.out + always.err, "what is asked for holds"

    _, shown = run_in_terminal(*arguments, cwd=folder)
    assert escape in shown, "a terminal"
    for changes in ({"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}):
        _, shown = run_in_terminal(*arguments, cwd=folder, env=environment(**changes))
        assert escape not in shown, changes
    _, shown = run_in_terminal(*arguments, cwd=folder, env=environment(NO_COLOR="", TERM="xterm"))
    assert escape in shown, "NO_COLOR that is empty says nothing"
    _, shown = run_in_terminal(*arguments, "--color", "never", cwd=folder)
    assert escape not in shown


def test_json_has_no_colour(folder):
    assert "\x1b" not in succeed("plan", *SPEC, "--json", "--color", "always", cwd=folder).out
    _, shown = run_in_terminal("plan", *SPEC, "--json", cwd=folder)
    assert json.loads(shown)["verdict"] == "ok"


# --- what is printed can be used ----------------------------------------------------------------------------


def printed_rules(text):
    """The suggested rules of a text report, as they stand in it."""
    lines = text.splitlines()
    rules = []
    for at, line in enumerate(lines):
        column = line.find("- rename: ")
        if column >= 0:
            rules.append("\n".join([line[column:], lines[at + 1][column:]]))
    return rules


SUGGESTIONS = {
    "a part": ([f"blocks.{i}.gamma_1" for i in range(3)], [f"blocks.{i}.ls1.gamma" for i in range(3)]),
    "a prefix too many": ([f"module.blocks.{i}.w" for i in range(3)], [f"blocks.{i}.w" for i in range(3)]),
    "a prefix too few": ([f"blocks.{i}.w" for i in range(3)], [f"backbone.blocks.{i}.w" for i in range(3)]),
    "another prefix": ([f"encoder.{i}.w" for i in range(3)], [f"backbone.layers.{i}.w" for i in range(3)]),
    "the last part": (["a.gamma", "b.gamma", "a.beta", "b.beta"], ["a.weight", "b.weight", "a.bias", "b.bias"]),
    "special characters": (["a.b+c.w", "d.b+c.w"], ["a.b*c.w", "d.b*c.w"]),
    "a name like a part of another": (["norm.g", "prenorm.g"], ["norm.scale", "prenorm.scale"]),
}


@pytest.mark.parametrize("kind", SUGGESTIONS)
def test_suggested_rules_work_as_printed(folder, kind):
    old, new = SUGGESTIONS[kind]
    # Equal shapes for all would leave more than one way; each pair has its own.
    write_safetensors(folder / "source.safetensors", entries({name: [i + 2, 3] for i, name in enumerate(old)}))
    write_safetensors(folder / "target.safetensors", entries({name: [i + 2, 3] for i, name in enumerate(new)}, seed=1))
    (folder / "spec.yaml").write_text("regraft: 1\nrules:\n")
    for _ in range(3):
        result = run("plan", *SPEC, cwd=folder)
        if result.status == 0:
            break
        assert result.status == 1, str(result)
        rules = printed_rules(result.out)
        assert rules, str(result)
        assert len(report_of(run("plan", *SPEC, "--json", cwd=folder))["suggestions"]) == len(rules)
        with open(folder / "spec.yaml", "a") as spec:
            for rule in rules:
                spec.write("".join(f"  {line}\n" for line in rule.splitlines()))
    result = succeed("apply", *SPEC, "-o", "new.safetensors", cwd=folder)
    migrated = read_safetensors(folder / "new.safetensors")
    source = read_safetensors(folder / "source.safetensors")
    assert migrated == {new_name: source[old_name] for old_name, new_name in zip(old, new)}, str(result)


def test_a_suggestion_breaks_nothing_that_fits(folder):
    write_safetensors(folder / "source.safetensors", entries({"a.gamma": [2], "b.gamma": [3], "a.w": [4]}))
    write_safetensors(folder / "target.safetensors", entries({"a.gamma": [2], "b.scale": [3], "a.w": [4]}, seed=1))
    (folder / "spec.yaml").write_text("regraft: 1\nrules:\n")
    rules = printed_rules(run("plan", *SPEC, cwd=folder).out)
    with open(folder / "spec.yaml", "a") as spec:
        for rule in rules:
            spec.write("".join(f"  {line}\n" for line in rule.splitlines()))
    # No suggestion is better than one that takes a.gamma along.
    assert run("plan", *SPEC, cwd=folder).status == (0 if rules else 1)


COMMANDS = ("regraft", "mkdir", "ls")
PLACEHOLDER = re.compile(r"\b(SPEC|SOURCE|TARGET|OUT|FILE|NAME)\b")


def commands_in(hint):
    """The commands that a hint shows: a line that begins with one, or between backticks."""
    found = [line.strip() for line in hint.splitlines()] + re.findall(r"`([^`]+)`", hint)
    found += re.findall(r": ((?:ls|mkdir) .+)$", hint, re.M)
    return [one for one in found if one.split(" ")[0] in COMMANDS and not PLACEHOLDER.search(one)]


def hinting_runs(folder):
    import torch

    write_spec(folder / "keeps nothing.yaml", "rules: [{keep: '^nothing'}]")
    write_spec(folder / "drops nothing.yaml", "rules: [{drop: '^nothing'}]")
    write_spec(folder / "strict.yaml", "rules: [{drop: '^nothing'}]")
    write_spec(folder / "collides.yaml", "rules: [{rename: '^.*$', to: 'x'}]")
    write_spec(folder / "misspelt.yaml", "rules: [{drpo: x}]\npolicy: {missing: kep}")
    write_spec(folder / "unexpected.yaml", "rules: []")
    (folder / "it's a folder.pt").mkdir()
    write_pt(folder / "both.pt", {"a": {"w": torch.ones(1)}, "b": {"w": torch.ones(1)}})
    yield ["plan", "source.safetensors", "spec.yaml"]
    yield ["plan", "source.safetensors", "drops nothing.yaml"]
    yield ["plan", "keeps nothing.yaml", "source.safetensors"]
    yield ["plan", "strict.yaml", "source.safetensors", "--strict"]
    yield ["plan", "collides.yaml", "source.safetensors"]
    yield ["plan", "misspelt.yaml", "source.safetensors"]
    yield ["plan", "unexpected.yaml", "source.safetensors", "-t", "target.safetensors"]
    yield ["plan", "spec.yaml", "both.pt"]
    yield ["plan", "spec.yaml", "sorce.safetensors"]
    yield ["plan", "spec.yaml", "it's a folder.pt"]
    yield ["plan", "spec.yaml"]
    yield ["plan"]
    yield ["plan", "source.safetensors"]
    yield ["plan", "--bogus"]
    yield ["bogus"]
    yield ["apply", *SPEC, "-o", "no folder/it's.pt"]
    yield ["apply", *SPEC, "-o", "target.safetensors"]
    yield ["apply", *SPEC, "-o", "it's a folder.pt"]
    yield ["apply", *SPEC]
    yield ["check", "misspelt.yaml"]
    yield ["inspect", "both.pt", "--root", "c"]
    yield ["inspect", "sorce.safetensors"]


def test_every_command_in_a_hint_runs(folder):
    failures = []
    seen = 0
    for arguments in hinting_runs(folder):
        result = run(*arguments, cwd=folder)
        assert result.status != 0, str(result)
        hints = re.findall(r"hint: (.*)", result.err)
        for command in {one for hint in hints for one in commands_in(hint)}:
            seen += 1
            words = shlex.split(command)
            if words[0] == "regraft":
                words[0] = str(PROGRAM)
            done = subprocess.run(words, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
                                  check=False, timeout=60)
            if done.returncode != 0:
                failures.append(f"{' '.join(arguments)}: `{command}` ends with {done.returncode}: {done.stderr.decode()}")
    assert seen >= 4
    assert not failures, "\n".join(failures)


def test_the_nearest_name_of_a_file_is_a_path(folder):
    (folder / "in").mkdir()
    (folder / "source.safetensors").rename(folder / "in/source.safetensors")
    found = assert_error(run("inspect", "in/sorce.safetensors", cwd=folder), 3, "file-open")
    succeed("inspect", re.search(r"'(.*)'", found.hint)[1], cwd=folder)


@pytest.mark.parametrize("name", ["wave", "a.b.c", "x, y: [z]", "it's", "{x}", "*a", "- b", "yes"])
def test_the_rule_that_leaves_out_what_cannot_be_carried(folder, name):
    import torch

    write_pt(folder / "sparse.pt", {name: torch.ones(2, 2).to_sparse(), "fine": torch.ones(1)})
    write_spec(folder / "spec.yaml", "rules: []")
    found = assert_error(run("plan", "spec.yaml", "sparse.pt", cwd=folder), 2, "cannot-carry", "sparse")
    rule = re.search(r"`(- drop: .*)`", found.hint)
    assert rule, found
    (folder / "spec.yaml").write_text(f"regraft: 1\nrules:\n  {rule[1]}\n")
    succeed("apply", "spec.yaml", "sparse.pt", "-o", "new.safetensors", "--strict", cwd=folder)
    assert list(read_safetensors(folder / "new.safetensors")) == ["fine"]


def test_the_remedies_of_policies_work(folder):
    (folder / "model.yaml").write_text(schema_text({**TARGET, "gate.weight": [3]}))
    write_spec(folder / "spec.yaml", "rules:\n" + "".join(
        "  - " + rule.replace("\n", "\n    ") + "\n" for rule in RULES) + "policy: {}\n")
    arguments = ["spec.yaml", "source.safetensors", "-t", "target.safetensors"]
    result = run("plan", *arguments, cwd=folder)
    policies = {}
    for one in errors_of(result):
        for name, word in re.findall(r"`(missing|unexpected|shape): (\w+)`", one.hint):
            policies.setdefault(name, word)
    assert set(policies) == {"missing", "unexpected", "shape"}, str(result)
    succeed("plan", *arguments, *(word for name, value in policies.items() for word in (f"--{name}", value)),
            cwd=folder)


def test_force_is_the_remedy_for_an_output_that_exists(folder):
    succeed("apply", *SPEC, "-o", "new.pt", cwd=folder)
    found = assert_error(run("apply", *SPEC, "-o", "new.pt", cwd=folder), 3, "file-exists", "--force")
    assert found.hint.startswith("--force")
    succeed("apply", *SPEC, "-o", "new.pt", "--force", cwd=folder)


# --- inspect --------------------------------------------------------------------------------------------------


def test_inspect_shows_what_a_person_asks_for(folder):
    text = succeed("inspect", "source.safetensors", cwd=folder).out
    for name, shape in SOURCE.items():
        sizes = shape[1] if isinstance(shape, tuple) else shape
        line = next(line for line in text.splitlines() if line.startswith(name + " "))
        assert str(sizes) in line
    assert succeed("inspect", "source.safetensors", "--keys", cwd=folder).out.splitlines() == list(SOURCE)


def test_inspect_of_names_that_are_no_text(folder):
    write_safetensors(folder / "odd.safetensors", {"a\nb": Entry("U8", (1,), b"x"), "ü": Entry("U8", (1,), b"y")})
    lines = succeed("inspect", "odd.safetensors", "--keys", cwd=folder).out.splitlines()
    assert len(lines) == 2 and lines[1] == "ü"


def test_inspect_json(folder):
    document = json.loads(succeed("inspect", "source.safetensors", "--json", cwd=folder).out)
    assert set(SOURCE) <= {one["name"] for one in document["tensors"]}


def test_inspect_values(folder):
    data = noise("x", 4 * 100)
    write_safetensors(folder / "x.safetensors", {"x": Entry("U8", (400,), data)})
    text = succeed("inspect", "x.safetensors", "--values", "--json", cwd=folder).out
    only, = json.loads(text)["tensors"]
    values = json.dumps(only)
    assert str(min(data)) in values and str(max(data)) in values


def test_diagnostics_have_one_form(folder):
    """What the tests read is all that stderr has."""
    write_spec(folder / "spec.yaml", "rules: [{drpo: x}, {drop: '(x'}]\npolicy: {missing: kep}")
    result = run("plan", "spec.yaml", "source.safetensors", cwd=folder)
    assert len(diagnostics(result.err)) == 3 and result.err.endswith("\n")


def test_a_small_file_does_not_fill_the_disk(folder):
    import torch

    # 80 MB of one repeated element; safetensors has no strides to say so.
    write_pt(folder / "bomb.pt", {"w": torch.ones(1).expand(20_000_000)})
    before = snapshot(folder)
    assert_error(run("apply", "-e", "{keep: w}", "bomb.pt", "-o", "new.safetensors", cwd=folder), 3, "limit",
                 "--max-growth")
    assert snapshot(folder) == before
    succeed("apply", "-e", "{keep: w}", "bomb.pt", "-o", "new.safetensors", "--max-growth", "0", cwd=folder)
    assert (folder / "new.safetensors").stat().st_size > 80_000_000


def test_the_root_on_the_command_line(folder):
    import torch

    write_pt(folder / "both.pt", {"model": {"w": torch.zeros(1)}, "ema": {"w": torch.ones(1)}})
    assert_error(run("plan", "-e", "{keep: w}", "both.pt", cwd=folder), 2, "root-ambiguous", "model", "ema")
    for root, names in (("ema", ["w"]), ("", ["model.w", "ema.w"])):
        succeed("apply", "-e", "{keep: w}", "both.pt", "--root", root, "-o", "new.pt", "--force", "--write-spec",
                "new.yaml", cwd=folder)
        written = torch.load(folder / "new.pt", weights_only=True)
        assert list(written) == names and written[names[-1]].item() == 1
        succeed("apply", "new.yaml", "both.pt", "-o", "again.pt", "--force", cwd=folder)
        assert (folder / "again.pt").read_bytes() == (folder / "new.pt").read_bytes()


def test_a_meta_model_has_no_values_to_keep(folder):
    import torch

    meta = {"a": torch.empty(2, device="meta"), "b": torch.empty(3, device="meta"), "c": torch.empty(4, device="meta")}
    write_pt(folder / "meta.pt", meta)
    write_pt(folder / "real.pt", {"a": torch.ones(2), "c": torch.ones(5)})
    write_spec(folder / "meta.yaml", "policy: {missing: keep, shape: [{do: skip, or: omit}]}")
    for output in ([], ["-o", "new.pt"]):
        command = ["apply" if output else "plan", "meta.yaml", "real.pt", "-t", "meta.pt", "--json", *output]
        report = json.loads(succeed(*command, cwd=folder).out)
        assert [one["status"] for one in report["tensors"]] == ["loaded", "omitted", "omitted"]
    assert list(torch.load(folder / "new.pt", weights_only=True)) == ["a"]


def test_a_dry_run_says_what_the_run_would_say(folder):
    (folder / "there.pt").write_bytes(b"precious")
    for output, code in (("there.pt", "file-exists"), ("source.safetensors", "file-is-input"), ("no/x.pt", "file-write")):
        assert_error(run("apply", *SPEC, "-o", output, "--dry-run", cwd=folder), 3, code)
    succeed("apply", *SPEC, "-o", "there.pt", "--dry-run", "--force", cwd=folder)
    assert (folder / "there.pt").read_bytes() == b"precious"


def test_a_rule_beside_a_spec(folder):
    assert_error(run("plan", *SPEC, "-e", "drop: x", cwd=folder), 2, "usage", "-e takes the place of a spec")
