"""The page's sentences and examples, worked out by hand, so that a reader can trust the reference against the engine."""
import math
import re
import sys
from collections import OrderedDict
from pathlib import Path

import einops
import numpy
import pytest
import torch
import xxhash

sys.path.insert(0, str(Path(__file__).resolve().parent))

from regraft_reference import Checkpoint, SpecError, load_safetensors, migrate, raw_bytes  # noqa: E402
from regraft_reference import casts, dtypes, philox, strict_yaml  # noqa: E402
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
    (tmp_path / "config.json").write_text('{"tied": true, "flags": [false, true]}')
    head = "vars: {tied: {from: config.json, key: tied}, flags: {from: config.json, key: flags}}"
    assert after("  - {rename: '^', to: '{tied}{flags[0]}'}", "a", head=head, folder=tmp_path) == ["10a"]


def test_names_of_the_target():
    head = "vars: {names: {names: target, match: '^[ab]', unless: 'b2'}}"
    target = {name: torch.ones(2) for name in ("c", "b1", "b2", "a")}
    rules = r"  - {rename: '^(\d+)$', to: '{names[\1]}'}"
    outcome = run(rules, ["0", "1"], target=target, head=head + "\npolicy: {missing: keep}")
    assert not outcome.exits and outcome.sources[b"b1"] == [b"0"] and outcome.sources[b"a"] == [b"1"]
    assert exits(rules, "0", head=head) == {2}
    assert exits(rules, "2", target=target, head=head) == {2}


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


def test_names_of_further_sources_begin_with_their_alias():
    w = torch.ones(2)

    def two(rules, head=""):
        text = f"regraft: 1\n{head}\nrules:\n{rules}\n"
        return migrate(text, Checkpoint("source", {"a": w}), others={"lora": Checkpoint("lora", {"a": w * 2})})

    merged = two("  - {combine: {x: '^lora::a$', w: '^a$'}, to: a, as: w + x}")
    assert merged.outputs[b"a"].data.tolist() == [3, 3] and merged.sources[b"a"] == [b"a", b"lora::a"]
    assert two("  - {rename: '^lora::', to: 'b.'}").outputs.keys() == {b"a", b"b.a"}
    assert two("  - {drop: b}").exits == {1} and two("  - {drop: b}", "policy: {unexpected: drop}").outputs.keys() == {b"a"}
    assert two("  - {drop: '^lora::'}", "source: {aliases: [lora]}").dispositions == {b"a": {"used"}, b"lora::a": {"dropped"}}
    assert two("  - {drop: '^lora::'}", "source: {aliases: [lora, head]}").exits == {2}
    assert two("  - {drop: '^lora::'}", "source: {aliases: {lora: {require: ['^b']}}}").exits == {1}


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
    assert raw_bytes(kept.outputs[b"b"].data) == bytes(12)
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
    assert outcome.outputs[b"a"].data.dtype == torch.int8


def test_one_element_onto_a_scalar_but_not_back():
    loaded = meet("{}", {"a": torch.ones(1)}, {"a": torch.tensor(0.0)})
    assert statuses(loaded) == {"a": "loaded"} and loaded.outputs[b"a"].shape == []
    assert meet("{}", {"a": torch.tensor(0.0)}, {"a": torch.ones(1)}).exits == {1}


def test_dtype():
    source, target = {"a": torch.ones(2)}, {"a": torch.zeros(2, dtype=torch.float16)}
    assert meet("{dtype: error}", source, target).exits == {1}
    assert meet("{}", source, target).outputs[b"a"].data.dtype == torch.float16
    assert meet("{dtype: source}", source, target).outputs[b"a"].data.dtype == torch.float32


def one(policy, source, target, **options):
    """The output of one tensor under one name."""
    outcome = meet(policy, {"a": source}, {"a": target}, **options)
    assert not outcome.exits, outcome.messages
    return outcome.outputs[b"a"].data


def codes(policy, source, target):
    outcome = meet(policy, {} if source is None else {"a": source, "z": torch.ones(1)}, {"a": target, "z": torch.ones(1)})
    if outcome.refused:
        assert outcome.exits == {1} and outcome.statuses[b"a"] == {"error"} and list(outcome.refused) == [b"a"]
    return outcome.refused.get(b"a", set())


def case(**parameters):
    return "{shape: [{" + ", ".join(f"{key}: {value}" for key, value in parameters.items()) + "}]}"


ROW = torch.tensor([1, 2, 3])


@pytest.mark.parametrize("align, expected", [
    ("start", [1, 2, 3, 0, 0, 0]), ("center", [0, 1, 2, 3, 0, 0]), ("end", [0, 0, 0, 1, 2, 3])])
def test_pad_aligns(align, expected):
    assert one(case(do="pad", align=align), ROW, torch.ones(6, dtype=torch.int64)).tolist() == expected


