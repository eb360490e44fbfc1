"""What people give by mistake: each is one clear refusal that names file, place and remedy, leaves
nothing behind and changes nothing."""

import gzip
import os
import pickle
import shlex
import socket
import struct

import pytest

from helpers import (PROGRAM, Entry, assert_error, assert_points_at, diagnostics, entries, environment, errors_of,
                     noise, parts_in, read_safetensors, run, schema_text, snapshot, succeed, write_pt,
                     write_safetensors, write_spec)

SHAPES = {"blocks.0.attn.weight": [4, 6], "blocks.0.attn.bias": [4], "blocks.1.attn.weight": [4, 6],
          "blocks.1.attn.bias": [4], "head.weight": [10, 4], "head.bias": [10]}


@pytest.fixture
def folder(tmp_path):
    """A source, a target and a spec that work together."""
    write_safetensors(tmp_path / "source.safetensors", entries(SHAPES))
    write_safetensors(tmp_path / "target.safetensors", entries(SHAPES, seed=1))
    write_spec(tmp_path / "spec.yaml", "rules: []")
    (tmp_path / "out").mkdir()
    return tmp_path


def refuse(folder, *arguments, status, code, words=(), file=None, output="out/new.safetensors", **options):
    """`apply` ends with this error, and nothing in the folder is other than before."""
    before = snapshot(folder)
    result = run("apply", *arguments, "-o", output, cwd=folder, **options)
    found = assert_error(result, status, code, *words, file=file)
    assert snapshot(folder) == before, str(result)
    assert parts_in(folder) == []
    return result, found


def refuse_spec(folder, body, *, status=2, code, words=(), source="source.safetensors", target=None, options=()):
    spec = write_spec(folder / "spec.yaml", body)
    arguments = ["spec.yaml", source, *(["-t", target] if target else []), *options]
    result, found = refuse(folder, *arguments, status=status, code=code, words=words)
    return result, found, spec.read_text()


def test_what_the_tests_start_from_works(folder):
    succeed("apply", "spec.yaml", "source.safetensors", "-t", "target.safetensors", "-o", "out/new.safetensors",
            cwd=folder)
    assert read_safetensors(folder / "out/new.safetensors") == read_safetensors(folder / "source.safetensors")


# --- files that are no checkpoints, or no longer --------------------------------------------------

POSITIONS = range(12)


def cut(path, step):
    """The beginning of a file, at one of a dozen places: the ends and what lies between."""
    content = path.read_bytes()
    places = [0, 1, 7, 9, 100, *(len(content) * i // 8 for i in range(2, 8)), len(content) - 1]
    path.write_bytes(content[:places[step]])


@pytest.mark.parametrize("step", POSITIONS)
def test_truncated_safetensors(folder, step):
    cut(folder / "source.safetensors", step)
    result, _ = refuse(folder, "spec.yaml", "source.safetensors", status=3,
                       code="not-a-checkpoint" if step == 0 else "safetensors-corrupt", file="source.safetensors")
    assert len(errors_of(result)) == 1


@pytest.fixture(scope="module")
def whole_pt(tmp_path_factory):
    return write_pt(tmp_path_factory.mktemp("pt") / "whole.pt", entries(SHAPES)).read_bytes()


@pytest.mark.parametrize("step", POSITIONS)
def test_truncated_pt(folder, whole_pt, step):
    (folder / "source.pt").write_bytes(whole_pt)
    cut(folder / "source.pt", step)
    before = snapshot(folder)
    result = run("apply", "spec.yaml", "source.pt", "-o", "out/new.pt", cwd=folder)
    assert result.status == 3, str(result)
    only, = errors_of(result)
    assert only.code in ("not-a-checkpoint", "zip-corrupt") and only.file == "source.pt"
    assert snapshot(folder) == before


NOT_CHECKPOINTS = {
    "html": (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", ["HTML", "download"]),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
            ["git-LFS", "git lfs pull"]),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), ["PNG"]),
    "gzip": (gzip.compress(b"x" * 1000, mtime=0), ["gzip", "unpack"]),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), ["7z", "unpack"]),
    "empty": (b"", ["empty"]),
    "text": (b"epoch 1 loss 0.5\n" * 20, ["text"]),
    "json": (b'{"hidden_size": 4}\n', ["JSON"]),
    "pickle": (pickle.dumps({"weight": [1.0, 2.0]}, protocol=2), ["pickle", "torch.save"]),
    "zeros": (bytes(5000), ["zero bytes"]),
    "noise": (b"\xfe\xed" + noise("junk", 5000), ["checkpoint"]),
}


@pytest.mark.parametrize("suffix", [".pt", ".bin"])
@pytest.mark.parametrize("kind", NOT_CHECKPOINTS)
def test_a_file_that_is_something_else(folder, kind, suffix):
    content, words = NOT_CHECKPOINTS[kind]
    (folder / f"model{suffix}").write_bytes(content)
    refuse(folder, "spec.yaml", f"model{suffix}", status=3, code="not-a-checkpoint", words=words,
           file=f"model{suffix}")


