"""The library as another project uses it: installed, found with CMake and with pkg-config, linked, run.

Needs what `./dev` builds in the folder of $REGRAFT. Files that include LibTorch's headers take half a minute
each to compile, so there are two: net.cpp, in a project that has LibTorch already, and docs/library.md's.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "cli"))

from helpers import PROGRAM, entries, read_safetensors, write_safetensors, write_spec  # noqa: E402
from libtorch import another_libtorch  # noqa: E402
from pages import Page, expected_pattern, normal  # noqa: E402

PAGE = REPOSITORY / "docs" / "library.md"


def clean_environment(**changes):
    """Ours without what would point CMake or the linker at another library."""
    drop = ("REGRAFT_TORCH_DIR", "REGRAFT_TORCH_PLUGIN", "LD_LIBRARY_PATH", "CMAKE_PREFIX_PATH", "CPATH",
            "LIBRARY_PATH", "PKG_CONFIG_PATH")
    return {key: value for key, value in os.environ.items() if key not in drop} | changes


def run(*command, cwd=None, status=0, timeout=900, **changes):
    done = subprocess.run([str(one) for one in command], cwd=cwd, env=clean_environment(**changes), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          timeout=timeout)
    assert status is None or done.returncode == status, (
        f"$ {' '.join(map(str, command))}\nexit status {done.returncode}, not {status}\n{done.stdout}{done.stderr}")
    return done


# --- the package ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """Where it is installed. It was moved there: nothing in it may know its place."""
    top = tmp_path_factory.mktemp("package")
    run("cmake", "--install", PROGRAM.parent, "--prefix", top / "first")
    (top / "first").rename(top / "moved")
    return top / "moved"


def found_in(folder, name):
    found = sorted(folder.rglob(name))
    assert len(found) == 1, f"{name} in {folder}: {found}"
    return found[0]


@pytest.fixture(scope="session")
def built_with(prefix):
    """Version and folder of the LibTorch that regraft was built with."""
    text = found_in(prefix, "regraft-config.cmake").read_text()
    return [re.search(rf'set\({name} "(.+)"\)', text)[1]
            for name in ("regraft_built_with", "regraft_built_with_folder")]


def configure(source, build, prefix, *arguments, status=0):
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    return run("cmake", "-S", source, "-B", build, *generator, *launcher, f"-DCMAKE_PREFIX_PATH={prefix}",
               "-DCMAKE_CXX_FLAGS=-O0 -Wall -Wextra -Wpedantic -Werror", *arguments, status=status)


def build(source, folder, prefix, *arguments):
    configure(source, folder, prefix, *arguments)
    run("cmake", "--build", folder)
    return folder


def said(result):
    """CMake's messages without its line breaks."""
    return " ".join((result.stdout + result.stderr).split())


def project(folder, lines, *sources):
    """A project in a new folder: `lines` after its first two."""
    folder.mkdir()
    for source in sources:
        shutil.copy(source, folder)
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(consumer LANGUAGES CXX)\n" + lines)
    return folder


def test_the_installed_program_computes(prefix, tmp_path):
    """Its plug-in is where it looks for it, and finds its LibTorch."""
    tensors = entries({"a": [3]})
    write_safetensors(tmp_path / "in.safetensors", tensors)
    write_safetensors(tmp_path / "model.safetensors", entries({"a": ("F64", [3])}))
    run(prefix / "bin" / "regraft", "apply", "-e", "keep: a", "in.safetensors", "-t", "model.safetensors",
        "-o", "out.safetensors", cwd=tmp_path)
    written = read_safetensors(tmp_path / "out.safetensors")["a"]
    assert memoryview(written.data).cast("d").tolist() == memoryview(tensors["a"].data).cast("f").tolist()


# --- without LibTorch -----------------------------------------------------------------------------


def check_plain(program, folder):
    """plain.cpp puts `net.` before each name."""
    tensors = entries({"a.weight": [2, 3], "b": ("F16", [5])})
    write_safetensors(folder / "in.safetensors", tensors)
    result = run(program, "in.safetensors", "out.safetensors", cwd=folder)
    assert "ok: wrote out.safetensors" in result.stdout
    assert read_safetensors(folder / "out.safetensors") == {f"net.{name}": one for name, one in tensors.items()}
    loaded = run("ldd", program).stdout
    assert "libyaml-cpp" in loaded and not re.search("libtorch|libc10", loaded), loaded


