"""`use`: where specs are found, what counts of them, and what is said of the rules that they bring."""

import json
import os
import shutil
import subprocess

import pytest

from helpers import (PROGRAM, REPOSITORY, Result, assert_error, assert_points_at, entries, environment, read_any, run,
                     succeed, write_safetensors, write_spec)

NAMES = {"module._orig_mod.layers.0._fsdp_wrapped_module.weight": [4, 4], "module._orig_mod.head.weight": [2, 4]}
STRIPPED = ["layers.0.weight", "head.weight"]


@pytest.fixture
def folder(tmp_path):
    write_safetensors(tmp_path / "old.safetensors", entries(NAMES))
    (tmp_path / "parts").mkdir()
    return tmp_path


def names(folder, *arguments, **options):
    succeed("apply", *arguments, "-o", "out.safetensors", "--force", cwd=folder, **options)
    return list(read_any(folder / "out.safetensors"))


def test_shipped_specs_are_found_by_name(folder):
    write_spec(folder / "spec.yaml", "rules:\n  - use: strip-wrappers\n  - rename: '^head'\n    to: 'fc'\n")
    assert "ok" in succeed("check", "spec.yaml", cwd=folder).out
    assert names(folder, "spec.yaml", "old.safetensors") == ["layers.0.weight", "fc.weight"]
    assert names(folder, "old.safetensors", "-e", "use: strip-wrappers") == STRIPPED


def test_every_shipped_spec_has_a_name_of_its_own():
    found = [path.stem for path in (REPOSITORY / "rules").glob("*/*.yaml")]
    assert len(found) > 5 and sorted(set(found)) == sorted(found)


def test_a_misspelt_name(folder):
    write_spec(folder / "spec.yaml", "rules:\n  - use: strip-wrapers\n")
    problem = assert_error(run("check", "spec.yaml", cwd=folder), 2, "bad-use", "did you mean `strip-wrappers`?")
    assert_points_at(problem, "spec.yaml", (folder / "spec.yaml").read_text(), "strip-wrapers")


def test_another_folder_of_shipped_specs(folder):
    (folder / "own" / "mine").mkdir(parents=True)
    write_spec(folder / "own" / "mine" / "strip-wrappers.yaml", "rules:\n  - drop: '.'\n")
    write_spec(folder / "spec.yaml", "rules:\n  - use: strip-wrappers\n")
    own = environment(REGRAFT_RULES=str(folder / "own"))
    assert names(folder, "spec.yaml", "old.safetensors", env=own) == []
    nothing = run("check", "spec.yaml", cwd=folder, env=environment(REGRAFT_RULES=str(folder / "parts")))
    assert_error(nothing, 2, "bad-use", "no shipped spec is named 'strip-wrappers'")