@pytest.mark.parametrize("kind", ["html", "lfs", "empty", "text"])
def test_a_safetensors_name_with_something_else_in_it(folder, kind):
    content, words = NOT_CHECKPOINTS[kind]
    (folder / "model.safetensors").write_bytes(content)
    before = snapshot(folder)
    result = run("apply", "spec.yaml", "model.safetensors", "-o", "out/new.pt", cwd=folder)
    assert result.status == 3 and len(errors_of(result)) == 1, str(result)
    assert errors_of(result)[0].file == "model.safetensors"
    if kind != "text":
        assert words[0] in result.err
    assert snapshot(folder) == before


@pytest.mark.parametrize("kind", ["html", "empty", "pickle"])
def test_a_target_that_is_something_else(folder, kind):
    content, words = NOT_CHECKPOINTS[kind]
    (folder / "wrong.pt").write_bytes(content)
    refuse(folder, "spec.yaml", "source.safetensors", "-t", "wrong.pt", status=3, code="not-a-checkpoint",
           words=words, file="wrong.pt")


def test_both_inputs_are_wrong_and_both_are_said(folder):
    (folder / "a.pt").write_bytes(b"")
    (folder / "b.pt").write_bytes(NOT_CHECKPOINTS["png"][0])
    result, _ = refuse(folder, "spec.yaml", "a.pt", "-t", "b.pt", status=3, code="not-a-checkpoint", file="a.pt")
    assert_error(result, 3, "not-a-checkpoint", "PNG", file="b.pt")


def test_a_tensor_past_the_end_names_the_tensor(folder):
    tensors = entries({"a.weight": [4], "b.weight": [4]})
    path = write_safetensors(folder / "source.safetensors", tensors)
    path.write_bytes(path.read_bytes().replace(b"[16, 32]", b"[16, 48]"))
    refuse(folder, "spec.yaml", "source.safetensors", status=3, code="safetensors-corrupt", words=["b.weight"],
           file="source.safetensors")


def test_no_code_of_a_pickle_runs(folder):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {folder}/ran",)

    content = {"model": {"w": __import__("torch").ones(2)}, "extra": Evil()}
    write_pt(folder / "evil.pt", content)
    run("apply", "spec.yaml", "evil.pt", "-o", "out/new.pt", cwd=folder)
    run("inspect", "evil.pt", cwd=folder)
    assert not (folder / "ran").exists()


# --- paths that are no files ----------------------------------------------------------------------

PLACES = {
    "SPEC": lambda path: [path, "source.safetensors"],
    "SOURCE": lambda path: ["spec.yaml", path],
    "TARGET": lambda path: ["spec.yaml", "source.safetensors", "-t", path],
}


@pytest.mark.parametrize("place", PLACES)
def test_a_folder(folder, place):
    (folder / "model.pt").mkdir()
    refuse(folder, *PLACES[place]("model.pt"), status=3, code="file-open", words=["folder"], file="model.pt")


@pytest.mark.parametrize("place", PLACES)
def test_a_missing_file_gets_the_nearest_name(folder, place):
    (folder / "resnet50.pt").write_bytes(b"")
    refuse(folder, *PLACES[place]("resnet5O.pt"), status=3, code="file-open", words=["'resnet50.pt'"],
           file="resnet5O.pt")


@pytest.mark.parametrize("place", PLACES)
def test_a_missing_folder(folder, place):
    refuse(folder, *PLACES[place]("nowhere/model.pt"), status=3, code="file-open", file="nowhere/model.pt")


@pytest.mark.parametrize("place", PLACES)
def test_a_fifo_is_not_waited_for(folder, place):
    os.mkfifo(folder / "model.pt")
    refuse(folder, *PLACES[place]("model.pt"), status=3, code="file-open", words=["FIFO"], file="model.pt",
           timeout=20)


@pytest.mark.parametrize("place", PLACES)
def test_a_socket(folder, place, monkeypatch):
    monkeypatch.chdir(folder)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("model.pt")
        refuse(folder, *PLACES[place]("model.pt"), status=3, code="file-open", words=["socket"], file="model.pt")


@pytest.mark.parametrize("command", [["inspect"], ["plan", "spec.yaml"], ["check"]])
def test_the_other_commands_say_the_same(folder, command):
    result = run(*command, "nothing.pt", cwd=folder)
    assert_error(result, 3, "file-open", file="nothing.pt")
    assert result.out == "", str(result)


def test_an_empty_state_dict(folder):
    write_safetensors(folder / "empty.safetensors", {})
    refuse(folder, "spec.yaml", "empty.safetensors", status=2, code="root-not-found", words=["no tensors"],
           file="empty.safetensors")


def test_several_state_dicts_list_lines_that_work(folder):
    import torch

    state = {f"layer.{i}": torch.ones(2) for i in range(3)}
    write_pt(folder / "both.pt", {"model": state, "model_ema": {**state, "more": torch.ones(1)}, "epoch": 3})
    _, found = refuse(folder, "spec.yaml", "both.pt", status=2, code="root-ambiguous",
                      words=["3 tensors", "4 tensors", "model", "model_ema"], file="both.pt")
    lines = [note.split("`")[1] for note in found.notes if "`source:" in note]
    assert len(lines) == 2, found
    for line, count in zip(lines, (3, 4)):
        write_spec(folder / "spec.yaml", line)
        assert f" {count} tensors" in succeed("plan", "spec.yaml", "both.pt", cwd=folder).out


