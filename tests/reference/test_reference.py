"""The page's sentences and examples, worked out by hand, so that a reader can trust the reference against the engine."""
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from regraft_reference import Checkpoint, SpecError, load_safetensors, migrate, raw_bytes  # noqa: E402
from regraft_reference import strict_yaml  # noqa: E402
from regraft_reference.expressions import Expression, Scope, Template  # noqa: E402
from regraft_reference.patterns import Pattern  # noqa: E402


def run(rules="", names=(), target=None, head="", output="pt", tensors=None, **options):
    source = tensors if tensors is not None else {name: torch.ones(2) for name in names}
    text = f"regraft: 1\n{head}\n" + (f"rules:\n{rules}\n" if rules else "")
    return migrate(text, Checkpoint("source", source), None if target is None else Checkpoint("target", target), output, **options)


def after(rules, *names, **options):
    outcome = run(rules, names, **options)
    assert not outcome.exits, outcome.messages
    return [name.decode() for name in outcome.outputs]


def exits(rules, *names, **options):
    return run(rules, names, **options).exits


# Names and patterns

def test_a_pattern_is_found_anywhere_and_drop_takes_what_it_matches():
    rules = r"  - drop: ['\.position_ids$', 'num_batches_tracked$']"
    assert after(rules, "bn.num_batches_tracked", "e.position_ids", "e.position_ids.x", "w") == ["e.position_ids.x", "w"]


def test_rename_rewrites_the_first_place_and_the_rest_stays():
    assert after(r"""  - {rename: '^module\.', to: ''}""", "module.module.w") == ["module.w"]
    assert after("  - {rename: a, to: b}", "xaya") == ["xbya"]
    assert after("  - {rename: '^', to: 'backbone.'}", "w") == ["backbone.w"]
    assert after("  - {rename: a, to: b, all: true}", "xaya") == ["xbyb"]


def test_all_steps_over_an_empty_match_after_a_match():
    # What RE2::GlobalReplace("abaca", "a*", "-") gives.
    assert after("  - {rename: 'a*', to: '-', all: true}", "baac") == ["-b-c-"]
    assert after("  - {rename: '^', to: '-', all: true}", "baac") == ["-baac"]


def test_a_dollar_is_the_very_end_and_a_dot_is_one_byte():
    assert after("  - drop: 'a$'", "a\n", "ba") == ["a\n"]
    assert after("  - drop: '^..$'", "é", "ü.") == ["ü."]


def test_the_page_s_example_of_depths():
    head = "vars: {depths: [0, 3, 6]}"
    rules = r"""  - {rename: '^layers\.(\d+)\.blocks\.(?P<block>\d+)\.', to: 'blocks.{depths[\1] + block}.'}"""
    assert after(rules, "layers.1.blocks.2.w", "layers.2.blocks.0.w", head=head) == ["blocks.5.w", "blocks.6.w"]
    assert exits(rules, "layers.3.blocks.0.w", head=head) == {2}


def test_a_table_takes_the_first_pattern_that_is_found_once():
    rules = r"""  - rename: {'^patch_embed\.proj\.': 'conv_proj.', '^norm\.': 'encoder.ln.', 'proj': 'never'}"""
    assert after(rules, "patch_embed.proj.w", "norm.w", "proj") == ["conv_proj.w", "encoder.ln.w", "never"]


def test_a_swap_in_one_table_works_and_a_rule_does_not_match_its_own_results():
    assert after("  - rename: {'^a$': b, '^b$': a}", "a", "b") == ["b", "a"]
    assert after("  - rename: {exact: {a: b, b: a}}", "a", "b") == ["b", "a"]


def test_exact_stands_for_literal_names():
    assert after("  - drop: {exact: 'a.b'}", "a.b", "axb", "a.b.c") == ["axb", "a.b.c"]
    assert after("  - drop: [{exact: [a, b]}, '^c']", "a", "b", "c1", "aa") == ["aa"]
    assert after(r"  - {rename: {exact: 'a.b'}, to: '\0.c'}", "a.b", "axb") == ["a.b.c", "axb"]