def test_an_installed_program_finds_them(folder):
    """As `cmake --install` lays them out; without them a path is the way."""
    (folder / "bin").mkdir()
    shutil.copy(PROGRAM, folder / "bin" / "regraft")
    shutil.copytree(REPOSITORY / "rules", folder / "share" / "regraft" / "rules")
    write_spec(folder / "spec.yaml", "rules:\n  - use: strip-wrappers\n")

    def check():
        done = subprocess.run([folder / "bin" / "regraft", "check", "spec.yaml"], cwd=folder, env=environment(),
                              capture_output=True, text=True, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    assert check().status == 0
    shutil.rmtree(folder / "share")
    assert_error(check(), 2, "bad-use", "there is no folder of shipped specs", "./strip-wrappers.yaml")


def test_paths_start_at_the_file_that_names_them(folder):
    (folder / "specs" / "deep").mkdir(parents=True)
    write_spec(folder / "specs" / "spec.yaml", "rules:\n  - use: deep/a.yaml\n")
    write_spec(folder / "specs" / "deep" / "a.yaml", "rules:\n  - use: ../../parts/b.yaml\n")
    write_spec(folder / "parts" / "b.yaml", """
        vars: {to: {from: ./to.json, key: to}}
        rules:
          - rename: '^module\\.'
            to: '{to}'
        """)
    (folder / "parts" / "to.json").write_text('{"to": "net."}')
    made = ["net._orig_mod.layers.0._fsdp_wrapped_module.weight", "net._orig_mod.head.weight"]
    assert names(folder, "specs/spec.yaml", "old.safetensors") == made
    assert names(folder / "specs", "spec.yaml", "../old.safetensors") == made
    assert names(folder, "old.safetensors", "-e", "use: ./parts/b.yaml") == made


def test_with_and_set(folder):
    write_spec(folder / "parts" / "prefix.yaml",
               "vars: {to: 'a.', n: 0}\nrules:\n  - rename: '^module\\.'\n    to: '{to}{n}.'\n")
    write_spec(folder / "spec.yaml", """
        vars: {family: net, depth: 3}
        rules:
          - use: parts/prefix.yaml
            with: {to: '{family}.', n: '{depth + 1}'}
        """)
    assert names(folder, "spec.yaml", "old.safetensors")[1] == "net.4._orig_mod.head.weight"
    assert names(folder, "spec.yaml", "old.safetensors", "--set", "family=x", "--set", "depth=0")[1] == (
        "x.1._orig_mod.head.weight")
    assert_error(run("plan", "spec.yaml", "old.safetensors", "--set", "to=b", cwd=folder), 2, "bad-var", "'to'")


def test_the_names_of_the_target_reach_a_used_spec(folder):
    write_safetensors(folder / "shadow.safetensors", entries({"0": [4, 4], "1": [2, 4]}))
    write_safetensors(folder / "new.safetensors", entries({"layers.0.weight": [4, 4], "head.weight": [2, 4]}))
    write_spec(folder / "parts" / "list.yaml",
               "vars: {names: {names: target}}\nrules:\n  - rename: '^(\\d+)$'\n    to: '{names[\\1]}'\n")
    write_spec(folder / "spec.yaml", "rules:\n  - use: parts/list.yaml\n")
    assert names(folder, "spec.yaml", "shadow.safetensors", "-t", "new.safetensors") == STRIPPED
    assert_error(run("plan", "spec.yaml", "shadow.safetensors", cwd=folder), 2, "bad-var", "there is no target",
                 file="parts/list.yaml")


def test_the_report_says_which_file_has_the_rule(folder):
    write_spec(folder / "parts" / "strip.yaml", "rules:\n  - drop: head\n  - rename: '^module\\.'\n    to: ''\n")
    write_spec(folder / "spec.yaml", "rules:\n  - use: parts/strip.yaml\n    id: strip\n  - rename: '_orig_mod'\n    to: 'x'\n")
    report = json.loads(succeed("plan", "spec.yaml", "old.safetensors", "--json", cwd=folder).out)
    assert [(one["id"], one["file"], one["line"]) for one in report["rules"]] == [
        ("strip", "parts/strip.yaml", 3), ("strip", "parts/strip.yaml", 4), (None, None, 5)]
    assert [(one["rule"], one["file"], one["line"]) for one in report["tensors"][0]["rules"]] == [
        (2, "parts/strip.yaml", 4), (3, None, 5)]
    dropped = [one for one in report["sources"] if one["disposition"] == "dropped"]
    assert [(one["file"], one["line"]) for one in dropped] == [("parts/strip.yaml", 3)]
    assert "parts/strip.yaml:3" in succeed("plan", "spec.yaml", "old.safetensors", cwd=folder).out
    told = succeed("explain", "module._orig_mod.head.weight", "spec.yaml", "old.safetensors", cwd=folder).out
    assert "parts/strip.yaml:3" in told
    program = succeed("plan", "spec.yaml", "old.safetensors", "--print", "program", cwd=folder).out
    assert "rule 1 (parts/strip.yaml line 3) id 'strip': drop" in program and "rule 3 (line 5): rename" in program


def fingerprint(folder, spec):
    return json.loads(succeed("plan", spec, "old.safetensors", "--json", cwd=folder).out)["spec"]["fingerprint"]


def test_the_fingerprint_is_of_what_is_used(folder):
    part = "vars: {to: ''}\nrules:\n  - rename: '^module\\.'\n    to: '{to}'\n"
    write_spec(folder / "parts" / "a.yaml", "name: a\n" + part)
    write_spec(folder / "parts" / "b.yaml", "description: another name, and a policy\npolicy: {missing: keep}\n" + part)
    for name, rule in {"a": "use: parts/a.yaml", "b": "use: parts/b.yaml", "with": "use: parts/a.yaml\n    with: {to: x.}",
                       "none": "rename: '^module\\.'\n    to: ''"}.items():
        write_spec(folder / f"{name}.yaml", f"rules:\n  - {rule}\n    note: about {name}\n")
    first = fingerprint(folder, "a.yaml")
    assert fingerprint(folder, "b.yaml") == first
    assert len({first, fingerprint(folder, "with.yaml"), fingerprint(folder, "none.yaml")}) == 3
    (folder / "parts" / "a.yaml").write_text((folder / "parts" / "a.yaml").read_text().replace("module", "modul."))
    assert fingerprint(folder, "a.yaml") != first


def test_each_uses_the_next_one_twice(folder):
    """The rules would be 2 to the power of 40."""
    for i in range(40):
        write_spec(folder / f"{i}.yaml", f"rules:\n  - use: ./{i + 1}.yaml\n  - use: ./{i + 1}.yaml\n")
    write_spec(folder / "40.yaml", "rules: []\n")
    assert_error(run("check", "0.yaml", cwd=folder), 2, "bad-use", "more than 1000 specs are used")


def test_a_link_to_itself_is_a_cycle(folder):
    write_spec(folder / "spec.yaml", "rules:\n  - use: ./link.yaml\n")
    os.symlink("spec.yaml", folder / "link.yaml")
    assert_error(run("check", "spec.yaml", cwd=folder), 2, "bad-use", "this leads back to 'spec.yaml'")


def test_the_inverse_is_one_spec(folder):
    write_spec(folder / "parts" / "plain.yaml", "rules:\n  - rename: '^module\\.'\n    to: 'net.'\n")
    write_spec(folder / "spec.yaml", "rules:\n  - use: parts/plain.yaml\n")
    succeed("invert", "spec.yaml", "-o", "back.yaml", cwd=folder)
    assert "use" not in (folder / "back.yaml").read_text()
    forth = names(folder, "spec.yaml", "old.safetensors")
    (folder / "out.safetensors").rename(folder / "new.safetensors")
    assert forth != list(NAMES) and names(folder, "back.yaml", "new.safetensors") == list(NAMES)
    write_spec(folder / "parts" / "plain.yaml",
               "vars: {to: 2}\nrules:\n  - rename: '^module\\.(\\d+)\\.'\n    to: 'net.{\\1 + to}.'\n")
    assert_error(run("invert", "spec.yaml", cwd=folder), 2, "no-inverse", file="parts/plain.yaml")