def test_pad_fills_with_a_number_or_with_the_target_s_values():
    assert one("{shape: pad}", ROW, torch.ones(4, dtype=torch.int64)).tolist() == [1, 2, 3, 0]
    assert one(case(do="pad", fill=7), ROW, torch.ones(4, dtype=torch.int64)).tolist() == [1, 2, 3, 7]
    assert one(case(do="pad", fill="keep", align="end"), ROW, torch.arange(10, 15)).tolist() == [10, 11, 1, 2, 3]
    # Neither a fill nor what is kept goes through the source's dtype.
    kept = one(case(do="pad", fill="keep"), torch.tensor([1.5], dtype=torch.bfloat16), torch.tensor([0.1, 0.1]))
    assert torch.equal(kept, torch.tensor([1.5, 0.1]))
    filled = one(case(do="pad", fill=0.1), torch.tensor([1.5], dtype=torch.bfloat16), torch.zeros(2))
    assert torch.equal(filled, torch.tensor([1.5, 0.1]))
    policy = "{shape: [{do: pad, fill: keep}], dtype: source}"
    assert torch.equal(one(policy, torch.tensor([1.5], dtype=torch.bfloat16), torch.tensor([0.0, 0.1])),
                       torch.tensor([1.5, 0.1], dtype=torch.bfloat16))


@pytest.mark.parametrize("align, expected", [("start", [1, 2]), ("center", [2, 3]), ("end", [4, 5])])
def test_slice_aligns_its_window(align, expected):
    outcome = meet(case(do="slice", align=align), {"a": torch.arange(1, 6)}, {"a": torch.zeros(2, dtype=torch.int64)})
    assert outcome.outputs[b"a"].data.tolist() == expected and outcome.copied[b"a"].source == [(expected[0] - 1, expected[1])]


def test_pad_slice_goes_either_way_in_each_dimension():
    source, target = {"a": torch.arange(6).reshape(2, 3)}, {"a": torch.zeros(3, 2, dtype=torch.int64)}
    outcome = meet(case(do="pad_slice", align="end"), source, target)
    assert outcome.outputs[b"a"].data.tolist() == [[0, 0], [1, 2], [4, 5]]
    assert outcome.copied[b"a"].source == [(0, 2), (1, 3)] and outcome.copied[b"a"].target == [(1, 3), (0, 2)]
    assert statuses(outcome) == {"a": "adapted"} and outcome.coverage == (4, 6)


@pytest.mark.parametrize("do, before, after", [("pad", (2, 0, 3), (4, 0, 6)), ("pad_slice", (0, 3), (0, 2))])
def test_an_empty_tensor_has_the_target_s_shape(do, before, after):
    assert one(case(do=do), torch.ones(before), torch.ones(after)).shape == after


def test_shapes_that_do_not_fit():
    small, large, tall = torch.ones(2, 2), torch.ones(2, 3), torch.ones(3, 2)
    assert codes("{shape: pad}", large, small) == codes("{shape: slice}", small, large) == {"shape-mismatch"}
    assert codes("{shape: pad}", large, tall) == {"shape-mismatch"} and codes("{shape: pad_slice}", large, tall) == set()
    assert codes("{shape: pad_slice}", torch.ones(4), small) == codes("{shape: reshape}", large, small) == {"shape-mismatch"}
    assert codes(case(do="pad", dims="[1]"), small, large) == codes(case(do="pad", dims="[0, -1]"), small, large) == set()
    for dims in ("[0]", "[1, 2]", "[-3, 1]"):
        assert codes(case(do="pad", dims=dims), small, large) == {"shape-mismatch"}


@pytest.mark.parametrize("dtype, fill, fits", [
    ("int64", 0.5, False), ("uint8", 300, False), ("uint8", -1, False), ("int8", 3.0, True), ("float16", 1e10, False),
    ("float16", 0.1, True), ("bool", 1, True), ("bool", 2, False), ("complex64", 0.5, True), ("float8_e8m0fnu", 0, False),
    ("float8_e8m0fnu", 0.5, True)])
def test_a_fill_has_to_be_a_value_of_the_dtype(dtype, fill, fits):
    dtype = getattr(torch, dtype)
    two, three = torch.ones(2).to(dtype), torch.ones(3).to(dtype)
    assert codes(case(do="pad", fill=fill), two, three) == (set() if fits else {"shape-mismatch"})
    # Where nothing is filled it plays no part.
    assert codes(case(do="pad_slice", fill=fill), three, two) == set()


def test_reshape_keeps_the_order_of_the_elements():
    columns = torch.arange(6).reshape(2, 3).t()
    assert one("{shape: reshape}", columns, torch.zeros(6, dtype=torch.int64)).tolist() == [0, 3, 1, 4, 2, 5]
    assert one("{shape: reshape}", torch.tensor(3), torch.zeros(1, 1, dtype=torch.int64)).tolist() == [[3]]