def test_the_first_pattern_found_takes_the_name_and_then_unless_decides():
    rules = "  - {rename: {'^a': 'first', 'b$': 'second'}, unless: 'ab'}"
    assert after(rules, "ab", "ac", "cb") == ["ab", "firstc", "csecond"]


@pytest.mark.parametrize("pattern", ["^(?!a)", "(", "a{1001}", r"(a)\1", "[z-a]"])
def test_what_is_not_re2_is_a_mistake_of_the_spec(pattern):
    assert exits(f"  - drop: '{pattern}'", "a") == {2}


# Templates and expressions

def template(text, pattern="", name=b"", **variables):
    found = Pattern(pattern).find(name)
    compiled = Template(text)
    compiled.check(len(found.captures) - 1, found.named, variables)
    return compiled.expand(Scope(variables, found.captures, found.named))


def test_templates():
    assert template(r"\0|\1|\2", r"(\d+)\.(\d+)", b"x1.02y") == b"1.02|1|02"
    assert template(r"{{\1}}\\", "(.)", b"x") == b"{x}\\"
    assert template(r"{\1}.{\1 + 1}", r"(\d+)", b"007") == b"007.8"       # alone its text, in arithmetic a number
    assert template("{n}{n * 2}", r"(?P<n>\d+)", b"04") == b"048"
    assert template(r"[\1]", "x(a)?", b"x") == b"[]"                       # took no part
    assert template("{label}", label=b"enc") == b"enc"


@pytest.mark.parametrize("text", [r"\d", "\\", "{", "}", "{}", "{1 +}", "{nope}", r"\1", r"{\1}", "{1 2}", "{9223372036854775808}"])
def test_templates_that_do_not_compile(text):
    with pytest.raises(SpecError):
        template(text)


def value(text, *captures, **variables):
    return Expression(text).value(Scope(variables, [b"", *captures]))


@pytest.mark.parametrize("text, expected", [
    ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("(0 - 7) // 2", -4), ("(0 - 7) % 3", 2), ("7 // (0 - 2)", -4), ("1 < 2 < 3", 1),
    ("1 < 3 < 2", 0), ("3 > 2 == 2", 1), ("not 1 == 2", 1), ("1 or 1 // 0", 1), ("0 and 1 // 0", 0), ("2 and 3", 1),
    ("7 - 2 - 1", 4),
    ("0 < 0 < 1 // 0", 0)])
def test_expressions_are_python_s(text, expected):
    assert value(text) == expected


def test_text_in_expressions():
    assert value(r"\1 == \2", b"01", b"1") == 1
    assert value(r"\1 == \2", b"a", b"b") == 0
    assert value(r"\1 + 1", b"041") == 42
    for bad in (b"", b"x", b"-1", b"99999999999999999999"):
        with pytest.raises(SpecError):
            value(r"\1 + 1", bad)


def test_lists_and_maps():
    assert value(r"kinds[\1]", b"01", kinds={b"01": b"text", b"1": 5}) == b"text"
    assert value(r"kinds[\1 + 0]", b"01", kinds={b"01": b"text", b"1": 5}) == 5
    assert value("get(kinds, 7, 3)", kinds={}) == 3
    assert value("rows[1][0]", rows=[[1], [2]]) == 2
    for bad in ("rows[2]", "kinds[9]", "1 // 0", "9223372036854775807 + 1", "rows + 1"):
        with pytest.raises(SpecError):
            value(bad, rows=[[1], [2]], kinds={b"a": 1})


def test_a_negative_number_does_not_stand_in_a_name():
    assert exits("  - {rename: '^', to: '{0 - 1}'}", "a") == {2}
    assert after("  - {rename: '^', to: '{0 - 1}', unless: a}", "a") == ["a"]


def test_a_name_that_is_capture_and_var_is_a_mistake():
    assert exits(r"  - {rename: '(?P<n>\d+)', to: '{n}'}", "1", head="vars: {n: 1}") == {2}


# Rules