# --- arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec_name", ["spec.yaml", "my spec.yaml"])
@pytest.mark.parametrize("command", [["plan"], ["plan", "-t", "target.safetensors"],
                                     ["apply", "-o", "out/new.safetensors"]])
def test_spec_and_source_swapped(folder, command, spec_name):
    (folder / "spec.yaml").rename(folder / spec_name)
    before = snapshot(folder)
    result = run(command[0], "source.safetensors", spec_name, *command[1:], cwd=folder)
    found = assert_error(result, 2, "usage", "source.safetensors", "spec comes first")
    assert snapshot(folder) == before
    # The hint is a command that runs as printed.
    words = shlex.split(found.hint)
    assert words[0] == "regraft" and words[2:4] == [spec_name, "source.safetensors"], found.hint
    succeed(*words[1:], cwd=folder)


@pytest.mark.parametrize("arguments, words", [
    (["plan"], ["spec"]),
    (["plan", "spec.yaml"], ["source"]),
    (["plan", "source.safetensors"], ["spec"]),
    (["apply", "spec.yaml", "source.safetensors"], ["-o"]),
    (["plan", "spec.yaml", "source.safetensors", "target.safetensors"], ["-t"]),
    (["apply", "spec.yaml", "source.safetensors", "-o", "new.tar"], [".safetensors", ".pt"]),
    (["apply", "spec.yaml", "source.safetensors", "-o", "new"], [".safetensors", ".pt"]),
    (["plan", "spec.yaml", "source.safetensors", "--report", "r.txt"], [".json", ".html"]),
    (["plan", "spec.yaml", "source.safetensors", "--print", "schedule"], ["-o"]),
])
def test_arguments_that_do_not_fit(folder, arguments, words):
    before = snapshot(folder)
    assert_error(run(*arguments, cwd=folder), 2, "usage", *words)
    assert snapshot(folder) == before


# --- mistakes in a spec -----------------------------------------------------------------------------


def test_five_mistakes_are_reported_in_one_run(folder):
    body = r"""
        vars: {heads: 6}
        rules:
          - renam: '^module\.'
            to: ''
          - drop: '(?!keep)\.bias$'
          - rename: '^blocks\.(\d+)'
            to: 'layers.\2'
          - rename: '^head\.'
            too: 'classifier.'
        policy:
          shape: skp
    """
    result, _, text = refuse_spec(folder, body, code="unknown-key", words=["`rename`"], target="target.safetensors")
    found = errors_of(result)
    places = {"renam": "unknown-key", "(?!": "bad-pattern", r"\2": "bad-template", "too": "unknown-key",
              "skp": "unknown-key"}
    for marked, code in places.items():
        line = next(i for i, line in enumerate(text.splitlines(), 1) if marked in line)
        here = [one for one in found if one.line == line and one.code == code]
        assert here, f"nothing about {marked!r} in line {line}\n{result}"
        assert_points_at(here[0], "spec.yaml", text, marked)
    # `check` says the same.
    assert [(one.line, one.code) for one in errors_of(run("check", "spec.yaml", cwd=folder))] \
        == [(one.line, one.code) for one in found]


def test_mistakes_of_keys_and_of_rules_are_reported_together(folder):
    result, _, text = refuse_spec(folder, r"""
        polcy: {missing: keep}
        source: {rot: model}
        rules:
          - renam: '^module\.'
            to: ''
          - drop: '(unclosed'
        expect: {loded: '>= 98%'}
        """, code="unknown-key", words=["`policy`"])
    lines = {one.line for one in errors_of(result)}
    for marked in ("polcy", "rot:", "renam", "unclosed", "loded"):
        line = next(i for i, line in enumerate(text.splitlines(), 1) if marked in line)
        assert line in lines, f"nothing about {marked!r}\n{result}"


MISSPELT = {
    "top level": ("rule: []", "rule", "`rules`"),
    "version": ("", "regaft", "`regraft`"),
    "source": ("source: {rot: model}", "rot", "`root`"),
    "require": ("source: {requires: ['a']}", "requires", "`require`"),
    "verb": ("rules: [{drp: 'x'}]", "drp", "`drop`"),
    "verb with parameters": ("rules: [{to: 'a', renme: 'x'}]", "renme", "`rename`"),
    "parameter": ("rules: [{rename: 'x', tp: 'y'}]", "tp", "`to`"),
    "rule key": ("rules: [{drop: 'x', unles: 'y'}]", "unles", "`unless`"),
    "where": ("rules: [{drop: 'x', where: {ndims: 2}}]", "ndims", "`ndim`"),
    "dtype": ("rules: [{drop: 'x', where: {dtype: flaot16}}]", "flaot16", "`float16`"),
    "policy": ("policy: {mising: keep}", "mising", "`missing`"),
    "policy word": ("policy: {missing: kep}", "kep", "`keep`"),
    "policy word of a case": ("policy: {shape: [{match: 'x', do: skipp}]}", "skipp", "`skip`"),
    "policy case": ("policy: {shape: [{mtch: 'x', do: skip}]}", "mtch", "`match`"),
    "expect": ("expect: {mising: ['x']}", "mising", "`missing`"),
    "output": ("output: {tie: first}", "tie", "`ties`"),
    "var": ("vars: {heads: 2}\nrules: [{rename: 'x', to: '{hedas}'}]", "hedas", "heads"),
    "exact": ("rules: [{drop: {exat: 'x'}}]", "{exat", "exact"),
}