def test_interpolate_by_hand():
    # With half pixel centres the middle of two equal halves is at 1/4 and 3/4 of the way: 0, 1/4, 3/4, 1.
    policy = "{shape: [{do: interpolate, pattern: 'h w', mode: bilinear}]}"
    assert one(policy, torch.tensor([[0.0, 4.0]]), torch.zeros(1, 4)).tolist() == [[0, 1, 3, 4]]
    tokens = "{shape: [{do: interpolate, pattern: '(w h) c', mode: nearest, prefix_tokens: 1, from: [1, 2], size: [2, 2]}]}"
    # Columns first: the tokens 1 and 2 are two columns of one row, so each is doubled.
    assert one(tokens, torch.tensor([[9.0], [1.0], [2.0]]), torch.zeros(5, 1)).reshape(-1).tolist() == [9, 1, 1, 2, 2]
    half = one("{shape: [{do: interpolate, prefix_tokens: 1}]}", torch.ones(1, 5, 3).half(), torch.zeros(1, 10, 3).half())
    assert half.dtype == torch.float16 and half.shape == (1, 10, 3) and (half - 1).abs().max() < 2e-3


def test_grids_that_do_not_fit():
    def ends(source, target, **parameters):
        return codes(case(do="interpolate", **parameters), torch.ones(source), torch.ones(target))

    assert ends((1, 4, 2), (1, 9, 2)) == ends((1, 5, 2), (1, 10, 2), prefix_tokens=1) == set()
    assert ends((1, 6, 2), (1, 12, 2), **{"from": "[2, 3]", "size": "[3, 4]"}) == ends((4, 4), (4, 9), pattern="c (h w)") == set()
    for source, target, parameters in [
            ((1, 4, 2), (1, 10, 2), {}), ((1, 4, 2), (1, 9, 3), {}), ((2, 4, 2), (2, 9, 2), {}), ((4, 2), (9, 2), {}),
            ((1, 4, 2), (9, 2), {}),
            ((1, 6, 2), (1, 12, 2), {"from": "[2, 2]", "size": "[3, 4]"}), ((1, 4, 2), (1, 5, 2), {"prefix_tokens": 1}),
            ((4, 4), (5, 5), {"pattern": "'h w'", "size": "[5, 4]"})]:
        assert ends(source, target, **parameters) == {"shape-mismatch"}, (source, target, parameters)
    assert codes("{shape: interpolate}", torch.ones(1, 4, 2, dtype=torch.int8), torch.ones(1, 9, 2)) == {"shape-mismatch"}


def test_missing_tensors_are_initialised():
    def value(do, dtype, *shape):
        head = f"source: {{root: ''}}\npolicy: {{missing: {do}}}"
        return run("", tensors={}, target={"a": torch.empty(shape, dtype=dtype)}, head=head)

    assert value("zeros", torch.bool, 2).outputs[b"a"].data.tolist() == [False, False]
    assert value("ones", torch.complex64, 1).outputs[b"a"].data.tolist() == [1]
    assert value("arange", torch.float16, 2, 3).outputs[b"a"].data.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert statuses(value("ones", torch.uint16)) == {"a": "initialised"}
    assert value("arange", torch.uint8, 256).exits == set()
    for do, dtype, *shape in [
            ("zeros", torch.float8_e8m0fnu, 1), ("normal", torch.int8, 1), ("normal", torch.complex64, 1),
            ("arange", torch.float32), ("arange", torch.bool, 2), ("arange", torch.complex64, 2), ("arange", torch.int8, 129)]:
        assert value(do, dtype, *shape).refused == {b"a": {"missing"}}, (do, dtype)


PI = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0]