def test_keep_drops_everything_else_and_must_match_something():
    outcome = run("  - keep: ['^a', '^b']", ["a", "b", "c"])
    assert list(outcome.outputs) == [b"a", b"b"] and outcome.dispositions[b"c"] == {"dropped"}
    assert exits("  - keep: '^x'", "a") == {1}


def test_a_copy_stands_right_after_its_original_and_is_tied_to_it():
    outcome = run(r"  - {copy: '^a$', to: 'a2'}", ["a", "b"])
    assert list(outcome.outputs) == [b"a", b"a2", b"b"]
    assert outcome.outputs[b"a"].tie == outcome.outputs[b"a2"].tie != outcome.outputs[b"b"].tie
    assert exits(r"  - {copy: '^a$', to: '\0'}", "a") == {2}


def test_two_tensors_under_one_name_are_an_error():
    assert exits("  - {rename: '^b$', to: a}", "a", "b") == {2}
    assert after("  - {rename: '^b$', to: a}\n  - {rename: '^a$', to: a}", "b") == ["a"]


def test_where_and_when():
    tensors = {"a": torch.ones(2, 3), "b": torch.ones(3, dtype=torch.float16), "c": torch.ones(2, 4)}
    assert after("  - {drop: '.', where: {ndim: 2}}", tensors=tensors) == ["b"]
    assert after("  - {drop: '.', where: {dtype: float16}}", tensors=tensors) == ["a", "c"]
    assert after("  - {drop: '.', where: {shape: [~, 4]}}", tensors=tensors) == ["a", "b"]
    rules = r"  - {drop: '(\d+)', when: '\1 >= first and \1 % 2 == 0'}"
    assert after(rules, "0", "2", "3", "4", head="vars: {first: 2}") == ["0", "3"]


@pytest.mark.parametrize("count, holds", [("2", True), ("'>= 1'", True), ("3", False), ("'>= 3'", False), ("'< 2'", False)])
def test_count_counts_names_before_the_effect(count, holds):
    assert exits(f"  - {{drop: '^a', count: {count}}}", "a1", "a2", "b") == (set() if holds else {1})


def test_unused_rules_and_entries_of_tables():
    expect = "expect: {unused_rules: error}"
    assert exits("  - drop: x", "a", head=expect) == {1}
    assert exits("  - {drop: x, count: '>= 0'}", "a", head=expect) == set()
    assert exits("  - rename: {a: b, x: y}", "a", head=expect) == {1}
    assert exits("  - drop: [a, x]", "a", "b", head=expect) == set()


# Vars

def test_vars_from_json_and_from_the_command_line(tmp_path):
    (tmp_path / "config.json").write_text('{"model": {"dim": 5}}')
    head = "vars:\n  dim: {from: config.json, key: model.dim}\n  other: {from: config.json, key: model.no, default: 8}"
    rule = "  - {rename: '^', to: '{dim}.{other}.'}"
    assert after(rule, "a", head=head, folder=tmp_path) == ["5.8.a"]
    assert after(rule, "a", head=head, folder=tmp_path, settings=["dim=7", "other=x"]) == ["7.x.a"]
    assert exits(rule, "a", head=head, folder=tmp_path, settings=["no=7"]) == {2}
    assert exits("", "a", head="vars: {x: {from: config.json, key: none}}", folder=tmp_path) == {2}


# Sources

def test_the_root_is_the_outermost_mapping_of_mostly_tensors():
    w = torch.ones(1)
    moments = {"state": {0: {"exp_avg": w}}, "param_groups": [{"lr": 1.0}]}
    assert after("", tensors={"half": {"a": w, "b": 1, "deep": {"x": w}}, "epoch": 3}) == ["x"]
    state = OrderedDict(a=w, b=w, deep={"x": w})
    assert after("", tensors={"state_dict": state, "epoch": 3, "optimizer": moments}) == ["a", "b", "deep.x"]
    assert exits("", tensors={"model": {"a": w}, "model_ema": {"a": w}}) == {2}
    assert after("", tensors={"model": {"a": w}, "model_ema": {"b": w}}, head="source: {root: [net, model_ema, model]}") == ["b"]
    assert after("", tensors={"m": {"a": w}, "n": [w]}, head="source: {root: ''}") == ["m.a", "n.0"]
    assert exits("", tensors={"m": {"a": w}}, head="source: {root: x}") == {2}


