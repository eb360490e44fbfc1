"""Cases 75 to 86: specs, and the patterns in them."""

import json
import re
import struct

import pytest

from craft import check_refusal, one, prepare, run, said, snapshot, tensor, with_header, write_pt

FIRST = "regraft: 1\n"
NAMES = ("a.weight", "b.weight")


def with_spec(folder, spec, names=NAMES):
    prepare(folder)
    (folder / "s.yaml").write_bytes(spec if isinstance(spec, bytes) else (FIRST + spec).encode())
    entries = {name: one(begin=4 * i, end=4 * i + 4) for i, name in enumerate(names)}
    (folder / "m.safetensors").write_bytes(with_header(entries, bytes(range(4 * len(names)))))


def refused_spec(folder, spec, code, *words, status=2, names=NAMES):
    """`apply` ends with this error at a line of the spec; `check` says the same of what needs no checkpoint."""
    with_spec(folder, spec, names)
    before = snapshot(folder)
    result = run("apply", "s.yaml", "m.safetensors", "-o", "out/new.safetensors", cwd=folder)
    check_refusal(result, code, ["s.yaml:", *words], "s.yaml", status)
    if code not in ("collision", "count-unmet"):
        check_refusal(run("check", "s.yaml", cwd=folder), code, ["s.yaml:", *words], "s.yaml", status)
    assert snapshot(folder) == before, said(result)


def taken(folder, spec, names=NAMES):
    """Name in the output -> the first byte of its data."""
    with_spec(folder, spec, names)
    result = run("apply", "s.yaml", "m.safetensors", "-o", "out/new.safetensors", cwd=folder)
    assert result.returncode == 0, said(result)
    content = (folder / "out/new.safetensors").read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    return {name: content[8 + length + entry["data_offsets"][0]] for name, entry in header.items()}


# --- YAML ---------------------------------------------------------------------------------------------


def nested(levels, kind):
    """`levels` in all, the mapping of the spec itself being the first."""
    inside = levels - 1
    if kind == "block":
        return "x:\n" + "".join(" " * i + "-\n" for i in range(1, inside + 1))
    begin, end = {"list": ("[", "]"), "mapping": ("{a: ", "}")}[kind]
    return "x: " + begin * inside + "1" + end * inside + "\n"


@pytest.mark.parametrize("kind", ["list", "mapping", "block"])
@pytest.mark.parametrize("levels", [501, 502, 2000])
def test_case_75_too_deep(tmp_path, levels, kind):
    refused_spec(tmp_path, nested(levels, kind), "yaml-syntax", "more than 500 levels of lists and mappings")


@pytest.mark.parametrize("brackets", ["[" * 100_000, "{a: " * 20_000, "- " * 20_000])
def test_case_75_deep_and_never_closed(tmp_path, brackets):
    refused_spec(tmp_path, "x: " * (brackets[0] != "-") + brackets + "\n", "yaml-syntax")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(i + 1)}: &{chr(i + 1)} [{', '.join(['*' + chr(i)] * 9)}]\n" for i in range(ord("a"), ord("k")))


@pytest.mark.parametrize("spec, words", [
    (BOMB, "an anchor, which a spec may not use"), ("rules: &a []\n", "an anchor, which"),
    ("rules: *a\n", "an alias, which a spec may not use"), ("a: &a [*a]\n", "an anchor, which"),
    ("&k rules: []\n", "an anchor, which"),
])
def test_case_76_aliases(tmp_path, spec, words):
    refused_spec(tmp_path, spec, "yaml-syntax", words)


@pytest.mark.parametrize("spec, key", [
    ("rules: []\nrules: []\n", "rules"), ("rules: []\n'rules': []\n", "rules"), ("regraft: 1\n", "regraft"),
    ('rules: []\n"r\\u0075les": []\n', "rules"), ("rules: [{drop: a, drop: b}]\n", "drop"),
    ("rules:\n  - rename: {a: b, 'a': c}\n", "a"), ("vars: {n: 1, n: 2}\n", "n"),
    ("policy: {missing: keep, missing: keep}\n", "missing"),
])
def test_case_77_duplicate_keys(tmp_path, spec, key):
    refused_spec(tmp_path, spec, "duplicate-key", f"the key '{key}' is there twice", "note: it is first here")


@pytest.mark.parametrize("more", ["---\nregraft: 1\n", "...\n---\n", "---\n", "--- {}\n"])
def test_case_78_a_second_document(tmp_path, more):
    refused_spec(tmp_path, "rules: []\n" + more, "yaml-syntax", "a second document begins here")


@pytest.mark.parametrize("begin, end", [("---\n", ""), ("", "...\n"), ("---\n", "...\n"), ("\ufeff", ""),
                                        ("# note\n---\n", "")])
def test_case_78_one_document(tmp_path, begin, end):
    assert taken(tmp_path, (begin + FIRST + "rules: [{drop: '^a'}]\n" + end).encode()) == {"b.weight": 4}