@pytest.mark.parametrize("counter, key, expected", [                     # Random123's known answers
    ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ([2**32 - 1] * 4, [2**32 - 1] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (PI[:4], PI[4:], "d16cfe09 94fdcceb 5001e420 24126ea1")])
def test_philox(counter, key, expected):
    words = philox.philox([numpy.array([word], numpy.uint64) for word in counter], key)
    assert " ".join(f"{int(word[0]):08x}" for word in words) == expected


def test_normal_numbers_by_hand():
    low, high = philox.key_of(-3, b"w")
    assert low | high << 32 == xxhash.xxh3_64_intdigest(b"\xfd" + b"\xff" * 7 + b"w")
    numbers = philox.normal(5, -3, b"w")
    x = [int(word[0]) for word in philox.philox([numpy.array([word], numpy.uint64) for word in (2, 0, 0, 0)], (low, high))]
    first, second = ((x[0] + (x[1] << 32) >> 11) + 1) * 2.0**-53, (x[2] + (x[3] << 32) >> 11) * 2.0**-53
    assert math.isclose(numbers[4], math.sqrt(-2 * math.log(first)) * math.cos(2 * math.pi * second), rel_tol=1e-14)
    many = philox.normal(20001, 0, b"x")
    assert abs(many.mean()) < 0.03 and abs(many.std() - 1) < 0.03


def test_normal_is_scaled_and_tied_names_have_the_first_one_s_numbers():
    tied = torch.zeros(2, 3, dtype=torch.float64)
    outcome = run("", tensors={"z": torch.ones(1)}, target={"z": torch.ones(1), "b": tied, "a": tied},
                  head="policy: {missing: [{do: normal, mean: 5, std: 0.5, seed: 9}]}")
    assert torch.equal(outcome.outputs[b"a"].data, torch.from_numpy(5 + 0.5 * philox.normal(6, 9, b"b")).reshape(2, 3))
    assert outcome.outputs[b"a"].tie == outcome.outputs[b"b"].tie


def test_casts_that_need_no_case_and_those_that_do():
    assert all(dtypes.cast_by_default(*pair) for pair in [
        ("float64", "bfloat16"), ("complex64", "complex32"), ("bool", "uint8"), ("uint8", "int16"), ("uint32", "int64")])
    assert not any(dtypes.cast_by_default(*pair) for pair in [
        ("int8", "uint8"), ("int64", "int32"), ("uint8", "int8"), ("uint8", "bool"), ("float32", "int64"), ("int8", "float32"),
        ("float32", "float8_e5m2"), ("float8_e5m2", "float32"), ("float32", "complex64"), ("complex64", "float32"),
        ("float32", "bool")])
    assert codes("{dtype: cast}", torch.ones(2), torch.ones(2).int()) == {"dtype-mismatch"}
    assert codes("{dtype: [{do: cast}]}", torch.ones(2), torch.ones(2).int()) == set()


def test_lossy_is_what_all_values_of_the_dtype_say():
    """Every value of a small dtype, there and back, as against the table of precisions and ranges."""
    small = [name for name in sorted(dtypes.NAMES) if getattr(torch, name).itemsize <= 2]
    for source in small:
        size = getattr(torch, source).itemsize
        bits = torch.arange(2 if source == "bool" else 256**size).to({1: torch.uint8, 2: torch.uint16}[size])
        values = bits.view(getattr(torch, source))
        exact = values.to(torch.float64)
        for target in dtypes.NAMES - {source, "complex128"}:
            if target in dtypes.INTEGERS and source in dtypes.FLOATS:
                assert dtypes.lossy(source, target)
                continue
            back = casts.real_part(casts.convert(values, target)).to(torch.float64)
            assert dtypes.lossy(source, target) != bool(((back == exact) | (back.isnan() & exact.isnan())).all()), (source, target)


def test_casts_that_stop_the_run():
    def stops(value, source, target):
        return casts.overflows(torch.tensor([value]).to(getattr(torch, source)), target)

    nan, inf = float("nan"), float("inf")
    assert stops(1e10, "float32", "float16") and not stops(inf, "float32", "float16") and not stops(65504, "float32", "float16")
    assert stops(256, "int32", "uint8") and stops(-1, "int32", "uint64") and not stops(-0.5, "float32", "uint8")
    assert stops(nan, "float32", "int8") and not stops(nan, "float32", "bool") and stops(70000, "int32", "float16")
    assert stops(2.0**63, "float64", "int64") and not stops(2.0**63, "float64", "uint64") and stops(1e10, "complex64", "complex32")
    # torch gives the largest value, or one without the sign.
    assert stops(480, "float32", "float8_e4m3fn") and not stops(460, "float32", "float8_e4m3fn")
    assert stops(inf, "float32", "float8_e4m3fn") and not stops(inf, "float32", "float8_e5m2")
    assert stops(0, "float32", "float8_e8m0fnu") and stops(-1, "int8", "float8_e8m0fnu") and not stops(3, "int8", "float8_e8m0fnu")
    outcome = meet("{}", {"a": torch.tensor([1e10])}, {"a": torch.ones(1).half()})
    assert outcome.exits == {1} and outcome.plan_exits == set() and outcome.overflows == {b"a"} and not outcome.refused
    # A run that is refused does not come to the values.
    outcome = meet("{}", {"a": torch.tensor([1e10]), "b": torch.ones(1)}, {"a": torch.ones(1).half(), "b": torch.ones(2)})
    assert outcome.exits == {1} and outcome.refused == {b"b": {"shape-mismatch"}} and not outcome.overflows


def test_values_of_explicit_casts():
    def cast(value, target):
        return one("{dtype: [{do: cast}]}", value, torch.zeros(value.shape, dtype=target)).tolist()

    assert cast(torch.tensor([1.9, -1.9, -0.5]), torch.int8) == [1, -1, 0]
    assert cast(torch.tensor([0.0, float("nan"), 1e-40]), torch.bool) == [False, True, True]
    assert cast(torch.tensor([1 + 2j]), torch.float32) == [1.0]


def test_a_target_without_values():
    source, schema = {"a": torch.ones(2)}, {"a": torch.empty(3, device="meta"), "b": torch.empty(1, device="meta")}
    assert statuses(meet("{missing: keep, shape: pad}", source, schema)) == {"a": "adapted", "b": "omitted"}
    assert meet("{missing: zeros, shape: skip}", source, schema).refused == {b"a": {"no-values"}}
    keep = "{missing: zeros, shape: [{do: pad, fill: keep%s}]}"
    assert meet(keep % "", source, schema).refused == {b"a": {"no-values"}}
    omitted = meet(keep % ", or: omit", source, schema)
    assert statuses(omitted) == {"a": "omitted", "b": "initialised"} and omitted.dispositions == {b"a": {"skipped"}}
    assert not meet("{missing: zeros, shape: [{do: pad_slice, fill: keep}]}", {"a": torch.ones(4)}, schema).exits


def test_ties_through_policies():
    two, tied = torch.ones(2), torch.zeros(3, dtype=torch.float64)

    def ties(policy, source, target):
        outcome = meet(policy, source, target)
        assert not outcome.exits, outcome.messages
        first, second = outcome.outputs[b"a"], outcome.outputs[b"b"]
        return first.tie == second.tie, first.alike == second.alike

    apart = {"a": torch.zeros(3), "b": torch.zeros(3)}
    assert ties("{shape: pad}", {"a": two, "b": two}, apart) == (True, True)
    assert ties("{shape: [{match: a, do: pad}, {match: b, do: pad}]}", {"a": two, "b": two}, apart) == (False, True)
    assert ties("{shape: [{match: a, do: pad}, {do: pad, fill: 1}]}", {"a": two, "b": two}, apart) == (False, False)
    keep = "{shape: [{do: pad, fill: keep}]}"
    assert ties(keep, {"a": two, "b": two}, apart) == (False, False)
    assert ties(keep, {"a": two, "b": two}, {"a": tied, "b": tied}) == (True, True)
    assert ties(keep, {"a": two}, {"a": tied, "b": tied}) == (True, True)               # b is loaded with a
    policy = "{dtype: [{match: a, do: cast}, {match: b, do: source}]}"
    loaded = meet(policy, {"a": two, "b": two}, {"a": two.double(), "b": two.double()})
    assert loaded.untied == {b"a": True} and loaded.outputs[b"a"].tie != loaded.outputs[b"b"].tie


def test_extras():
    top = {"state_dict": {"a": torch.ones(2)}, "epoch": 3}
    assert exits("", tensors=top, head="policy: {extras: error}") == {1}
    assert exits("", tensors=top, head="policy: {extras: drop}") == set()
    assert exits("", tensors=top["state_dict"], head="policy: {extras: error}") == set()


def test_a_target_name_that_is_tied_to_a_reached_one_is_loaded_with_it():
    tied = torch.zeros(2)
    outcome = run("", tensors={"a": torch.ones(2)}, target={"b": tied, "a": tied})
    assert not outcome.exits and statuses(outcome) == {"b": "loaded", "a": "loaded"}
    assert outcome.outputs[b"a"].tie == outcome.outputs[b"b"].tie and outcome.sources[b"b"] == [b"a"]
    conflict = run("", tensors={"a": torch.ones(2), "b": torch.ones(2)}, target={"b": tied, "a": tied})
    assert conflict.exits == {1} and conflict.refused == {b"a": {"tie-conflict"}, b"b": {"tie-conflict"}}
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
    "regraft: 1\npolicy: {missing: ignore}", "regraft: 1\npolicy: {shape: [{do: pad, align: middle}]}",
    "regraft: 1\npolicy: {shape: [{do: pad, fill: text}]}", "regraft: 1\npolicy: {shape: [{do: reshape, mode: bilinear}]}",
    "regraft: 1\npolicy: {shape: [{do: interpolate, mode: nearest, antialias: true}]}",
    "regraft: 1\npolicy: {shape: [{do: interpolate, pattern: '1 h c'}]}",
    "regraft: 1\npolicy: {missing: [{do: normal, seed: 1.5}]}", "regraft: 1\npolicy: {missing: [{do: normal, seed: -1}]}",
    "regraft: 1\npolicy: {missing: [{do: normal, std: -1}]}", "regraft: 1\npolicy: {missing: [{do: normal, mean: 1e999}]}",
    "regraft: 1\noutput: {ties: last}", "regraft: 1\nexpect: {loaded: most}"])
