"""`regraft explain`: options, exit status, JSON, and names that are hard to print."""

import json

import pytest

from helpers import (assert_error, diagnostics, entries, environment, run, run_in_terminal, schema_text, snapshot,
                     succeed, to_torch, write_pt, write_safetensors, write_spec)

SPEC = r"""
rules:
  - drop: '\.steps$'
    id: counters
  - rename: '^module\.'
    to: ''
  - copy: '^embed\.'
    to: 'lm_head.'
  - rename: '^layers\.(\d+)\.'
    to: 'blocks.{\1}.'
    unless: '\.norm\.'
policy:
  shape:
    - match: '^head\.'
      do: skip
"""
SOURCE = {"module.steps": ("I64", []), "module.embed.weight": [4, 2], "module.layers.0.fc.weight": [2, 2],
          "module.layers.0.norm.weight": [2], "module.head.weight": [9, 2]}
TARGET = {"embed.weight": [4, 2], "lm_head.weight": [4, 2], "blocks.0.fc.weight": [2, 2], "blocks.0.norm.weight": [2],
          "head.weight": [3, 2]}


@pytest.fixture
def folder(tmp_path):
    write_spec(tmp_path / "spec.yaml", SPEC)
    write_safetensors(tmp_path / "old.safetensors", entries(SOURCE))
    write_safetensors(tmp_path / "new.safetensors", entries(TARGET, seed=1))
    return tmp_path


INPUTS = ["spec.yaml", "old.safetensors", "-t", "new.safetensors"]


def explain(folder, name, *arguments):
    """The headings of the JSON by role, and the text."""
    text = succeed("explain", name, *(arguments or INPUTS), cwd=folder)
    assert text.err == ""
    told = succeed("explain", name, *(arguments or INPUTS), "--json", cwd=folder)
    document = json.loads(told.out)
    assert document["regraft_explanation"] == 1 and document["name"] == name
    return {one["role"]: one for one in document["found"]}, text.out


def outcomes(told):
    return [(one["rule"], one["outcome"], one["from"], one["to"]) for one in told["rules"]]


def statuses(told):
    return [(one["status"], one["name"]) for one in told["ends"]]


# --- what is told -----------------------------------------------------------------------------------------


def test_a_source_name(folder):
    told, text = explain(folder, "module.layers.0.fc.weight")
    assert list(told) == ["source"]
    source = told["source"]
    assert (source["dtype"], source["shape"], source["file"]) == ("float32", [2, 2], "old.safetensors")
    assert outcomes(source) == [
        (2, "takes", ["module.layers.0.fc.weight"], ["layers.0.fc.weight"]),
        (4, "takes", ["layers.0.fc.weight"], ["blocks.0.fc.weight"])]
    assert source["rules"][0]["pattern"] == {"text": r"^module\.", "exact": False, "file": "spec.yaml", "line": 5}
    assert [one["line"] for one in source["rules"]] == [5, 9]
    assert statuses(source) == [("loaded", "blocks.0.fc.weight")]
    for said in ("rule 2", "spec.yaml:5", "'layers.0.fc.weight' -> 'blocks.0.fc.weight'", r"'^module\.'", "loaded"):
        assert said in text


def test_a_copy_has_two_ends(folder):
    told, _ = explain(folder, "module.embed.weight")
    assert statuses(told["source"]) == [("loaded", "embed.weight"), ("loaded", "lm_head.weight")]
    assert [one["stays"] for one in told["source"]["rules"]] == [False, True]


def test_a_near_miss(folder):
    told, text = explain(folder, "module.layers.0.norm.weight")
    assert told["source"]["rules"][-1]["outcome"] == "unless"
    assert r"`unless` '\.norm\.'" in text
    assert statuses(told["source"]) == [("unexpected", "layers.0.norm.weight")]
    end = told["source"]["ends"][0]
    assert end["code"] == "unexpected" and "drop or rename" in end["hint"]
    assert end["suggestions"] and end["suggestions"][0]["to"] == "blocks."


def test_a_dropped_name(folder):
    told, text = explain(folder, "module.steps")
    assert outcomes(told["source"]) == [(1, "takes", ["module.steps"], [])]
    assert told["source"]["rules"][0]["id"] == "counters" and "rule 1 (counters)" in text
    assert statuses(told["source"]) == [("dropped", "module.steps")]
    assert told["source"]["ends"][0]["rule"] == 1


def test_a_target_name(folder):
    told, _ = explain(folder, "lm_head.weight")
    target = told["target"]
    assert target["file"] == "new.safetensors"
    assert [one["name"] for one in target["sources"]] == ["module.embed.weight"]
    assert [one["rule"] for one in target["rules"]] == [2, 3]
    assert statuses(target) == [("loaded", "lm_head.weight")]

    told, text = explain(folder, "head.weight")
    end = told["target"]["ends"][0]
    assert end["status"] == "skipped" and (end["result_shape"], end["shape"]) == ([9, 2], [3, 2])
    assert end["policies"] == [{"policy": "shape", "word": "skip", "file": "spec.yaml", "line": 14}]
    assert "shape: skip" in text and "spec.yaml:14" in text


