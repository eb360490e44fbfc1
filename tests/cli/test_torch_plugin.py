"""The plug-in that computes tensors: where it is looked for, and each way in which it is refused.

A cast has to be computed; everything else here only moves bytes and must not even look for it.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import PROGRAM, assert_error, entries, environment, read_safetensors, run, succeed, write_safetensors, write_spec
from libtorch import another_libtorch

PLUGIN = PROGRAM.with_name("libregraft_torch.so")
VARIABLE = "REGRAFT_TORCH_PLUGIN"


@pytest.fixture
def to_cast(tmp_path):
    """apply(**environment) migrates float16 to float32; there must be no output if it fails."""
    write_safetensors(tmp_path / "src.safetensors", entries({"a": ("F32", [3]), "b": ("F32", [2])}))
    write_safetensors(tmp_path / "tgt.safetensors", entries({"a": ("F64", [3]), "b": ("F32", [2])}))
    write_spec(tmp_path / "spec.yaml", "")

    def apply(program=None, **changes):
        arguments = ["apply", "spec.yaml", "src.safetensors", "-t", "tgt.safetensors", "-o", "out.safetensors"]
        env = environment(**{VARIABLE: None, **changes})
        if program is None:
            return run(*arguments, cwd=tmp_path, env=env)
        done = subprocess.run([program, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120, check=False)
        return type("Result", (), {"status": done.returncode, "out": done.stdout, "err": done.stderr,
                                   "__str__": lambda self: self.out + self.err})()

    yield apply


@pytest.fixture
def refused(to_cast, tmp_path):
    def check(*words, **options):
        one = assert_error(to_cast(**options), 3, "no-evaluator", *words)
        assert one.hint and not (tmp_path / "out.safetensors").exists()
        return one

    return check


def source_of(tmp_path, text):
    """A shared library from C++."""
    (tmp_path / "made.cpp").write_text(text)
    made = tmp_path / "made.so"
    subprocess.run(["g++", "-shared", "-fPIC", "-o", made, tmp_path / "made.cpp"], check=True)
    return made


def plugin_of(tmp_path, interface, engine):
    return source_of(tmp_path, f"""
        struct {{ unsigned interface; const char* engine; void *create, *destroy; }}
            plugin = {{{interface}, "{engine}", nullptr, nullptr}};
        extern "C" void* regraft_torch_plugin() {{ return &plugin; }}
    """)


def test_it_stands_beside_the_program(to_cast, tmp_path):
    assert PLUGIN.is_file(), f"{PLUGIN} is not built"
    result = to_cast()
    assert result.status == 0, str(result)
    source = read_safetensors(tmp_path / "src.safetensors")
    output = read_safetensors(tmp_path / "out.safetensors")
    assert output["b"].data == source["b"].data
    assert memoryview(output["a"].data).cast("d").tolist() == memoryview(source["a"].data).cast("f").tolist()


def test_the_variable_names_another(to_cast, tmp_path):
    shutil.copy(PLUGIN, tmp_path / "named.so")
    for path in (tmp_path / "named.so", "named.so"):  # without a slash it is in the working folder
        (tmp_path / "out.safetensors").unlink(missing_ok=True)
        result = to_cast(**{VARIABLE: str(path)})
        assert result.status == 0, str(result)


def test_the_variable_is_not_a_hint(refused, tmp_path):
    refused("cannot open shared object file", tmp_path / "none.so", **{VARIABLE: str(tmp_path / "none.so")})


def test_an_installed_program_looks_into_lib(to_cast, refused, tmp_path):
    program = tmp_path / "prefix/bin/regraft"
    program.parent.mkdir(parents=True)
    shutil.copy(PROGRAM, program)
    lib = tmp_path / "prefix/lib/regraft"
    refused(program.with_name(PLUGIN.name), lib / PLUGIN.name, VARIABLE, program=program)
    lib.mkdir(parents=True)
    shutil.copy(PLUGIN, lib)
    result = to_cast(program=program)
    assert result.status == 0, str(result)


def test_moving_bytes_needs_none(tmp_path):
    write_safetensors(tmp_path / "src.safetensors", entries({"a": [3]}))
    succeed("apply", "-e", "rename: {'^a$': b}", "src.safetensors", "-o", "out.safetensors", cwd=tmp_path,
            env=environment(**{VARIABLE: "/nowhere.so"}))


def test_planning_needs_none(to_cast, tmp_path):
    succeed("plan", "spec.yaml", "src.safetensors", "-t", "tgt.safetensors", cwd=tmp_path,
            env=environment(**{VARIABLE: "/nowhere.so"}))


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF" + bytes(200)])
def test_no_library(refused, tmp_path, content):
    (tmp_path / "text.so").write_bytes(content)
    refused("does not load", "text.so", **{VARIABLE: str(tmp_path / "text.so")})


def test_another_library(refused, tmp_path):
    other = source_of(tmp_path, "int nothing;")
    refused(f"{other} is not regraft's plug-in", "regraft_torch_plugin", **{VARIABLE: str(other)})


def test_another_interface(refused, tmp_path):
    other = plugin_of(tmp_path, 99, "0.1.0")
    refused(f"{other} has interface 99 and this program 1", **{VARIABLE: str(other)})


def test_another_engine(refused, tmp_path):
    other = plugin_of(tmp_path, 1, "0.0.7")
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    refused(f"{other} is of regraft 0.0.7 and this program is {version}", **{VARIABLE: str(other)})


# --- the LibTorch below it ------------------------------------------------------------------------


def libtorch_folder():
    """Where the plug-in finds its LibTorch."""
    entries_of = subprocess.run(["readelf", "-d", PLUGIN], capture_output=True, text=True, check=True).stdout
    paths = re.search(r"\(R(?:UN)?PATH\).*\[(.*)\]", entries_of)[1].split(":")
    return next(path for path in map(Path, paths) if (path / "libtorch_cpu.so").exists())


def test_no_libtorch(refused, tmp_path):
    # A plug-in that no longer knows where its LibTorch is.
    content = PLUGIN.read_bytes()
    lost = tmp_path / "lost.so"
    lost.write_bytes(content.replace(str(libtorch_folder()).encode(), b"/" * len(str(libtorch_folder()))))
    refused("does not load", "libtorch_cpu.so", "LD_LIBRARY_PATH", **{VARIABLE: str(lost)})


def test_another_libtorch(refused, tmp_path):
    folder = libtorch_folder()
    with another_libtorch(folder, tmp_path / "other") as (version, library):
        one = refused(f"LibTorch {version}", library, folder / "libtorch_cpu.so", LD_LIBRARY_PATH=str(library.parent))
    assert "was built with LibTorch" in one.message and "but loaded is" in one.message