def test_mistakes(text):
    assert migrate(text, Checkpoint("source", {"a": torch.ones(1)})).exits == {2}


def test_scalars():
    values = strict_yaml.load("[yes, no, on, ~, null, 12, -3, 1.5, true, '12']")
    assert values == ["yes", "no", "on", None, None, 12, -3, 1.5, True, "12"]


# The verbs that change tensors

def made(rules, tensors, head="", **options):
    """What the rules make, by name."""
    outcome = run(rules, tensors=tensors, head=head, **options)
    assert not outcome.exits, outcome.messages
    return {name.decode(): output.data for name, output in outcome.outputs.items()}


def refused(rules, tensors, head="", **options):
    outcome = run(rules, tensors=tensors, head=head, **options)
    assert outcome.exits == {2}, (outcome.exits, outcome.messages)
    return outcome.codes


def counted(*shape, dtype=torch.float32):
    return torch.arange(math.prod(shape), dtype=dtype).reshape(shape)


QKV = r"  - {cat: ['\.query\.', '\.key\.', '\.value\.'], to: '.qkv.', dim: 0%s}"


def test_cat_of_a_list_takes_its_order():
    tensors = {"a.key.w": counted(2, 3), "a.query.w": counted(1, 3), "z": counted(1), "a.value.w": counted(2, 3)}
    result = made(QKV % "", tensors)
    assert list(result) == ["a.qkv.w", "z"]
    assert torch.equal(result["a.qkv.w"], torch.cat([tensors["a.query.w"], tensors["a.key.w"], tensors["a.value.w"]]))
    assert refused(QKV.replace("dim: 0", "dim: 1") % "", tensors) == {"rule-shape"}
    assert refused(QKV.replace("dim: 0", "dim: 2") % "", tensors) == {"rule-shape"}