def test_require():
    assert exits("", "blocks.0.w", head=r"source: {require: ['^blocks\.0\.']}") == set()
    assert exits("", "blocks.0.w", head=r"source: {require: ['^blocks\.', '^head']}") == {1}


# Policy

def meet(policy, source, target, **options):
    return run("", tensors=source, target=target, head=f"policy: {policy}", **options)


def statuses(outcome):
    return {name.decode(): "/".join(sorted(status)) for name, status in outcome.statuses.items()}


def test_missing():
    source, target = {"a": torch.ones(2)}, {"b": torch.zeros(3), "a": torch.zeros(2)}
    assert meet("{}", source, target).exits == {1}
    kept = meet("{missing: keep}", source, target)
    assert statuses(kept) == {"b": "kept", "a": "loaded"} and list(kept.outputs) == [b"b", b"a"]
    assert raw_bytes(kept.outputs[b"b"].origin.data) == bytes(12)
    omitted = meet("{missing: [{match: '^c', do: keep}, {match: '^b', do: omit}]}", source, target)
    assert statuses(omitted) == {"b": "omitted", "a": "loaded"} and list(omitted.outputs) == [b"a"]
    assert meet("{missing: [{match: '^c', do: keep}]}", source, target).exits == {1}


def test_unexpected():
    source, target = {"x": torch.ones(1), "a": torch.ones(2)}, {"a": torch.zeros(2)}
    assert meet("{}", source, target).exits == {1}
    dropped = meet("{unexpected: drop}", source, target)
    assert dropped.dispositions == {b"x": {"unexpected-dropped"}, b"a": {"used"}}
    kept = meet("{unexpected: keep}", source, target)
    assert statuses(kept) == {"a": "loaded", "x": "unexpected"} and list(kept.outputs) == [b"a", b"x"]
    assert kept.dispositions[b"x"] == {"unexpected-kept"}


def test_shape_is_settled_before_dtype_and_skip_settles_both_sides():
    source, target = {"a": torch.ones(2)}, {"a": torch.zeros(3, dtype=torch.int8)}
    assert meet("{}", source, target).exits == {1}
    outcome = meet("{shape: skip, dtype: error}", source, target)
    assert statuses(outcome) == {"a": "skipped"} and outcome.dispositions == {b"a": {"skipped"}}
    assert outcome.outputs[b"a"].origin.data.dtype == torch.int8


def test_one_element_onto_a_scalar_but_not_back():
    loaded = meet("{}", {"a": torch.ones(1)}, {"a": torch.tensor(0.0)})
    assert statuses(loaded) == {"a": "loaded"} and loaded.outputs[b"a"].shape == []
    assert meet("{}", {"a": torch.tensor(0.0)}, {"a": torch.ones(1)}).exits == {1}


def test_dtype():
    source, target = {"a": torch.ones(2)}, {"a": torch.zeros(2, dtype=torch.float16)}
    assert meet("{dtype: error}", source, target).exits == {1}
    assert meet("{}", source, target).exits == {1, 2, 3}                  # a cast, which the engine refuses for now
    assert meet("{dtype: source}", source, target).outputs[b"a"].origin.data.dtype == torch.float32


def test_extras():
    top = {"state_dict": {"a": torch.ones(2)}, "epoch": 3}
    assert exits("", tensors=top, head="policy: {extras: error}") == {1}
    assert exits("", tensors=top, head="policy: {extras: drop}") == set()
    assert exits("", tensors=top["state_dict"], head="policy: {extras: error}") == set()