@pytest.mark.parametrize("data, words", [
    (b"'a\0'", "the control character U+0000"), (b'"a\\0"', "an escape gives the control character U+0000"),
    (b'"a\\x00"', "an escape gives the control character U+0000"),
    (b'"\\u0000"', "an escape gives the control character U+0000"),
    (b"'a\x07'", "the control character U+0007"), (b'"a\\x1b"', "an escape gives the control character U+001B"),
    (b"'\xff'", "a byte that is not UTF-8"), (b"'\xed\xa0\x80'", "a byte that is not UTF-8"),
    (b"'\xc0\xaf'", "a byte that is not UTF-8"), (b"'\xe2\x82'", "a byte that is not UTF-8"),
    (b"'\xf4\x90\x80\x80'", "a byte that is not UTF-8"), (b"'\x80'", "a byte that is not UTF-8"),
])
def test_case_79_nul_and_bytes_that_are_not_utf_8(tmp_path, data, words):
    refused_spec(tmp_path, FIRST.encode() + b"rules: [{drop: " + data + b"}]\n", "yaml-syntax", words)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_case_79_other_encodings(tmp_path, encoding):
    refused_spec(tmp_path, (FIRST + "rules: []\n").encode(encoding), "yaml-syntax")


@pytest.mark.parametrize("spec, code, words", [
    ("rulez: []\n", "unknown-key", "did you mean `rules`?"), ("rules: [{drp: x}]\n", "unknown-key", "`drop`"),
    ("rules: [{rename: x, too: y}]\n", "unknown-key", "`to`"), ("policy: {mising: keep}\n", "unknown-key", "`missing`"),
    ("rules: [{<<: {drop: a}}]\n", "yaml-syntax", "a merge key, which a spec may not use"),
    ("<<: {rules: []}\n", "yaml-syntax", "a merge key"), ("rules: !!python/object []\n", "yaml-syntax", "a tag, which"),
    ("rules: [{drop: !!str a}]\n", "yaml-syntax", "a tag, which"),
    ("rules: [{rename: a, to: b, all: yes}]\n", "wrong-type", "`all` is true or false, not the text 'yes'"),
    ("rules: [{rename: a, to: b, all: on}]\n", "wrong-type", "not the text 'on'"),
    ("rules: [{drop: weight, count: 0x2}]\n", "wrong-type", "'0x2'"),
    ("rules: [{drop: weight, count: 0o2}]\n", "wrong-type", "'0o2'"),
])
def test_case_80_misspelt_and_other_than_it_looks(tmp_path, spec, code, words):
    refused_spec(tmp_path, spec, code, words)


def test_case_80_what_looks_octal_is_decimal_or_refused(tmp_path):
    refused_spec(tmp_path, b"regraft: 010\nrules: []\n", "version-mismatch", "010", "write `regraft: 1`")
    refused_spec(tmp_path, b"regraft: 2\nrules: []\n", "version-mismatch", "use a newer regraft")
    refused_spec(tmp_path, "rules: [{drop: weight, count: 010}]\n", "count-unmet", status=1)
    names = tuple(f"{i}.weight" for i in range(10))
    assert taken(tmp_path, "rules: [{drop: weight, count: 010}]\n", names) == {}  # ten, not eight


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "n"])
def test_case_80_yes_and_no_are_text(tmp_path, word):
    assert taken(tmp_path, f"rules: [{{rename: '^a', to: {word}}}]\n") == {f"{word}.weight": 0, "b.weight": 4}


# --- patterns -----------------------------------------------------------------------------------------

PLACES = {
    "drop": "rules: [{drop: 'PATTERN'}]\n", "list": "rules: [{drop: ['fine', 'PATTERN']}]\n",
    "table": "rules: [{rename: {'PATTERN': 'x'}}]\n", "unless": "rules: [{drop: 'x', unless: 'PATTERN'}]\n",
    "policy": "policy: {missing: [{match: 'PATTERN', do: keep}]}\n", "require": "source: {require: ['PATTERN']}\n",
    "expect": "expect: {missing: ['PATTERN']}\n",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pattern", ["a{1001}", "(a{1000}){1000}", "((a{100}){100}){100}"])
def test_case_81_counts_without_end(tmp_path, pattern, place):
    refused_spec(tmp_path, PLACES[place].replace("PATTERN", pattern), "bad-pattern", "invalid repetition size",
                 "at most 1000")


def test_case_81_at_the_limit(tmp_path):
    assert taken(tmp_path, "rules: [{drop: '^a{1000}$'}]\n", ("a" * 1000, "a" * 1001)) == {"a" * 1001: 4}


def test_case_81_classes_are_of_bytes(tmp_path):
    """As UTF-8 this would be a program of megabytes; of bytes it is a small one."""
    assert taken(tmp_path, r"rules: [{drop: '^\pL{1000}$'}]" + "\n", ("a" * 1000, "1" * 1000)) == {"1" * 1000: 4}


@pytest.mark.parametrize("pattern", [r"(a|aa)+$", r"(a+)+$", r"(a*)*b", r"(.*)(.*)(.*)(.*)(.*)x", r"(x+x+)+y"])
def test_case_81_patterns_that_explode_elsewhere(tmp_path, pattern):
    name = "a" * 5000 + "!"
    assert taken(tmp_path, f"rules: [{{drop: '{pattern}', count: '>= 0'}}]\n", (name, "c")) == {name: 0, "c": 4}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pattern, words", [
    ("(?!a)", ["RE2 has no lookahead", "`unless:`"]), ("a(?=b)", ["RE2 has no lookahead"]),
    ("(?<=a)", ["RE2 has no lookbehind"]), ("(?<!a)", ["RE2 has no lookbehind", "`unless:`"]),
    (r"(a)\1", ["RE2 has no backreferences", "`when:"]), ("(?P<x>a)(?P=x)", ["RE2 has no backreferences", "`when:"]),
    ("(?>a)", ["(?:...)"]),
])
def test_case_82_what_re2_does_not_have(tmp_path, pattern, words, place):
    refused_spec(tmp_path, PLACES[place].replace("PATTERN", pattern), "bad-pattern", *words)


