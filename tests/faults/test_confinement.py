"""The program confines itself: what it must not be able to do is tried from inside, while it reads a checkpoint."""

import ctypes
import os
import re

import pytest

from helpers import entries, environment, noise, run, succeed, write_pt, write_safetensors, write_spec

SHAPES = {"fc.weight": [30, 10], "fc.bias": [30]}
FORBIDDEN = {"socket": "EPERM", "unix socket": "EPERM", "exec": "EPERM", "fork": "EPERM", "io_uring": "EPERM",
             "read foreign": "EACCES", "read /etc/passwd": "EACCES", "list foreign folder": "EACCES",
             "write foreign": "EACCES", "truncate foreign": "EACCES", "make foreign": "EACCES",
             "remove foreign": "EACCES"}
ALLOWED = ["read own", "thread"]

COMMANDS = {
    "inspect": ["inspect", "source.pt"],
    "plan": ["plan", "spec.yaml", "source.pt", "-t", "target/model.safetensors"],
    "apply": ["apply", "spec.yaml", "source.pt", "-o", "out/new.pt", "--report", "reports/r.json"],
    "explain": ["explain", "fc.weight", "spec.yaml", "source.pt"],
    "invert": ["invert", "spec.yaml", "source.pt"],
}


def landlock():
    """The version of Landlock that this kernel has, asked as its documentation says; 0 where it has none."""
    create_ruleset, version = 444, 1
    return max(0, ctypes.CDLL(None).syscall(create_ruleset, None, ctypes.c_size_t(0), version))


needs_landlock = pytest.mark.skipif(landlock() == 0, reason="this kernel has no Landlock")


@pytest.fixture
def folder(tmp_path):
    here = tmp_path / "here"
    for name in ("out", "target", "reports"):
        (here / name).mkdir(parents=True)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "secret").write_bytes(b"not to be read")
    write_pt(here / "source.pt", entries(SHAPES))
    write_safetensors(here / "target" / "model.safetensors", entries({"layer.weight": [30, 10], "layer.bias": [30]}))
    write_spec(here / "spec.yaml", r"rules: [{rename: '^fc\.', to: 'layer.'}]")
    return here


def attempts(folder, libraries, command, at, **more):
    foreign = folder.parent / "foreign"
    result = run(*command, cwd=folder,
                 env=environment(LD_PRELOAD=" ".join(map(str, libraries)), PROBE_AT=str(at),
                                 PROBE_FOREIGN=str(foreign / "secret"), PROBE_FOLDER=str(foreign),
                                 PROBE_OWN=str(folder / "source.pt"), **more))
    return result, dict(re.findall(r"^probe: (.*): (\w+)$", result.err, re.M))


@needs_landlock
@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_tried_from_inside_is_forbidden(folder, preload, name):
    # Twice its head is looked at, to tell a spec from a source, before the spec says what else may be read.
    for at in (1, 2) if name == "inspect" else (4, 8):
        result, found = attempts(folder, [preload("probe")], COMMANDS[name], at)
        assert result.status == 0, str(result)
        assert {key: found.get(key) for key in FORBIDDEN} == FORBIDDEN, str(result)
        assert [found[key] for key in ALLOWED] == ["done"] * len(ALLOWED), str(result)
        assert found["write own"] == "EACCES"
        assert (folder.parent / "foreign" / "secret").read_bytes() == b"not to be read"
        assert os.listdir(folder.parent / "foreign") == ["secret"]
        for path in ("out/new.pt", "reports/r.json"):
            (folder / path).unlink(missing_ok=True)


def test_the_same_attempts_succeed_without_confinement(folder, preload):
    _, found = attempts(folder, [preload("probe")], COMMANDS["inspect"], 1, REGRAFT_CONFINEMENT="off")
    denied = {key: error for key, error in found.items() if error != "done"}
    assert set(denied) <= {"io_uring"}, denied  # which a container may have switched off