def test_a_target_name_that_is_tied_to_a_reached_one_is_loaded_with_it():
    tied = torch.zeros(2)
    outcome = run("", tensors={"a": torch.ones(2)}, target={"b": tied, "a": tied})
    assert not outcome.exits and statuses(outcome) == {"b": "loaded", "a": "loaded"}
    assert outcome.outputs[b"a"].tie == outcome.outputs[b"b"].tie and outcome.outputs[b"b"].origin.name == b"a"
    assert run("", tensors={"a": torch.ones(2), "b": torch.ones(2)}, target={"b": tied, "a": tied}).exits == {1, 2}
    one = torch.ones(2)
    assert not run("", tensors={"a": one, "b": one}, target={"b": tied, "a": tied}).exits


def test_a_copy_counts_as_used_when_one_of_its_names_is():
    outcome = run("  - {copy: '^a$', to: a2}\n  - drop: '^a$'", ["a"])
    assert outcome.dispositions == {b"a": {"used"}}


# Expect

def test_expect():
    source, target = {"a": torch.ones(3)}, {"a": torch.zeros(3), "head.w": torch.zeros(1)}

    def ends(expect):
        return run("", tensors=source, target=target, head=f"policy: {{missing: keep}}\nexpect: {expect}").exits

    assert ends(r"{missing: ['^head\.']}") == set()
    assert ends(r"{missing: ['^neck\.']}") == {1}
    assert ends("{kept: ['^a']}") == {1}
    assert ends("{skipped: ['^a'], loaded: '>= 75%'}") == set()
    assert ends("{loaded: '>= 76%'}") == {1}
    assert exits("  - drop: '^a'", "a", "b", head="expect: {dropped: ['^b']}") == {1}


# Output

def test_safetensors_refuses_dtypes_that_it_lacks_and_ties_follow_the_choice():
    assert exits("", tensors={"a": torch.zeros(1, dtype=torch.complex128)}, output="safetensors") == {2}
    tied = torch.zeros(2)
    both = {"a": tied, "b": tied}
    assert list(run("", tensors=both, output="safetensors").outputs) == [b"a", b"b"]
    first = run("", tensors=both, head="output: {ties: first, metadata: {k: v}}", output="safetensors")
    assert list(first.outputs) == [b"a"] and first.metadata == {"format": "pt", "k": "v"}
    assert run("", tensors=both, head="output: {ties: error}", output="safetensors").exits == {1, 2}
    assert run("", tensors=both, head="output: {ties: error}").exits == set()


def test_a_safetensors_file_in_the_order_of_its_header(tmp_path):
    import safetensors.torch
    safetensors.torch.save_file({"b": torch.ones(2), "a": torch.zeros(1, dtype=torch.float64)}, tmp_path / "x.safetensors")
    outcome = migrate("regraft: 1", load_safetensors(tmp_path / "x.safetensors", "source"))
    assert list(outcome.outputs) == [b"a", b"b"]


# Strictness

@pytest.mark.parametrize("text", [
    "", "regraft: 2", "regraft: '1'", "regraft: 1\nname: a\nname: b", "regraft: 1\n---\nregraft: 1",
    "regraft: 1\nname: &x a\nrevision: *x",
    "regraft: 1\n<<: {name: a}", "regraft: 1\nnom: a", "regraft: 1\nrules: {drop: a}", "regraft: 1\nrules: [{drop: a, keep: b}]",
    "regraft: 1\nrules: [{dropp: a}]", "regraft: 1\nrules: [{rename: a}]", "regraft: 1\nrules: [{rename: a, to: b, all: yes}]",
    "regraft: 1\nrules: [{copy: a, to: b, all: true}]", "regraft: 1\nrules: [{drop: a, where: {dtype: float33}}]",
    "regraft: 1\npolicy: {missing: ignore}", "regraft: 1\noutput: {ties: last}", "regraft: 1\nexpect: {loaded: most}"])
def test_mistakes(text):
    assert migrate(text, Checkpoint("source", {"a": torch.ones(1)})).exits == {2}


def test_scalars():
    values = strict_yaml.load("[yes, no, on, ~, null, 12, -3, 1.5, true, '12']")
    assert values == ["yes", "no", "on", None, None, 12, -3, 1.5, True, "12"]