def test_a_group_is_whole_or_an_error_or_passes():
    tensors = {name: counted(2) for name in ("a.query.w", "a.key.w", "b.query.w", "b.key.w", "b.value.w")}
    assert refused(QKV % "", tensors) == {"bad-group"}
    assert list(made(QKV % ", partial: pass", tensors)) == ["a.query.w", "a.key.w", "b.qkv.w"]
    doubled = r"  - {cat: ['\.[qQ]\.', '\.k\.'], to: '.qk.', partial: pass}"
    assert refused(doubled, {"a.q.w": counted(1), "a.Q.w": counted(1), "a.k.w": counted(1)}) == {"bad-group"}


def test_one_pattern_orders_by_its_number():
    tensors = {f"experts.{number}.w": torch.full((2,), float(number)) for number in (10, 2, 0, 1, 9, 3, 11, 4, 8, 5, 7, 6)}
    rules = r"  - {stack: '\.(\d+)\.', to: '.'}"
    assert made(rules, tensors)["experts.w"].tolist() == [[number, number] for number in range(12)]
    assert refused(rules, {name: tensors[name] for name in tensors if "3" not in name}) == {"bad-group"}
    assert refused(rules, {"e.0.w": counted(1), "e.00.w": counted(1)}) == {"bad-group"}
    assert refused(r"  - {stack: '\.(\w+)\.', to: '.'}", {"e.x.w": counted(1)}) == {"bad-group"}
    assert refused(r"  - {stack: '\.(\d+)\.', to: '.\1.'}", tensors) == set()             # no capture is left to order by
    assert refused(r"  - {stack: '\.(\d+)\.', to: '.', dim: '\1 // 99'}", tensors) == {"bad-group"}
    layers = {f"{layer}.{part}": counted(2, 3) for layer in range(2) for part in range(3)}
    result = made(r"  - {stack: '^(\d+)\.(\d+)$', to: '\1', dim: '\1 - \1'}", layers)
    assert {name: list(tensor.shape) for name, tensor in result.items()} == {"0": [3, 2, 3], "1": [3, 2, 3]}


def test_promotion():
    half, single, whole = counted(2, dtype=torch.float16), counted(2), counted(2, dtype=torch.int64)
    rules = "  - {cat: ['^a', '^b'], to: c%s}"
    assert made(rules % "", {"a": half, "b": single})["c"].dtype == torch.float32
    assert made(rules % "", {"a": half, "b": whole})["c"].dtype == torch.float16
    eighth = single.to(torch.float8_e5m2)
    assert made(rules % "", {"a": eighth, "b": eighth})["c"].dtype == torch.float8_e5m2
    assert refused(rules % "", {"a": single, "b": eighth}) == {"rule-dtype"}
    assert made(rules % ", dtype: bfloat16", {"a": single, "b": eighth})["c"].dtype == torch.bfloat16
    assert run(rules % ", dtype: int8", tensors={"a": single + 300, "b": half}).overflows == {b"c"}


def test_split_and_unbind():
    tensors = {"qkv.w": counted(6, 2)}
    result = made("  - {split: '^qkv', to: [q, ~, 'v{i}']}", tensors)
    assert torch.equal(result["q.w"], tensors["qkv.w"][:2]) and torch.equal(result["v2.w"], tensors["qkv.w"][4:])
    sized = made("  - {split: '^qkv', to: [q, k], sizes: ['heads * 2', 2]}", tensors, "vars: {heads: 2}")
    assert [list(tensor.shape) for tensor in sized.values()] == [[4, 2], [2, 2]]
    for wrong in ("to: [a, b, c, d]", "to: [a, b], sizes: [3, 4]", "to: [a, b], sizes: [7, -1]", "to: [a, b], dim: 2"):
        assert refused("  - {split: '^qkv', %s}" % wrong, tensors) == {"rule-shape"}
    assert run("  - {split: '^qkv', to: [a, b], sizes: [6]}", tensors=tensors).exits == {2}
    parts = made("  - {unbind: '^qkv', to: 'part.{i + 1}', dim: -1}", tensors)
    assert {name: tensor.tolist() for name, tensor in parts.items()} == {
        "part.1.w": [0, 2, 4, 6, 8, 10], "part.2.w": [1, 3, 5, 7, 9, 11]}
    assert refused("  - {unbind: s, to: 'x{i}'}", {"s": torch.tensor(1.0)}) == {"rule-shape"}