@pytest.mark.parametrize("place", MISSPELT)
def test_a_misspelling_gets_the_nearest_name(folder, place):
    body, wrong, right = MISSPELT[place]
    spec = write_spec(folder / "spec.yaml", body, first="regaft: 1\n" if place == "version" else "regraft: 1\n")
    before = snapshot(folder)
    result = run("apply", "spec.yaml", "source.safetensors", "-t", "target.safetensors", "-o", "out/new.safetensors",
                 cwd=folder)
    assert result.status == 2 and snapshot(folder) == before, str(result)
    here = [one for one in errors_of(result) if wrong in one.message or wrong in one.source]
    assert here and right in here[0].hint + here[0].message, str(result)
    assert_points_at(here[0], "spec.yaml", spec.read_text(), wrong)


@pytest.mark.parametrize("text, code", [
    ("", None), ("rules: []\n", "missing-key"), ("- drop: x\n", "wrong-type"),
    ("regraft: 2\n", "version-mismatch"), ("regraft: one\n", "wrong-type"),
    ("regraft: 1\nrules: {drop: x}\n", "wrong-type"), ("regraft: 1\nrules: [drop]\n", "wrong-type"),
    ("regraft: 1\nrules: [{to: x}]\n", None), ("regraft: 1\nrules: [{drop: x, keep: y}]\n", None),
    ("regraft: 1\nrules: [{rename: x}]\n", "missing-key"), ("regraft: 1\npolicy: skip\n", "wrong-type"),
    ("regraft: 1\nrules: [{drop: [x, {a: b}]}]\n", "wrong-type"), ("regraft: 1\nrules: [{drop: []}]\n", "wrong-type"),
    ("regraft: 1\nrules: [{drop: x, count: many}]\n", None), ("regraft: 1\nrules: [{drop: x, where: 2}]\n", "wrong-type"),
    ("regraft: 1\nexpect: {loaded: much}\n", None),
])
def test_a_spec_of_the_wrong_form(folder, text, code):
    (folder / "spec.yaml").write_text(text)
    before = snapshot(folder)
    result = run("apply", "spec.yaml", "source.safetensors", "-o", "out/new.safetensors", cwd=folder)
    found = errors_of(result)
    assert result.status == 2 and found, str(result)
    assert found[0].file == "spec.yaml" and (code is None or found[0].code == code), str(result)
    if text:
        assert found[0].line > 0 and found[0].caret, str(result)
    assert snapshot(folder) == before


# --- patterns ---------------------------------------------------------------------------------------

