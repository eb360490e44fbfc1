"""There and back: what `invert` writes takes the result to the source, bit for bit."""
import pytest
import torch
from helpers import REPOSITORY

SPEC = r"""
regraft: 1
name: fused
rules:
  - rename: '^module\.'
    to: ''
  - cat: ['\.q\.', '\.k\.', '\.v\.']
    to: '.qkv.'
  - stack: '\.experts\.(\d+)\.up\.weight$'
    to: '.experts.up'
  - split: '\.gate_up\.'
    to: ['.gate.', '.up.']
  - unbind: '^tokens$'
    to: 'token.{i}'
  - transpose: '\.c_fc\.weight$'
    dims: [0, 1]
  - rearrange: '\.rotary$'
    pattern: '(h two d) c -> (h d two) c'
    with: {h: 2, two: 2}
  - pad: '^embed$'
    after: 3
  - reshape: '^head$'
    shape: [-1]
"""


def state_dict():
    torch.manual_seed(0)
    made = {}
    for name, rows in (("q", 6), ("k", 2), ("v", 2)):
        made[f"module.a.{name}.weight"] = torch.randn(rows, 4)
        made[f"module.a.{name}.bias"] = torch.randn(rows)
    for i in range(12):
        made[f"module.a.experts.{i}.up.weight"] = torch.randn(3, 4).to(torch.bfloat16)
    made["module.a.gate_up.weight"] = torch.randn(6, 4)
    made["module.tokens"] = torch.arange(6).reshape(2, 3)
    made["module.a.c_fc.weight"] = torch.randn(3, 5)
    made["module.a.rotary"] = torch.randn(8, 2, dtype=torch.float64)
    made["module.embed"] = torch.randn(4, 2)
    made["module.head"] = torch.randn(2, 3, 1)
    return made


def same_bits(a, b):
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and a[name].shape == b[name].shape
        and a[name].reshape(-1).view(torch.uint8).equal(b[name].reshape(-1).view(torch.uint8)) for name in a)


def write(path, text):
    path.write_text(text)
    return path


def test_there_and_back_is_bit_equal(regraft, tmp_path):
    source = state_dict()
    torch.save(source, tmp_path / "a.pt")
    spec = write(tmp_path / "spec.yaml", SPEC)
    done = regraft("invert", spec, "a.pt", "-o", "back.yaml")
    assert (done.stdout, done.stderr) == ("", "")
    regraft("apply", spec, "a.pt", "-o", "b.pt", "--strict")
    there = torch.load(tmp_path / "b.pt", weights_only=True)
    assert there["a.qkv.weight"].shape == (10, 4)
    regraft("apply", "back.yaml", "b.pt", "-o", "c.pt", "--strict")
    assert same_bits(torch.load(tmp_path / "c.pt", weights_only=True), source)


def test_what_was_dropped_is_kept_from_the_target(regraft, tmp_path):
    source = {"a.x": torch.randn(3), "a.n": torch.tensor(7), "opt.m": torch.randn(2)}
    torch.save(source, tmp_path / "a.pt")
    spec = write(tmp_path / "spec.yaml", "regraft: 1\nrules:\n  - keep: '^a\\.'\n  - drop: 'n$'\n"
                                         "  - rename: '^a\\.'\n    to: ''\n")
    back = write(tmp_path / "back.yaml", regraft("invert", spec).stdout)
    regraft("apply", spec, "a.pt", "-o", "b.pt")
    regraft("apply", back, "b.pt", "-t", "a.pt", "-o", "c.pt")
    assert same_bits(torch.load(tmp_path / "c.pt", weights_only=True), source)
    torch.save({**source, "a.y": torch.zeros(1)}, tmp_path / "other.pt")
    assert "'a.y'" in regraft("apply", back, "b.pt", "-t", "other.pt", "-o", "d.pt", status=1).stderr


def test_a_source_that_does_not_come_back_is_said(regraft, tmp_path):
    torch.save({"norm.gamma": torch.randn(1), "fc.weight": torch.randn(1)}, tmp_path / "a.pt")
    spec = write(tmp_path / "spec.yaml", "regraft: 1\nrules:\n  - rename: '\\.gamma$'\n    to: '.weight'\n")
    done = regraft("invert", spec, "a.pt", "-o", "back.yaml", status=2)
    assert "'fc.gamma' (the source has no such name)" in done.stderr
    assert not (tmp_path / "back.yaml").exists()
    regraft("invert", spec)


def test_a_rule_without_an_inverse_is_named(regraft, tmp_path):
    spec = write(tmp_path / "spec.yaml", "regraft: 1\nrules:\n  - slice: 'a'\n    stop: 3\n  - cat: ['a', 'b']\n    to: 'c'\n")
    done = regraft("invert", spec, "-o", "back.yaml", status=2)
    assert "spec.yaml:3:5: error[no-inverse]" in done.stderr and "spec.yaml:5:5: error[no-inverse]" in done.stderr
    assert "`regraft invert SPEC SOURCE`" in done.stderr
    assert not (tmp_path / "back.yaml").exists()


@pytest.mark.parametrize("name", sorted(p.stem for p in (REPOSITORY / "rules/common").glob("*.yaml")))
def test_every_shipped_rule_has_an_inverse_or_says_why(regraft, name, tmp_path):
    spec = REPOSITORY / f"rules/common/{name}.yaml"
    try:
        done = regraft("invert", spec)
    except AssertionError:
        done = regraft("invert", spec, status=2)
        assert "error[no-inverse]" in done.stderr and f"{name}.yaml:" in done.stderr
        return
    back = write(tmp_path / "back.yaml", done.stdout)
    assert "error" not in regraft("check", back).stderr