@pytest.mark.parametrize("rule, expected", [
    ("transpose: x, dims: [0, -1]", lambda x: x.transpose(0, -1)), ("permute: x, dims: [2, 0, 1]", lambda x: x.permute(2, 0, 1)),
    ("reshape: x, shape: [-1, 'two * 2']", lambda x: x.reshape(-1, 4)), ("slice: x, dim: 1, start: 1", lambda x: x[:, 1:]),
    ("slice: x, dim: -1, start: -3, stop: -1", lambda x: x[..., -3:-1]), ("slice: x, dim: 2, step: two", lambda x: x[..., ::2]),
    ("index_select: x, dim: 1, index: rows", lambda x: x[:, [2, 0, 0]]),
    ("pad: x, dim: 1, before: 1, after: two, fill: 0.5", lambda x: torch.nn.functional.pad(x, (0, 0, 1, 2), value=0.5)),
    ("cast: x, dtype: float64", lambda x: x.double()),
    ("interpolate: x, size: [1, 2], mode: nearest, pattern: '1 h w'",
     lambda x: torch.nn.functional.interpolate(x[None], (1, 2), mode="nearest")[0])])
def test_one_tensor(rule, expected):
    x = counted(1 if "interpolate" in rule else 2, 3, 4)
    result = made("  - {" + rule + "}", {"x": x}, "vars: {two: 2, rows: [2, 0, 0]}")["x"]
    assert torch.equal(result, expected(x)) and result.dtype == expected(x).dtype


@pytest.mark.parametrize("rule, code", [
    ("transpose: x, dims: [0, 3]", "rule-shape"), ("permute: x, dims: [0, 1]", "rule-shape"),
    ("permute: x, dims: [0, 1, 1]", "rule-shape"), ("reshape: x, shape: [5]", "rule-shape"),
    ("reshape: x, shape: [0, -1]", "rule-shape"), ("slice: x, dim: 0, stop: 3", "rule-shape"),
    ("slice: x, dim: 0, start: -3", "rule-shape"), ("index_select: x, dim: 0, index: [2]", "rule-shape"),
    ("index_select: x, dim: 0, index: [-1]", "rule-shape"), ("pad: x, dim: 3, after: 1", "rule-shape"),
    ("pad: x, dim: 0, after: 1, fill: 1e300", "rule-dtype"), ("reshape: x, shape: ['1 // 0']", "evaluation"),
    ("index_select: x, dim: 0, index: two", "evaluation"), ("interpolate: x, size: [2, 2], pattern: h w", "rule-shape")])
def test_one_tensor_refused(rule, code):
    assert refused("  - {" + rule + "}", {"x": counted(2, 3, 4)}, "vars: {two: 2}") == {code}


@pytest.mark.parametrize("pattern, sizes, shape", [
    ("a b -> b a", {}, (2, 3)), ("(h two d) c -> (h d two) c", {"h": 3, "two": 2}, (12, 2)), ("a ... -> ... a", {}, (2, 3, 4)),
    ("... a -> a (...)", {}, (2, 3, 4)), ("1 (h w) c -> 1 c h w", {"h": 2}, (1, 6, 3)), ("a () b -> (b a) 1", {}, (2, 1, 3)),
    ("... -> (...)", {}, (2, 3)), ("-> 1", {}, ()), ("(a b) (c d) -> (c b) (a d)", {"a": 2, "c": 2}, (4, 6)), ("a 1 -> a", {}, (0, 1))])
def test_rearrange_is_einops_s(pattern, sizes, shape):
    x = counted(*shape)
    given = ", with: {" + ", ".join(f"{name}: {size}" for name, size in sizes.items()) + "}" if sizes else ""
    result = made(f"  - {{rearrange: x, pattern: '{pattern}'{given}}}", {"x": x})["x"]
    assert torch.equal(result, einops.rearrange(x, pattern, **sizes))


@pytest.mark.parametrize("pattern, sizes, shape", [
    ("a b -> a", {}, (2, 3)), ("a -> a b", {}, (2,)), ("a a -> a", {}, (2, 2)), ("(a -> a", {}, (2,)), ("a b -> b a", {}, (2, 3, 4)),
    ("(a b) -> a b", {"a": 4}, (6,)), ("(a b) -> a b", {}, (6,)), ("a -> a", {"b": 2}, (2,)), ("1 a -> a", {}, (2, 2)),
    ("a ((b c) d) -> a b c d", {}, (2, 8)), ("... a ... -> a ...", {}, (2, 2)), ("a b", {}, (2, 2)), ("a -> a", {"a": 3}, (2,))])
def test_rearrange_refuses_what_einops_does(pattern, sizes, shape):
    with pytest.raises((einops.EinopsError, ValueError)):
        einops.rearrange(counted(*shape), pattern, **sizes)
    given = ", with: {" + ", ".join(f"{name}: {size}" for name, size in sizes.items()) + "}" if sizes else ""
    assert run(f"  - {{rearrange: x, pattern: '{pattern}'{given}}}", tensors={"x": counted(*shape)}).exits == {2}


def combined(formula, dtype=None, head="vars: {alpha: 3, half: 0.5}", **operands):
    """What a formula gives, and the bounds on it."""
    rule = "  - {combine: {" + ", ".join(f"{name}: ^{name}$" for name in operands) + f"}}, to: out, as: '{formula}'"
    outcome = run(rule + (f", dtype: {dtype}" if dtype else "") + "}", tensors=operands, head=head)
    if outcome.exits:
        return outcome.codes
    return outcome.outputs[b"out"]