def test_a_target_name_that_nothing_reaches(folder):
    told, text = explain(folder, "blocks.0.norm.weight")
    target = told["target"]
    assert target["ends"][0]["code"] == "missing" and target["sources"] == []
    assert target["ends"][0]["suggestions"]
    assert [one["name"] for one in target["near"]] == ["layers.0.norm.weight"]
    assert "nothing reaches it" in text and "- rename: " in text


def test_a_name_between_rules(folder):
    told, text = explain(folder, "layers.0.fc.weight")
    assert list(told) == ["between"] and text.startswith("between rules 'layers.0.fc.weight'\n")
    assert [one["name"] for one in told["between"]["sources"]] == ["module.layers.0.fc.weight"]
    assert statuses(told["between"]) == [("loaded", "blocks.0.fc.weight")]


def test_a_name_of_both_sides_has_two_headings(tmp_path):
    (tmp_path / "both.yaml").write_text(schema_text({"x": [2], "y": [2]}))
    told, text = explain(tmp_path, "x", "-e", "{rename: {exact: {x: y, y: x}}}", "both.yaml", "-t", "both.yaml")
    assert list(told) == ["source", "target"]
    assert statuses(told["source"]) == [("loaded", "y")]
    assert [one["name"] for one in told["target"]["sources"]] == ["y"]
    assert text.startswith("source 'x'\n") and text.count("\n\ntarget 'x'\n") == 1


def test_without_a_target(folder):
    told, _ = explain(folder, "head.weight", "spec.yaml", "old.safetensors")
    assert list(told) == ["output"]
    assert statuses(told["output"]) == [("loaded", "head.weight")]


def test_verbose_lists_the_other_rules(folder):
    result = succeed("explain", "module.head.weight", *INPUTS, "--verbose", "--json", cwd=folder)
    rules = json.loads(result.out)["found"][0]["rules"]
    assert [one["outcome"] for one in rules] == ["passes", "takes", "passes", "passes"]
    assert "no pattern is found" in succeed("explain", "module.head.weight", *INPUTS, "--verbose", cwd=folder).out


def test_where_the_state_dict_is(tmp_path):
    write_pt(tmp_path / "old.pt", {"model": to_torch(entries({"a": [2]})), "ema": to_torch(entries({"a": [3]}))})
    arguments = ["old.pt", "-e", "{rename: ^a, to: b}", "--root", "ema"]
    told, text = explain(tmp_path, "a", *arguments)
    assert told["source"]["root"] == "ema" and told["source"]["shape"] == [3]
    assert "old.pt, below 'ema'" in text


def test_it_agrees_with_the_report(folder):
    """Every end of every source is what `plan --json` says of that name."""
    plan = json.loads(run("plan", *INPUTS, "--json", cwd=folder).out)
    decided = {one["name"]: one["status"] for one in plan["tensors"]}
    for source in plan["sources"]:
        told, _ = explain(folder, source["name"])
        for end in told["source"]["ends"]:
            assert end["status"] == decided.get(end["name"], end["status"])
        steps = [(one["rule"], one["to"][-1]) for one in told["source"]["rules"] if one["to"]]
        for tensor in plan["tensors"]:
            if source["name"] in tensor["sources"]:
                assert {(one["rule"], one["to"]) for one in tensor["rules"]} <= set(steps)
    for tensor in plan["tensors"]:
        told, _ = explain(folder, tensor["name"])
        assert told["target"]["ends"][0]["status"] == tensor["status"]
        assert [one["name"] for one in told["target"]["sources"]] == tensor["sources"]
        assert [(one["rule"], one["to"]) for one in told["target"]["rules"] if one["to"]] == [
            (one["rule"], [one["to"]]) for one in tensor["rules"]]


# --- options and exit status ------------------------------------------------------------------------------


def test_the_options_of_plan(folder):
    write_spec(folder / "vars.yaml", "vars: {to: a}\nrules:\n  - rename: '^module\\.head'\n    to: '{to}'")
    told, _ = explain(folder, "module.head.weight", "vars.yaml", "old.safetensors", "--set", "to=b")
    assert statuses(told["source"]) == [("loaded", "b.weight")]
    told, _ = explain(folder, "module.head.weight", "old.safetensors", "-t", "new.safetensors",
                      "-e", r"{rename: ^module\., to: ''}", "-e", "drop: ^embed", "--shape", "skip",
                      "--missing", "keep", "--unexpected", "drop", "--dtype", "cast", "--extras", "drop")
    assert statuses(told["source"]) == [("skipped", "head.weight")]
    told, _ = explain(folder, "module.head.weight", "old.safetensors", "-t", "new.safetensors", "--unexpected", "drop")
    assert told["source"]["ends"][0]["policies"][0]["word"] == "drop"