def test_a_project_without_libtorch(prefix, tmp_path):
    check_plain(build(HERE / "plain", tmp_path / "build", prefix) / "plain", tmp_path)


def test_pkg_config_without_cmake(prefix, tmp_path):
    """With the line that the page has."""
    line = re.search(r"^c\+\+ .*pkg-config.*$", PAGE.read_text(), re.MULTILINE)[0]
    shutil.copy(HERE / "plain.cpp", tmp_path / "migrate.cpp")
    run("sh", "-c", line, cwd=tmp_path, PKG_CONFIG_PATH=str(found_in(prefix, "regraft.pc").parent))
    check_plain(tmp_path / "migrate", tmp_path)


def test_as_a_subdirectory(tmp_path):
    """Configured, and one file compiled: the library itself is built often enough."""
    source = project(tmp_path / "outer", f"""
        set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
        add_subdirectory("{REPOSITORY}" regraft)
        add_executable(plain plain.cpp)
        target_link_libraries(plain PRIVATE regraft::regraft)
        if(TARGET regraft_unit)
          message(FATAL_ERROR "the tests of a subdirectory")
        endif()""", HERE / "plain.cpp")
    configure(source, tmp_path / "build", tmp_path, "-DREGRAFT_TORCH=OFF")
    commands = json.loads((tmp_path / "build" / "compile_commands.json").read_text())
    ours = next(one for one in commands if one["file"] == str(source / "plain.cpp"))
    assert str(REPOSITORY / "engine") not in ours["command"].split("-c ")[0]
    (tmp_path / "build" / "CMakeFiles" / "plain.dir").mkdir(parents=True, exist_ok=True)
    run("sh", "-c", ours["command"], cwd=ours["directory"])
    # What the outer project installs is its own business.
    run("cmake", "--install", tmp_path / "build", "--prefix", tmp_path / "installed")
    assert not list((tmp_path / "installed").rglob("*.h"))


def test_a_version_that_is_not_this_one(prefix, tmp_path):
    source = project(tmp_path / "later", "find_package(regraft 0.99 REQUIRED)\n")
    assert "version: 0.1.0" in said(configure(source, tmp_path / "build", prefix, status=1))


# --- another LibTorch -----------------------------------------------------------------------------