REFUSED = {
    "lookahead": (r"^(?!head)\.bias", ["lookahead", "unless:"]),
    "positive lookahead": (r"a(?=b)", ["lookahead"]),
    "lookbehind": (r"(?<=a)b", ["lookbehind"]),
    "negative lookbehind": (r"(?<!a)b", ["lookbehind", "unless:"]),
    "backreference": (r"(\d+)\.\1", ["backreference", "when:"]),
    "named backreference": (r"(?P<a>\d+)\.(?P=a)", ["backreference", "when:"]),
    "named group": (r"blocks\.(?<n>\d+)", ["(?P<"]),
    "atomic group": (r"(?>a)", ["(?:"]),
    "count": (r"a{1001}", ["1000"]),
    "parenthesis": (r"conv(1", [r"\("]),
    "bracket": (r"conv[1", [r"\["]),
    "star": (r"*.weight", [r"\*"]),
    "escape": (r"\y", []),
}
PATTERN_PLACES = {
    "drop": "rules: [{{drop: '{0}'}}]",
    "list": "rules:\n  - drop: ['fine', '{0}']",
    "rename": "rules: [{{rename: '{0}', to: 'x'}}]",
    "table": "rules: [{{rename: {{'{0}': 'x'}}}}]",
    "unless": "rules: [{{drop: 'x', unless: '{0}'}}]",
    "case": "policy: {{missing: [{{match: '{0}', do: keep}}]}}",
    "require": "source: {{require: ['{0}']}}",
    "expect": "expect: {{missing: ['{0}']}}",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_pattern_that_re2_refuses(folder, kind):
    pattern, words = REFUSED[kind]
    spec = write_spec(folder / "spec.yaml", PATTERN_PLACES["drop"].format(pattern))
    result = run("plan", "spec.yaml", "source.safetensors", cwd=folder)
    if kind == "named group" and result.status == 0:
        return  # later versions of RE2 read it
    found = assert_error(result, 2, "bad-pattern", *words, file="spec.yaml")
    assert_points_at(found, "spec.yaml", spec.read_text(), pattern)


@pytest.mark.parametrize("place", PATTERN_PLACES)
def test_wherever_the_pattern_stands(folder, place):
    pattern = r"a(?!b)"
    _, found, text = refuse_spec(folder, PATTERN_PLACES[place].format(pattern), code="bad-pattern", words=["unless:"])
    assert_points_at(found, "spec.yaml", text, pattern)


def test_the_remedies_of_patterns_work(folder):
    write_safetensors(folder / "source.safetensors", entries({"a.0.0.bias": [1], "a.0.1.w": [1], "a.1.1.w": [1],
                                                              "head.bias": [1], "c.bias": [1]}))
    write_spec(folder / "spec.yaml", r"""
        rules:
          - drop: '\.bias$'
            unless: '^head'
          - drop: '^a\.(?P<x>\d)\.(?P<y>\d)'
            when: 'x == y'
          - rename: '^a\.(?P<n>\d+)\.'
            to: 'b.{n + 1}.'
        """)
    succeed("apply", "spec.yaml", "source.safetensors", "-o", "out/new.safetensors", cwd=folder)
    assert list(read_safetensors(folder / "out/new.safetensors")) == ["b.1.1.w", "head.bias"]


@pytest.mark.parametrize("to, words", [
    (r"\3", [r"\3"]), (r"{\3}", ["3"]), (r"\n", []), ("{", []), ("}", []), ("{i}", ["i"]), ("{nothing}", ["nothing"]),
    (r"{\1 +}", []),
])
def test_a_wrong_template(folder, to, words):
    spec = write_spec(folder / "spec.yaml", f"rules:\n  - rename: '(a)(b)'\n    to: '{to}'")
    before = snapshot(folder)
    result = run("apply", "spec.yaml", "source.safetensors", "-o", "out/new.safetensors", cwd=folder)
    found, = errors_of(result)
    assert result.status == 2 and found.line == 4, str(result)
    assert found.code in ("bad-template", "bad-expression", "unknown-name"), str(result)
    for word in words:
        assert word in found.message + found.source, str(result)
    assert_points_at(found, "spec.yaml", spec.read_text())
    assert snapshot(folder) == before


# --- names that collide -----------------------------------------------------------------------------


def test_a_collision_names_both_and_their_rules(folder):
    result, found, text = refuse_spec(folder, r"""
        rules:
          - rename: '^blocks\.0\.'
            to: 'stem.'
          - drop: '^head\.'
          - rename: '^blocks\.1\.'
            to: 'stem.'
        """, code="collision", words=["'stem.attn.weight'"])
    assert found.line == 6 and "^blocks" in text.splitlines()[5]
    notes = "\n".join(found.notes)
    for name, rule in (("blocks.0.attn.weight", 1), ("blocks.1.attn.weight", 3)):
        assert f"'{name}'" in notes and f"rule {rule}" in notes, str(result)
    assert found.hint
    assert_error(result, 2, "collision", "'stem.attn.bias'")


def test_a_collision_with_a_name_that_stood_there(folder):
    refuse_spec(folder, r"rules: [{rename: '^blocks\.1\.', to: 'blocks.0.'}]", code="collision",
                words=["'blocks.0.attn.weight'", "'blocks.1.attn.weight'", "rule 1"])


def test_a_copy_that_collides(folder):
    refuse_spec(folder, r"rules: [{copy: '^head\.(\w+)$', to: 'head'}]", code="collision", words=["'head'"])


def test_a_swap_works(folder):
    write_spec(folder / "spec.yaml", r"""
        rules:
          - rename:
              '^blocks\.0\.': 'blocks.1.'
              '^blocks\.1\.': 'blocks.0.'
        """)
    succeed("apply", "spec.yaml", "source.safetensors", "-o", "out/new.safetensors", cwd=folder)
    source, new = read_safetensors(folder / "source.safetensors"), read_safetensors(folder / "out/new.safetensors")
    assert new["blocks.0.attn.bias"] == source["blocks.1.attn.bias"]
    assert new["blocks.1.attn.bias"] == source["blocks.0.attn.bias"]


# --- strict YAML --------------------------------------------------------------------------------------

YAML = {
    "alias": ("vars: {a: 1}\nrules: *all\n", 3, ["alias"]),
    "anchor": ("rules: &all []\n", 2, ["anchor"]),
    "merge key": ("policy:\n  <<: {missing: keep}\n", 3, ["merge key"]),
    "tag": ("name: !!str 5\n", 2, ["tag"]),
    "second document": ("rules: []\n---\nrules: []\n", 3, ["second document"]),
    "directive": ("%YAML 1.2\n", None, []),
    "duplicate key": ("rules: []\nname: a\nrules: []\n", 4, ["'rules'", "twice"]),
    "duplicate key of a table": ("rules:\n  - rename: {'^a': 'b', '^a': 'c'}\n", 3, ["'^a'", "twice"]),
    "NUL": ("name: 'a\0b'\n", 2, ["U+0000"]),
    "escaped NUL": ('name: "a\\0b"\n', 2, ["U+0000"]),
    "bell": ("name: 'a\x07b'\n", 2, ["U+0007"]),
    "escape that is none": ('rules: [{drop: "\\.bias"}]\n', 2, ["single quotes"]),
    "tab": ("rules:\n\t- drop: x\n", 3, ["tab", "spaces"]),
    "open quote": ("name: 'never closed\n", None, ["quote"]),
    "open bracket": ("rules: [\n", None, []),
    "501 levels": ("vars: {a: " + "[" * 501 + "]" * 501 + "}\n", 2, ["500 levels"]),
    "100000 levels": ("vars: {a: " + "[" * 100000, 2, ["500 levels"]),
}


@pytest.mark.parametrize("kind", YAML)
def test_yaml_that_a_spec_may_not_use(folder, kind):
    body, line, words = YAML[kind]
    text = ("" if kind == "directive" else "regraft: 1\n") + body
    (folder / "spec.yaml").write_bytes(text.encode())
    code = "duplicate-key" if kind.startswith("duplicate") else "yaml-syntax"
    _, found = refuse(folder, "spec.yaml", "source.safetensors", status=2, code=code, words=words, file="spec.yaml")
    assert found.line > 0 and found.column > 0 and "^" in found.caret, found
    assert line is None or found.line == line, found
    if kind.startswith("duplicate"):
        assert found.notes, "where it was first"


def test_bytes_that_are_no_utf8(folder):
    (folder / "spec.yaml").write_bytes(b"regraft: 1\nname: caf\xe9\n")
    _, found = refuse(folder, "spec.yaml", "source.safetensors", status=2, code="yaml-syntax", words=["UTF-8"],
                      file="spec.yaml")
    assert (found.line, found.column) == (2, 10)


def test_490_levels_are_no_matter_of_depth(folder):
    (folder / "spec.yaml").write_text("regraft: 1\nvars: {a: " + "[" * 490 + "]" * 490 + "}\n")
    assert "levels" not in run("plan", "spec.yaml", "source.safetensors", cwd=folder).err


@pytest.mark.parametrize("body, wrong", [
    ("rules: [{rename: 'a', to: 'b', all: yes}]", "yes"),
    ("rules: [{rename: 'a', to: 'b', all: on}]", "on"),
    ("rules: [{drop: 'a', count: 0x10}]", "0x10"),
    ("rules: [{drop: 'a', where: {ndim: 1_0}}]", "1_0"),
])
def test_words_and_numbers_of_other_yaml_versions(folder, body, wrong):
    spec = write_spec(folder / "spec.yaml", body)
    before = snapshot(folder)
    result = run("apply", "spec.yaml", "source.safetensors", "-o", "out/new.safetensors", cwd=folder)
    assert result.status == 2 and snapshot(folder) == before, str(result)
    assert_points_at(errors_of(result)[0], "spec.yaml", spec.read_text(), wrong)


@pytest.mark.parametrize("names", [8, 10])
def test_010_is_never_octal(folder, names):
    """Integers are decimal: 010 is ten, or it is refused."""
    write_safetensors(folder / "source.safetensors", entries({f"drop.{i}": [1] for i in range(names)} | {"w": [1]}))
    write_spec(folder / "spec.yaml", "rules: [{drop: '^drop', count: 010}]")
    result = run("plan", "spec.yaml", "source.safetensors", cwd=folder)
    if result.status == 2:
        assert errors_of(result)[0].line == 2, str(result)
    else:
        assert result.status == (0 if names == 10 else 1), str(result)


def test_yes_is_a_text_where_a_text_is_due(folder):
    write_spec(folder / "spec.yaml", "name: yes\nrules: [{rename: '^head', to: no}]")
    succeed("apply", "spec.yaml", "source.safetensors", "-o", "out/new.safetensors", cwd=folder)
    assert {"no.weight", "no.bias"} < set(read_safetensors(folder / "out/new.safetensors"))


def test_a_spec_that_is_binary_or_huge(folder):
    (folder / "spec.yaml").write_bytes(noise("spec", 5000))
    result = run("plan", "spec.yaml", "source.safetensors", cwd=folder)
    assert result.status == 2 and errors_of(result), str(result)
    with open(folder / "spec.yaml", "wb") as file:
        file.truncate(1 << 34)
    refuse_huge = run("plan", "spec.yaml", "source.safetensors", cwd=folder)
    assert refuse_huge.status in (2, 3) and "spec.yaml" in refuse_huge.err, str(refuse_huge)


# --- variables and expressions ----------------------------------------------------------------------


def test_set_of_a_var_that_is_not_declared(folder):
    write_spec(folder / "spec.yaml", "vars: {heads: 2}\nrules: [{rename: '^head', to: 'head{heads}'}]")
    refuse(folder, "spec.yaml", "source.safetensors", "--set", "hedas=3", status=2, code="bad-var",
           words=["'hedas'", "heads"])
    refuse(folder, "spec.yaml", "source.safetensors", "--set", "x=3", status=2, code="bad-var", words=["'x'", "vars"])
    refuse(folder, "spec.yaml", "source.safetensors", "--set", "x", status=2, code="usage", words=["NAME=VALUE"])


EXPRESSIONS = {
    "division by zero": (r"b.{12 // \1}.", ["zero", "blocks.0.attn.weight"]),
    "modulo zero": (r"b.{12 % \1}.", ["zero", "blocks.0.attn.weight"]),
    "overflow": (r"b.{9223372036854775807 + \1}.", ["blocks.1.attn.weight"]),
    "index": (r"b.{depths[\1]}.", ["blocks.1.attn.weight"]),
    "map key": (r"b.{sizes[\1]}.", ["blocks.1.attn.weight"]),
    "negative number": (r"b.{\1 - 1}.", ["negative", "blocks.0.attn.weight"]),
}


@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_an_expression_that_fails_names_tensor_and_place(folder, kind):
    to, words = EXPRESSIONS[kind]
    _, found, text = refuse_spec(folder, "vars: {depths: [4], sizes: {'0': 7}}\nrules:\n"
                                 rf"  - rename: '^blocks\.(\d+)\.'" f"\n    to: '{to}'", code="evaluation", words=words)
    assert found.line == 5, found
    assert_points_at(found, "spec.yaml", text, to)


def test_text_in_arithmetic(folder):
    refuse_spec(folder, r"""rules: [{rename: '^(\w+)\.', to: '{\1 + 1}.'}]""", code="evaluation",
                words=["blocks.0.attn.weight"])


def test_a_condition_that_fails_names_the_tensor(folder):
    refuse_spec(folder, r"""rules: [{drop: '^blocks\.(\d+)\.', when: '1 // \1 == 1'}]""", code="evaluation",
                words=["zero", "blocks.0.attn.weight"])


@pytest.mark.parametrize("var, words", [
    ("{from: config.json, key: nothing}", ["nothing", "config.json"]),
    ("{from: other.json, key: hidden_size}", ["other.json"]),
    ("{from: ../config.json, key: hidden_size}", [".."]),
    ("{from: /etc/config.json, key: hidden_size}", ["absolute", "/etc"]),
    ("{from: config.json, ky: hidden_size}", ["`key`"]),
    ("{from: config.json}", ["key"]),
])
def test_a_var_from_a_file(folder, var, words):
    (folder / "config.json").write_text('{"hidden_size": 4}')
    spec = write_spec(folder / "spec.yaml", f"vars:\n  dim: {var}\nrules: [{{rename: '^head', to: 'head{{dim}}'}}]")
    before = snapshot(folder)
    result = run("apply", "spec.yaml", "source.safetensors", "-o", "out/new.safetensors", cwd=folder)
    assert result.status == 2 and snapshot(folder) == before, str(result)
    found = errors_of(result)[0]
    assert any(word in found.message + found.hint + found.source for word in words), str(result)
    assert_points_at(found, "spec.yaml", spec.read_text())


def test_broken_json_beside_the_source(folder):
    (folder / "config.json").write_text('{"hidden_size": 4,,}')
    write_spec(folder / "spec.yaml", "vars: {dim: {from: config.json, key: hidden_size}}\n"
               "rules: [{rename: '^head', to: 'head{dim}'}]")
    refuse(folder, "spec.yaml", "source.safetensors", status=3, code="json-corrupt", file="config.json")


# --- promises that are not kept ---------------------------------------------------------------------

PROMISES = {
    "require": (r"source: {require: ['^blocks\.0\.', '^stages\.']}", 1, "require-unmet", [r"^stages\.", "source.safetensors"]),
    "count": ("rules: [{drop: 'bias$', count: 2}]", 1, "count-unmet", ["3", "2"]),
    "count of at least": ("rules: [{drop: 'nothing', count: '>= 1'}]", 1, "count-unmet", ["0", ">= 1"]),
    "keep nothing": ("rules: [{keep: '^stages'}]", 1, "keeps-nothing", []),
    "expect dropped": ("rules: [{drop: 'bias$'}]\nexpect: {dropped: ['^head']}", 1, "expect-unmet",
                       ["blocks.0.attn.bias", "blocks.1.attn.bias"]),
    "expect missing": ("rules: [{drop: '^head'}]\npolicy: {missing: keep}\nexpect: {missing: ['weight$']}", 1,
                       "expect-unmet", ["head.bias"]),
    "expect loaded": ("rules: [{drop: '^head'}]\npolicy: {missing: keep}\nexpect: {loaded: '>= 98%'}", 1,
                      "expect-unmet", ["98%"]),
    "expect kept": ("rules: [{drop: '^head'}]\npolicy: {missing: keep}\nexpect: {kept: ['nothing']}", 1,
                    "expect-unmet", ["head.weight"]),
    "expect no unused rule": ("rules: [{drop: 'nothing'}]\nexpect: {unused_rules: error}", 1, "unused-rule", ["rule 1"]),
    "missing": ("rules: [{drop: '^head'}]", 1, "missing", ["head.weight", "head.bias"]),
    "unexpected": ("rules: [{copy: '^head', to: 'tail'}]", 1, "unexpected", ["tail.weight"]),
}


@pytest.mark.parametrize("kind", PROMISES)
def test_a_promise_that_is_not_kept(folder, kind):
    body, status, code, words = PROMISES[kind]
    result, found, text = refuse_spec(folder, body, status=status, code=code, words=words, target="target.safetensors")
    if code not in ("missing", "unexpected"):
        assert found.file == "spec.yaml" and found.line > 0, found
    assert "nothing was written" in result.out, str(result)


def test_strict_makes_an_unused_rule_an_error(folder):
    write_spec(folder / "spec.yaml", "rules: [{drop: 'nothing'}]")
    assert diagnostics(succeed("plan", "spec.yaml", "source.safetensors", cwd=folder).err)[0].severity == "warning"
    refuse(folder, "spec.yaml", "source.safetensors", "--strict", status=1, code="unused-rule", words=["rule 1"],
           file="spec.yaml")


def test_every_broken_promise_is_said_in_one_run(folder):
    result, _, _ = refuse_spec(folder, r"""
        rules:
          - {drop: 'bias$', count: 1}
          - {rename: '^blocks\.1', to: 'blocks.7'}
        source: {require: ['^nothing']}
        expect: {loaded: '>= 99%', dropped: ['^head']}
        """, status=1, code="require-unmet", target="target.safetensors")
    codes = {one.code for one in errors_of(result)}
    assert {"require-unmet", "count-unmet"} <= codes, str(result)


def test_shapes_and_dtypes_that_do_not_fit(folder):
    shapes = {**SHAPES, "head.weight": [5, 4], "head.bias": ("I64", [10])}
    (folder / "target.yaml").write_text(schema_text(shapes))
    refuse_spec(folder, "policy: {dtype: error}", status=1, code="shape-mismatch",
                words=["head.weight", "[10, 4]", "[5, 4]"], target="target.yaml")
    refuse_spec(folder, "policy: {dtype: error, shape: skip}", status=1, code="no-values",
                words=["head.weight", "or: omit"], target="target.yaml")
    refuse_spec(folder, "policy: {dtype: error}", status=1, code="dtype-mismatch",
                words=["head.bias", "float32", "int64"], target="target.yaml")


@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_a_dtype_that_safetensors_lacks(folder):
    import torch

    write_pt(folder / "complex.pt", {"fine": torch.ones(2), "wave": torch.ones(2, dtype=torch.complex32)})
    refuse(folder, "spec.yaml", "complex.pt", status=2, code="cannot-write", words=["wave", "complex32"])


def test_content_beside_the_tensors(folder):
    import torch

    write_pt(folder / "training.pt", {"state_dict": {"w": torch.ones(2)}, "epoch": 3})
    refuse(folder, "spec.yaml", "training.pt", "--extras", "error", status=1, code="extras", words=["epoch"])
    assert "epoch" in succeed("plan", "spec.yaml", "training.pt", cwd=folder).out


# --- target schemas -----------------------------------------------------------------------------------

SCHEMAS = {
    "no version": ("tensors: {a: {dtype: float32, shape: [1]}}\n", ["regraft_schema"]),
    "a spec": ("regraft: 1\nrules: []\n", ["spec"]),
    "misspelt": ("regraft_schema: 1\ntensor: {}\n", ["tensors"]),
    "no dtype of that name": ("regraft_schema: 1\ntensors:\n  a: {dtype: flaot32, shape: [1]}\n", ["float32"]),
    "negative size": ("regraft_schema: 1\ntensors:\n  a: {dtype: float32, shape: [-1]}\n", ["-1"]),
    "no shape": ("regraft_schema: 1\ntensors:\n  a: {dtype: float32}\n", ["shape"]),
    "twice": ("regraft_schema: 1\ntensors:\n  a: {dtype: float32, shape: [1]}\n  a: {dtype: float32, shape: [1]}\n",
              ["twice"]),
}


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_wrong_target_schema(folder, kind):
    text, words = SCHEMAS[kind]
    (folder / "model.yaml").write_text(text)
    before = snapshot(folder)
    result = run("apply", "spec.yaml", "source.safetensors", "-t", "model.yaml", "-o", "out/new.safetensors",
                 cwd=folder)
    assert result.status in (2, 3) and snapshot(folder) == before, str(result)
    found = errors_of(result)[0]
    assert found.file == "model.yaml" and found.line > 0 and "^" in found.caret, str(result)
    assert any(word in found.message + found.hint for word in words), str(result)


# --- names that would fool a terminal -----------------------------------------------------------------


def test_control_characters_of_names_are_escaped(folder):
    name = "bad\x1b[2J\r\nfake: error[usage]: gotcha"
    write_safetensors(folder / "source.safetensors", {name: Entry("U8", (1,), b"x")})
    for arguments in (["inspect", "source.safetensors"],
                      ["plan", "spec.yaml", "source.safetensors", "-t", "target.safetensors"],
                      ["plan", "spec.yaml", "source.safetensors", "-t", "target.safetensors", "--verbose"]):
        result = run(*arguments, cwd=folder)
        assert "\x1b" not in result.out + result.err and "\r" not in result.out + result.err, str(result)
        assert not [one for one in diagnostics(result.err) if one.code == "usage"], str(result)


def test_the_program_needs_no_environment(folder):
    result = run("plan", "spec.yaml", "source.safetensors", cwd=folder, env={})
    assert result.status == 0 and PROGRAM.exists(), str(result)
    assert succeed("plan", "spec.yaml", "source.safetensors", cwd=folder, env=environment(LC_ALL="tr_TR.UTF-8")).out \
        == result.out


def test_a_header_of_another_length(folder):
    content = bytearray((folder / "source.safetensors").read_bytes())
    for length in (0, 1, 2 ** 63, 2 ** 64 - 1, len(content) - 7, 200_000_000):
        content[:8] = struct.pack("<Q", length)
        (folder / "source.safetensors").write_bytes(content)
        before = snapshot(folder)
        result = run("apply", "spec.yaml", "source.safetensors", "-o", "out/new.pt", cwd=folder)
        assert result.status == 3 and errors_of(result)[0].file == "source.safetensors", str(result)
        assert snapshot(folder) == before