@needs_landlock
def test_verbose_says_what_is_active(folder):
    said = succeed("plan", "spec.yaml", "source.pt", "--verbose", cwd=folder).err
    assert re.search(r"^regraft: confined: files by Landlock \d+ \(.*\); calls by seccomp \(no sockets, no programs\)$",
                     said, re.M), said
    off = succeed("inspect", "source.pt", "--verbose", cwd=folder, env=environment(REGRAFT_CONFINEMENT="off")).err
    assert "regraft: not confined: REGRAFT_CONFINEMENT is off\n" in off
    assert "confined" not in succeed("inspect", "source.pt", cwd=folder).err


def test_an_old_kernel_is_no_obstacle(folder, preload):
    """No Landlock, no seccomp: it goes on, and says so."""
    result = run("apply", "spec.yaml", "source.pt", "-o", "out/new.pt", "--verbose", cwd=folder,
                 env=environment(LD_PRELOAD=str(preload("old_kernel"))))
    assert result.status == 0, str(result)
    assert "regraft: not confined: the kernel has neither Landlock nor seccomp\n" in result.err


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_each_version_of_landlock(folder, preload, version):
    """A newer kernel takes what an older one would: the version that it says decides what is asked for."""
    if version > landlock():
        pytest.skip(f"this kernel has Landlock {landlock()}")
    result, found = attempts(folder, [preload("old_kernel"), preload("probe")], COMMANDS["apply"] + ["--verbose"], 8,
                             LANDLOCK=str(version))
    assert result.status == 0, str(result)
    assert f"Landlock {version} " in result.err
    for key in ("read foreign", "write foreign", "make foreign", "socket"):
        assert found[key] == FORBIDDEN[key], str(result)


# --- what has to go on working ----------------------------------------------------------------------


def test_files_reached_in_other_ways(folder):
    """A cache's links, a spec elsewhere that uses one above it, paths from the root, a folder that is removed."""
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    (folder / "source.pt").rename(blobs / "abc")
    (folder / "link.pt").symlink_to("../blobs/abc")
    specs = folder.parent / "specs" / "inner"
    specs.mkdir(parents=True)
    write_spec(specs / "spec.yaml", "rules: [{use: ../../common/names.yaml}]")
    (folder.parent / "common").mkdir()
    write_spec(folder.parent / "common" / "names.yaml", r"rules: [{rename: '^fc\.', to: 'layer.'}]")
    (folder / "spec-link.yaml").symlink_to(specs / "spec.yaml")
    succeed("apply", specs / "spec.yaml", "link.pt", "-t", folder / "target" / "model.safetensors", "-o",
            folder / "out" / "new.safetensors", "--report", folder.parent / "r.json", cwd=folder)
    (folder.parent / "r.json").unlink()
    succeed("plan", "../specs/inner/spec.yaml", "../blobs/../here/link.pt", cwd=folder)
    file = os.open(folder / "link.pt", os.O_RDONLY)
    succeed("inspect", f"/proc/self/fd/{file}", cwd=folder, pass_fds=[file])
    os.close(file)


def test_a_shipped_spec_and_a_variable_from_a_file(folder):
    (folder / "config.json").write_text('{"layers": 2}')
    write_spec(folder / "spec.yaml", """
        vars: {n: {from: ./config.json, key: layers}}
        rules:
          - use: strip-wrappers
          - rename: '^fc'
            to: 'fc{n}'
        """)
    assert "fc2.weight" in succeed("plan", "spec.yaml", "source.pt", "--verbose", cwd=folder).out


def test_a_report_to_a_device(folder):
    shown = run("plan", "spec.yaml", "source.pt", "--report", "/dev/stdout", cwd=folder)
    assert shown.status == 2 and ".json or .html" in shown.err  # as it was
    (folder / "stream.json").symlink_to("/dev/stderr")
    assert '"verdict"' in succeed("plan", "spec.yaml", "source.pt", "--report", "stream.json", cwd=folder).err


def test_a_near_name_is_still_found(folder):
    result = run("inspect", "sorce.pt", cwd=folder)
    assert result.status == 3 and "did you mean 'source.pt'?" in result.err


def test_over_an_output_with_force(folder):
    (folder / "out" / "new.pt").write_bytes(noise("old", 100))
    succeed("apply", "spec.yaml", "source.pt", "-o", "out/new.pt", "--force", "--verify-output", cwd=folder)