@pytest.fixture
def another(built_with, tmp_path):
    """A folder that looks like a LibTorch of another version."""
    folder = tmp_path / "another libtorch"
    for name in ("include/ATen/ATen.h", "lib/libtorch_cpu.so", "lib/libc10.so"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    version = re.sub(r"\d+$", lambda patch: str(int(patch[0]) + 1), built_with[0])
    header = folder / "include/torch/headeronly/version.h"
    header.parent.mkdir(parents=True)
    header.write_text("".join(f"#define TORCH_VERSION_{name} {number}\n" for name, number in
                              zip(("MAJOR", "MINOR", "PATCH"), version.split("."))))
    return version, folder


def names_both(text, built_with, another):
    return (f"was built with LibTorch {built_with[0]} ({built_with[1]})" in text
            and f"this project uses {another[0]} ({another[1]})" in text)


def test_another_libtorch_of_the_project(prefix, built_with, another, tmp_path):
    result = configure(HERE / "torch_first", tmp_path / "build", prefix, f"-DTORCH_FOLDER={another[1]}", status=1)
    assert names_both(said(result), built_with, another), result.stderr


def test_another_libtorch_by_its_folder(prefix, built_with, another, tmp_path):
    # Asked twice: what the first one made may not look like an answer to the second.
    source = project(tmp_path / "twice", """
        find_package(regraft 0.1 OPTIONAL_COMPONENTS torch REQUIRED)
        if(NOT TARGET regraft::regraft OR TARGET regraft::torch OR regraft_torch_FOUND)
          message(FATAL_ERROR "optional: ${regraft_torch_FOUND}")
        endif()
        message(STATUS "optional")
        find_package(regraft 0.1 COMPONENTS torch REQUIRED)""")
    result = configure(source, tmp_path / "build", prefix, f"-DREGRAFT_TORCH_DIR={another[1]}", status=1)
    assert "-- optional" in result.stdout
    assert names_both(said(result), built_with, another), result.stderr


def test_another_libtorch_does_not_matter_without_it(prefix, another, tmp_path):
    source = project(tmp_path / "without", "find_package(regraft 0.1 REQUIRED)\n")
    configure(source, tmp_path / "build", prefix, f"-DREGRAFT_TORCH_DIR={another[1]}")


# --- a net in C++ and the same net in Python --------------------------------------------------------


class Saved(nn.Module):
    """What was trained: the net of net.cpp under other names."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        self.classifier = nn.Linear(8, 5)

    def forward(self, x):
        return self.classifier(torch.relu(self.features(x)).mean((2, 3)))


class Net(nn.Module):
    """The net of net.cpp under its own names."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 5)


RENAMES = {"module.features.0.": "conv.", "module.features.1.": "norm.", "module.classifier.": "head."}
RULES = ("rules:\n  - rename:\n"
         + "".join(f"      '^{re.escape(old)}': '{new}'\n" for old, new in RENAMES.items()))


@pytest.fixture(scope="session")
def net(prefix, built_with, tmp_path_factory):
    folder = build(HERE / "torch_first", tmp_path_factory.mktemp("torch_first"), prefix,
                   f"-DTORCH_FOLDER={built_with[1]}")
    return folder / "torch_first"


@pytest.fixture
def saved(tmp_path):
    """The trained net; its state dict as DataParallel saves it goes to saved.pt with write_saved()."""
    torch.manual_seed(11)
    model = Saved().eval()
    norm = model.features[1]
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    norm.num_batches_tracked.fill_(7)
    return model


def write_saved(folder, state, change=lambda state: None):
    state = {f"module.{name}": tensor for name, tensor in state.items()}
    change(state)
    torch.save({"epoch": 3, "state_dict": state}, folder / "saved.pt")
    return state


def forward(model):
    """What net.cpp computes, on one thread as there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            return model(torch.arange(2 * 3 * 6 * 6).float().div(64).reshape(2, 3, 6, 6)).flatten().tolist()
    finally:
        torch.set_num_threads(threads)


def printed(result, word):
    return [line[len(word) + 1:] for line in result.stdout.splitlines() if line.startswith(word + " ")]


def outputs_of(result):
    return [float.fromhex(number) for number in printed(result, "outputs")[0].split()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_net_computes_what_it_computes_in_python(net, saved, dtype, tmp_path):
    """Saved as float32, the bytes are moved; as anything else they are cast."""
    saved.to(dtype)
    write_saved(tmp_path, saved.state_dict())
    write_spec(tmp_path / "spec.yaml", RULES)
    result = run(net, "saved.pt", "spec.yaml", cwd=tmp_path)
    assert outputs_of(result) == forward(saved.float()), result.stdout
    assert not printed(result, "missing") and not printed(result, "unexpected")


def test_keys_are_those_of_load_state_dict(net, saved, tmp_path):
    def change(state):
        for name in ("module.features.1.running_var", "module.classifier.bias"):
            state.pop(name)
        state |= {"module.aux.weight": torch.ones(2), "zeta": torch.ones(1), "alpha": torch.ones(1)}

    state = write_saved(tmp_path, saved.state_dict(), change)
    write_spec(tmp_path / "spec.yaml", RULES + "policy: {missing: keep, unexpected: drop}\n")
    result = run(net, "saved.pt", "spec.yaml", cwd=tmp_path)
    for old, new in RENAMES.items():
        state = {name.replace(old, new): tensor for name, tensor in state.items()}
    keys = Net().load_state_dict(state, strict=False)
    assert printed(result, "missing") == keys.missing_keys == ["norm.running_var", "head.bias"]
    assert printed(result, "unexpected") == keys.unexpected_keys == ["module.aux.weight", "zeta", "alpha"]


def overflow(state):
    """Found when the last tensor is computed: all the others have been read."""
    for name in state:
        state[name] = state[name].double() if state[name].is_floating_point() else state[name]
    state["module.classifier.bias"][4] = 1e300


@pytest.mark.parametrize("change, body, status, code", [
    (lambda state: state.pop("module.features.0.bias"), RULES, 1, "missing"),
    (lambda state: state.update({"extra": torch.ones(3)}), RULES, 1, "unexpected"),
    (lambda state: state.update({"module.classifier.bias": torch.ones(6)}), RULES, 1, "shape-mismatch"),
    (overflow, RULES, 1, "cast-overflow"),
    (lambda state: None, RULES + "policy: {dtypes: cast}\n", 2, "unknown-key"),
], ids=["missing", "unexpected", "shape", "overflow", "mistake"])
def test_a_refused_spec_leaves_the_net_alone(net, saved, change, body, status, code, tmp_path):
    write_saved(tmp_path, saved.state_dict(), change)
    write_spec(tmp_path / "spec.yaml", body)
    result = run(net, "saved.pt", "spec.yaml", "--check", cwd=tmp_path, status=status)
    assert f"error[{code}]" in result.stdout and result.stdout.endswith("\nunchanged\n"), result.stdout


def test_a_damaged_source_leaves_the_net_alone(net, saved, tmp_path):
    write_saved(tmp_path, saved.state_dict())
    content = bytearray((tmp_path / "saved.pt").read_bytes())
    at = content.index(saved.classifier.bias.detach().numpy().tobytes())
    content[at] ^= 1
    (tmp_path / "saved.pt").write_bytes(content)
    write_spec(tmp_path / "spec.yaml", RULES)
    result = run(net, "saved.pt", "spec.yaml", "--check", cwd=tmp_path, status=3)
    assert "error[checksum]" in result.stdout and result.stdout.endswith("\nunchanged\n"), result.stdout


def test_another_libtorch_is_loaded(net, saved, built_with, tmp_path):
    write_saved(tmp_path, saved.state_dict())
    write_spec(tmp_path / "spec.yaml", RULES)
    with another_libtorch(Path(built_with[1]) / "lib", tmp_path / "other") as (version, library):
        result = run(net, "saved.pt", "spec.yaml", "--check", cwd=tmp_path, status=3,
                     LD_LIBRARY_PATH=str(library.parent))
    assert f"built with LibTorch {built_with[0]} ({built_with[1]}/lib/libtorch_cpu.so)" in result.stdout
    assert re.search(rf"but loaded is LibTorch {version}\S* \({library}\)", result.stdout), result.stdout
    assert result.stdout.endswith("\nunchanged\n")


# --- the programs of the page ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def page(prefix, tmp_path_factory):
    """The page's files in a folder, its project built there; LibTorch is the one that regraft finds itself."""
    folder = tmp_path_factory.mktemp("page")
    files = Page.read(PAGE).files
    for name, text in files.items():
        (folder / name).write_text(text)
    with open(folder / "CMakeLists.txt", "a") as lists:
        for name in sorted(files):
            program = name.removesuffix(".cpp")
            if name.endswith(".cpp") and f"add_executable({program} " not in files["CMakeLists.txt"]:
                lists.write(f"add_executable({program} {name})\n"
                            f"target_link_libraries({program} PRIVATE regraft::regraft)\n")
    run(sys.executable, "make_files.py", cwd=folder)
    build(folder, folder / "build", prefix)
    return folder


def programs():
    return sorted(name.removesuffix(".cpp") for name in Page.read(PAGE).files if name.endswith(".cpp"))


@pytest.mark.parametrize("program", programs())
def test_a_program_of_the_page_prints_what_the_page_says(program, page):
    result = run(page / "build" / program, cwd=page)
    expected = Page.read(PAGE).files[f"{program}.out"].splitlines()
    assert re.fullmatch(expected_pattern(expected), normal(result.stdout)), result.stdout


def test_the_readme_shows_a_program_of_the_page():
    shown = {name: text for name, text in Page.read(REPOSITORY / "README.md").files.items() if name.endswith(".cpp")}
    files = Page.read(PAGE).files
    assert shown and all(files[name] == text for name, text in shown.items())