A, B, W = (torch.randn(shape, generator=torch.Generator().manual_seed(at)) for at, shape in enumerate([(2, 4), (3, 2), (3, 4)]))


@pytest.mark.parametrize("formula, expected", [
    ("w + (alpha / size(a, 0)) * (b @ a)", W + 1.5 * (B @ A)), ("-w - -w * half", -W + W * 0.5),
    ("w / norm(w, 1)", W / W.norm(dim=1, keepdim=True)), ("sqrt(abs(w)) + exp(w)", W.abs().sqrt() + W.exp()),
    ("sum(w, 0) * mean(w, -1)", W.sum(0, True) * W.mean(-1, True)), ("w * 2 / 4", W / 2),
    ("b @ a @ transpose(w, 0, 1)", B @ A @ W.T),
    ("w * repeat_interleave(sum(w, 0), size(w, 0), 0)", W * W.sum(0, True)), ("tile(w, 2, 1, 2) * 1", W.tile(2, 1, 2)),
    ("narrow(w, 1, 1, 4 // 2) + 1e1", W[:, 1:3] + 10), ("reshape(w, -1, size(w, 0) - 1) + 0", W.reshape(-1, 2))])
def test_formulas_are_torch_s(formula, expected):
    operands = {name: tensor for name, tensor in {"a": A, "b": B, "w": W}.items() if re.search(rf"\b{name}\b", formula)}
    output = combined(formula, **operands)
    assert torch.allclose(output.data, expected, rtol=1e-6, atol=1e-6)
    assert bool((output.close.low <= expected).all() and (expected <= output.close.high).all())
    assert bool((output.close.high - output.close.low <= 1e-4).all())


def test_formulas_that_move_keep_dtype_and_bits():
    bits = torch.tensor([0x7FA0_0001, 0x7F80_0000, -1, 1], dtype=torch.int32).view(torch.float32)       # NaNs with payloads
    output = combined("transpose(reshape(a, 2, 2), 0, 1)", a=bits)
    assert raw_bytes(output.data) == raw_bytes(bits.reshape(2, 2).T.contiguous()) and output.close is None
    assert combined("cat(a, tile(a, 2), 0)", a=counted(2).to(torch.uint16)).data.tolist() == [0, 1, 0, 1, 0, 1]
    assert combined("a", a=counted(2).to(torch.float8_e4m3fn)).dtype == "float8_e4m3fn"


def test_formulas_are_rounded_once():
    a = torch.tensor([1.0], dtype=torch.float16)
    assert combined("a + 0.0004 + 0.0004", a=a).data.item() > 1            # in float16 either sum is 1
    double = combined("a + b", a=A.double(), b=A)
    assert double.dtype == "float64" and torch.equal(double.data, A.double() * 2)
    assert combined("a * 2", dtype="bfloat16", a=A).dtype == "bfloat16"


@pytest.mark.parametrize("formula, code", [
    ("a + b", "rule-shape"), ("a @ b + b @ b", "rule-shape"), ("reshape(a, 7) + sum(b, 0)", "rule-shape"),
    ("sum(a, 2) @ b", "rule-shape"), ("cat(a, b, 0)", "rule-shape"), ("narrow(a, 0, 1, 2) @ b", "rule-shape"), ("reshape(a, 1 // 0) * b", "evaluation"),
    ("a @ c", "unknown-name"), ("foo(a) + b", None), ("a + ", None), ("sum(a) + b", None), ("a b", None)])
def test_formulas_refused(formula, code):
    assert combined(formula, a=A, b=B) == {code} - {None}


def test_combine_makes_several_tensors_and_passes_what_is_not_whole():
    tensors = {"l.w": W, "l.lora_A.w": A, "l.lora_B.w": B, "n.w": counted(2)}
    rule = r"  - {combine: {a: '\.lora_A\.w$', b: '\.lora_B\.w$', w: '\.w$'}, to: {'.w': 'w + b @ a', '.rank': 'sum(a, 0)'}%s}"
    assert refused(rule % "", tensors) == {"bad-group"}
    result = made(rule % ", partial: pass", tensors)
    assert list(result) == ["l.w", "l.rank", "n.w"] and torch.allclose(result["l.w"], W + B @ A)


def test_what_a_rule_makes_of_tied_tensors_is_tied():
    outcome = run("  - {copy: a, to: b}\n  - {transpose: '.', dims: [0, 1]}", tensors={"a": W})
    assert outcome.outputs[b"a"].tie == outcome.outputs[b"b"].tie
    assert outcome.statuses == {b"a": {"transformed"}, b"b": {"transformed"}} and outcome.dispositions == {b"a": {"used"}}


def test_what_is_cut_away_was_not_used():
    outcome = run("  - {split: x, to: [~, ~]}", tensors={"x": W[:2], "y": W})
    assert outcome.dispositions == {b"x": {"dropped"}, b"y": {"used"}}
    assert run("  - {slice: x, dim: 0, stop: 1}", tensors={"x": W}).dispositions == {b"x": {"used"}}