def test_errors_elsewhere_are_not_told(folder):
    """The plan fails for another name; this one is explained, and stderr stays empty."""
    assert run("plan", *INPUTS, cwd=folder).status == 1
    result = succeed("explain", "module.embed.weight", *INPUTS, cwd=folder)
    assert "norm" not in result.out and result.err == ""


def test_a_rule_that_fails_is_told(folder):
    write_spec(folder / "bad.yaml", "rules:\n  - rename: '^.*$'\n    to: 'one'\n  - drop: 'x'")
    told, text = explain(folder, "module.head.weight", "bad.yaml", "old.safetensors")
    end = told["source"]["ends"][0]
    assert (end["status"], end["code"], end["rule"]) == ("undecided", "collision", 1)
    assert end["where"] == {"file": "bad.yaml", "line": 3} and len(end["notes"]) == 2
    assert "error[collision]" in text and "the target was not consulted" in text
    document = json.loads(succeed("explain", "module.head.weight", "bad.yaml", "old.safetensors", "--json",
                                  cwd=folder).out)
    assert document["complete"] is False


@pytest.mark.parametrize("name, like", [("module.haed.weight", "'module.head.weight', of the source"),
                                        ("blocks.0.fc.wieght", "'blocks.0.fc.weight', of the target"),
                                        ("layers.0.fc.wieght", "'layers.0.fc.weight', made by a rule"),
                                        ("fc.weight", "'module.layers.0.fc.weight', of the source"),
                                        ("backbone.module.steps", "'module.steps', of the source")])
def test_a_name_that_is_nowhere(folder, name, like):
    result = run("explain", name, *INPUTS, cwd=folder)
    assert result.out == ""
    assert_error(result, 2, "usage", f"nothing is named '{name}'", like)


def test_a_name_like_no_other(folder):
    result = run("explain", "nonsense", *INPUTS, cwd=folder)
    hint = assert_error(result, 2, "usage", "nonsense").hint
    assert hint == "`regraft inspect --keys old.safetensors` lists the names"
    succeed("inspect", "--keys", "old.safetensors", cwd=folder)
    document = json.loads(run("explain", "nonsense", *INPUTS, "--json", cwd=folder).out)
    assert [one["code"] for one in document["diagnostics"]] == ["usage"]


@pytest.mark.parametrize("arguments, status, code", [
    (["x"], 2, "usage"),
    (["x", "spec.yaml"], 2, "usage"),
    (["x", "-e", "drop: a"], 2, "usage"),
    ([], 2, "usage"),
    (["x", "spec.yaml", "old.safetensors", "more.safetensors"], 2, "usage"),
    (["x", "-e", "drp: a", "old.safetensors"], 2, "unknown-key"),
    (["x", "absent.yaml", "old.safetensors"], 3, "file-open"),
    (["x", "spec.yaml", "absent.safetensors"], 3, "file-open"),
    (["x", "spec.yaml", "old.safetensors", "-t", "spec.yaml"], 3, None),
    (["x", *INPUTS, "--set", "none=1"], 2, "bad-var"),
    (["x", *INPUTS, "--missing", "kep"], 2, None),
    (["x", *INPUTS, "-o", "out.pt"], 2, "usage")])
def test_mistakes_are_reported_as_by_plan(folder, arguments, status, code):
    before = snapshot(folder)
    result = run("explain", *arguments, cwd=folder)
    assert result.status == status, str(result)
    assert result.out == ""
    errors = [one for one in diagnostics(result.err) if one.severity == "error"]
    assert errors and (code is None or code in [one.code for one in errors]), str(result)
    if arguments and arguments[-2:-1] != ["-o"] and "SPEC" not in result.err and arguments[1:]:
        assert diagnostics(run("plan", *arguments[1:], cwd=folder).err) == diagnostics(result.err)
    assert snapshot(folder) == before


@pytest.mark.parametrize("arguments", [["module.steps", "old.safetensors", "spec.yaml"],
                                       ["spec.yaml", "old.safetensors", "module.steps"]])
def test_the_hint_for_another_order_runs(folder, arguments):
    result = run("explain", *arguments, "-t", "new.safetensors", cwd=folder)
    hint = assert_error(result, 2, "usage").hint
    assert hint.startswith("regraft explain module.steps spec.yaml old.safetensors")
    told = succeed(*hint.split()[1:], cwd=folder)
    assert "dropped" in told.out