@pytest.mark.parametrize("pattern, to, words", [
    ("(a)(.)", r"\3", r"\3, but the pattern has 2 captures"), ("a", r"\1", r"\1, but the pattern has no captures"),
    ("(a)(.)", r"\1\9", r"\9, but the pattern has 2 captures"),
    ("(?:a)", r"\1", r"\1, but the pattern has no captures"),
])
def test_case_83_captures_that_are_not_there(tmp_path, pattern, to, words):
    refused_spec(tmp_path, f"rules: [{{rename: '{pattern}', to: '{to}'}}]\n", "bad-template", words)
    refused_spec(tmp_path, f"rules: [{{rename: {{'{pattern}': '{to}'}}}}]\n", "bad-template", words)


def test_case_83_a_name_that_is_not_there(tmp_path):
    refused_spec(tmp_path, "rules: [{rename: '(?P<n>a)', to: '{m}'}]\n", "unknown-name", "'m'")


def replaced_everywhere(pattern, to, name):
    """As RE2::GlobalReplace: nothing is found that is empty and follows a match directly."""
    made, at, last = "", 0, -1
    while at <= len(name) and (found := re.compile(pattern).search(name, at)):
        made += name[at:found.start()]
        if found.start() == found.end() == last:
            made += name[last:last + 1]
            at = last + 1
        else:
            made += to
            at = last = found.end()
    return made + name[at:]


@pytest.mark.parametrize("pattern", ["x*", "", "$", "^", "a*", "a|", r"\b", "b?"])
@pytest.mark.parametrize("name", ["abc", "axxb", "xxx", "bab"])
def test_case_84_all_with_what_can_be_empty(tmp_path, pattern, name):
    rule = f"rules: [{{rename: '{pattern}', to: '-', all: true}}]\n"
    assert taken(tmp_path, rule, (name,)) == {replaced_everywhere(pattern, "-", name): 0}


def test_case_84_an_example_by_hand(tmp_path):
    assert taken(tmp_path, "rules: [{rename: 'x*', to: '-', all: true}]\n", ("abc",)) == {"-a-b-c-": 0}
    (tmp_path / "out/new.safetensors").unlink()
    assert taken(tmp_path, "rules: [{rename: 'x*', to: '-', all: true}]\n", ("axxb",)) == {"-a-b-": 0}


@pytest.mark.parametrize("name", [b"\xed\xa0\x80", b"a\xed\xbf\xbfb", b"\xed\xa0\x80\xed\xb0\x80"])
def test_case_85_names_that_are_not_utf_8(tmp_path, name):
    """Patterns are of bytes: `.` is one, and what is renamed keeps the others."""
    prepare(tmp_path)
    write_pt(tmp_path / "m.pt", {name: tensor()})
    result = run("apply", "m.pt", "-e", "{rename: '^', to: new.}", "-o", "out/new.pt", cwd=tmp_path)
    assert result.returncode == 0, said(result)
    assert b"X" + struct.pack("<I", 4 + len(name)) + b"new." + name in (tmp_path / "out/new.pt").read_bytes()
    result = run("apply", "m.pt", "-e", "{drop: '^.{%d}$'}" % len(name), "-o", "out/none.pt", cwd=tmp_path)
    assert result.returncode == 0 and "dropped" in result.stdout, said(result)
    before = snapshot(tmp_path)
    result = run("apply", "spec.yaml", "m.pt", "-o", "out/new.safetensors", cwd=tmp_path)
    check_refusal(result, "cannot-write", ["UTF-8"], status=2)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("rules", ["[{rename: '^[ab]', to: c}]", "[{rename: '^a', to: b}]",
                                   "[{rename: {'^a': c, '^b': c}}]",
                                   "[{copy: '^a', to: b}]", "[{rename: '^.*$', to: ''}]"])
def test_case_86_two_names_to_one(tmp_path, rules):
    refused_spec(tmp_path, f"rules: {rules}\n", "collision", "two tensors are named", "a.weight", "b.weight", "rule 1")


@pytest.mark.parametrize("table", ["{'^a': b, '^b': a}", "{exact: {a.weight: b.weight, b.weight: a.weight}}"])
def test_case_86_a_swap_works(tmp_path, table):
    assert taken(tmp_path, f"rules: [{{rename: {table}}}]\n") == {"b.weight": 0, "a.weight": 4}