def test_a_name_like_a_command_or_an_option(tmp_path):
    (tmp_path / "old.yaml").write_text(schema_text({"plan": [1], "-x": [2], "a b": [3], "": [4]}))
    for name in ("plan", "a b", ""):
        told, _ = explain(tmp_path, name, "old.yaml", "-e", "drop: none")
        assert told["source"]["name"] == name
    result = succeed("explain", "-e", "drop: none", "--", "-x", "old.yaml", cwd=tmp_path)
    assert result.out.startswith("source '-x'\n")


def test_headers_are_enough_and_nothing_is_written(folder):
    (folder / "old.yaml").write_text(schema_text(SOURCE))
    (folder / "new.yaml").write_text(schema_text(TARGET))
    before = snapshot(folder)
    told, _ = explain(folder, "module.embed.weight", "spec.yaml", "old.yaml", "-t", "new.yaml")
    assert [one["status"] for one in told["source"]["ends"]] == ["loaded", "loaded"]
    assert snapshot(folder) == before


# --- names that are hard to print -------------------------------------------------------------------------

UGLY = "a\x1b[31m\nb\u202e"


def test_control_characters_are_escaped(tmp_path):
    write_safetensors(tmp_path / "old.safetensors", entries({UGLY: [2], "other": [2]}))
    write_safetensors(tmp_path / "new.safetensors", entries({UGLY + ".x": [2]}))
    arguments = ["old.safetensors", "-t", "new.safetensors", "-e", "{copy: '(?s)^(a.*)$', to: '\\1.y'}"]
    told, text = explain(tmp_path, UGLY, *arguments)
    assert told["source"]["name"] == UGLY
    assert r"'a\x1b[31m\x0ab" in text and "\x1b" not in text and "\u202e" not in text
    _, text = explain(tmp_path, UGLY + ".x", *arguments)
    assert "\x1b" not in text and "nothing reaches it" in text
    result = run("explain", UGLY + "z", *arguments, cwd=tmp_path)
    assert result.status == 2 and "\x1b" not in result.err and "like it" in result.err
    status, screen = run_in_terminal("explain", UGLY, *arguments, cwd=tmp_path)
    assert status == 0 and "\x1b[31m" not in screen


def test_big_names(tmp_path):
    """Long names are shown in full, and deep ones take no time."""
    long = "x." * 20_000 + "weight"
    write_safetensors(tmp_path / "old.safetensors", entries({long: [2], "y": [2]}))
    told, text = explain(tmp_path, long, "old.safetensors", "-e", r"{rename: '\.weight$', to: .w}")
    assert statuses(told["source"]) == [("loaded", long.removesuffix("eight"))]
    assert f"source '{long}'\n" in text
    result = run("explain", long + "s", "old.safetensors", "-e", "drop: y", cwd=tmp_path, timeout=60)
    assert_error(result, 2, "usage", "nothing is named", "inspect --keys")


def test_many_names(tmp_path):
    names = [f"module.layers.{i // 10}.attention.{i % 10}.weight" for i in range(20_000)]
    (tmp_path / "old.yaml").write_text(schema_text({name: [1] for name in names}))
    (tmp_path / "new.yaml").write_text(schema_text({name.replace("module", "m"): [1] for name in names}))
    told, text = explain(tmp_path, "m.layers.7.attention.3.weight", "old.yaml", "-t", "new.yaml", "-e", "drop: nothing")
    assert len(told["target"]["same_shape"]) == 4
    assert told["target"]["same_shape_count"] > 19_000 and len(text.splitlines()) < 25
    result = run("explain", "module.layers.7.attention.3.wieght", "old.yaml", "-e", "drop: nothing", cwd=tmp_path)
    assert_error(result, 2, "usage", "module.layers.7.attention.3.weight")


def test_absolute_paths_are_not_shown(folder):
    arguments = [folder / "spec.yaml", folder / "old.safetensors", "-t", folder / "new.safetensors"]
    for name in ("module.head.weight", "head.weight", "module.layers.0.norm.weight"):
        for more in ([], ["--json"]):
            shown = succeed("explain", name, *arguments, *more, cwd=folder).out
            assert str(folder) not in shown
            assert shown == succeed("explain", name, *INPUTS, *more, cwd=folder).out


def test_the_text_depends_on_nothing_around_it(folder):
    plain = succeed("explain", "module.head.weight", *INPUTS, cwd=folder).out
    for change in ({"LC_ALL": "C"}, {"TERM": "xterm", "COLUMNS": "20"}, {"NO_COLOR": "1"}):
        assert succeed("explain", "module.head.weight", *INPUTS, cwd=folder, env=environment(**change)).out == plain
    assert run_in_terminal("explain", "module.head.weight", *INPUTS, cwd=folder, columns=40) == (0, plain)
    assert "\x1b" not in succeed("explain", "module.head.weight", *INPUTS, "--color", "always", cwd=folder).out
