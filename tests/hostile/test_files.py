"""Cases 89, 90, 91 and 95: where the output is to be, and what happens to it from outside."""

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from craft import PROGRAM, check_refusal, one, prepare, run, said, snapshot, with_header

SUFFIXES = pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
FORCE = pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])


@pytest.fixture
def folder(tmp_path):
    prepare(tmp_path)
    (tmp_path / "m.safetensors").write_bytes(with_header({"a": one()}, b"abcd"))
    return tmp_path


def migrate(folder, output, *more, source="m.safetensors", **options):
    return run("apply", "spec.yaml", source, "-o", output, *more, cwd=folder, **options)


def refuse(folder, output, code, *words, more=(), **options):
    before = snapshot(folder)
    result = migrate(folder, output, *more, timeout=20, **options)
    check_refusal(result, code, words)
    assert snapshot(folder) == before, said(result)
    return result


def is_whole(path):
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file
        return load_file(path)["a"].tobytes() == b"abcd"
    import torch
    return bytes(torch.load(path, weights_only=True)["a"].tolist()) == b"abcd"


# --- 89: an output that is no file, or an input ---------------------------------------------------------


def make(kind, path):
    if kind == "folder":
        path.mkdir()
    elif kind == "full folder":
        path.mkdir()
        (path / "inside").write_bytes(b"precious")
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        # The path of a socket is short, so it is made from its folder.
        here = os.getcwd()
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
        os.chdir(here)
    elif kind == "symbolic link":
        path.symlink_to("../neighbour.pt")
    elif kind == "symbolic link to a folder":
        path.symlink_to(".")
    elif kind == "dangling symbolic link":
        path.symlink_to("nowhere.pt")


KINDS = ["folder", "full folder", "FIFO", "socket", "symbolic link", "symbolic link to a folder",
         "dangling symbolic link"]


@FORCE
@SUFFIXES
@pytest.mark.parametrize("kind", KINDS)
def test_case_89_an_output_that_is_no_file(folder, kind, suffix, force):
    make(kind, folder / f"out/x{suffix}")
    word = "symbolic link" if "link" in kind else kind.split()[-1]
    refuse(folder, f"out/x{suffix}", "file-write", word, more=force)


@FORCE
@pytest.mark.parametrize("of", ["source", "target"])
@pytest.mark.parametrize("kind", ["itself", "another way", "hard link", "symbolic link"])
def test_case_89_an_output_that_is_an_input(folder, kind, of, force):
    shutil.copy(folder / "m.safetensors", folder / "t.safetensors")
    name = {"source": "m.safetensors", "target": "t.safetensors"}[of]
    output = {"itself": name, "another way": f"out/../{name}"}.get(kind, "out/x.safetensors")
    if kind == "hard link":
        os.link(folder / name, folder / output)
    elif kind == "symbolic link":
        (folder / output).symlink_to(folder / name)
    refuse(folder, output, "file-is-input", name, more=["-t", "t.safetensors", *force])


@pytest.mark.parametrize("output", ["m.safetensors", "link.safetensors"])
def test_case_89_an_input_that_is_a_symbolic_link(folder, output):
    (folder / "link.safetensors").symlink_to("m.safetensors")
    refuse(folder, output, "file-is-input", source="link.safetensors", more=["--force"])
    assert migrate(folder, "out/x.safetensors", source="link.safetensors").returncode == 0
    assert is_whole(folder / "out/x.safetensors")


@pytest.mark.parametrize("kind, words", [
    ("folder", "it is a folder"), ("full folder", "it is a folder"), ("FIFO", "it is a FIFO"),
    ("socket", "it is a socket"),
    ("dangling symbolic link", "No such file"), ("symbolic link to a folder", "it is a folder"),
])
@pytest.mark.parametrize("place", ["source", "target", "spec"])
def test_case_89_an_input_that_is_no_file(folder, kind, words, place):
    make(kind, folder / "out/x.pt")
    before = snapshot(folder)
    arguments = {"source": ["spec.yaml", "out/x.pt"], "target": ["spec.yaml", "m.safetensors", "-t", "out/x.pt"],
                 "spec": ["out/x.pt", "m.safetensors"]}[place]
    results = [run("apply", *arguments, "-o", "out/y.pt", cwd=folder, timeout=20)]
    if place == "source":
        results.append(run("inspect", "out/x.pt", cwd=folder, timeout=20))
    for result in results:
        check_refusal(result, "file-open", [words], "out/x.pt")
    assert snapshot(folder) == before


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_case_89_an_input_that_is_a_device(folder, path):
    check_refusal(migrate(folder, "out/x.pt", source=path, timeout=20), "file-open", ["it is a character device"], path)
    assert os.listdir(folder / "out") == []


def test_case_89_links_in_a_circle(folder):
    (folder / "a.pt").symlink_to("b.pt")
    (folder / "b.pt").symlink_to("a.pt")
    refuse(folder, "out/x.pt", "file-open", "symbolic links", source="a.pt")


@pytest.mark.parametrize("to", ["neighbour.pt", "m.safetensors", "nowhere"])
def test_case_89_the_part_file_is_a_link(folder, to):
    (folder / "out/.x.pt.regraft-part").symlink_to(folder / to)
    before = {name: one_ for name, one_ in snapshot(folder).items() if "part" not in name}
    result = migrate(folder, "out/x.pt")
    assert result.returncode in (0, 3), said(result)
    after = {name: one_ for name, one_ in snapshot(folder).items() if "part" not in name}
    if after.pop("out/x.pt", None):
        assert result.returncode == 0 and is_whole(folder / "out/x.pt")
    assert after == before, said(result)


# --- 90: folders and names ------------------------------------------------------------------------------


@contextlib.contextmanager
def closed(folder):
    """A folder in which nobody may write, also root: on a file system that says so, or else skip."""
    folder.mkdir()
    folder.chmod(0o555)
    immutable = os.access(folder, os.W_OK) and shutil.which("chattr") is not None \
        and subprocess.run(["chattr", "+i", folder], capture_output=True, check=False).returncode == 0
    try:
        if os.access(folder, os.W_OK) and not immutable:
            yield False
        else:
            yield True
    finally:
        if immutable:
            subprocess.run(["chattr", "-i", folder], check=True)
        folder.chmod(0o755)


def test_case_90_a_parent_that_cannot_be_written(folder):
    with closed(folder / "closed") as is_closed:
        if is_closed:
            refuse(folder, "closed/x.pt", "file-write", "closed")
    # Nobody, not even root, makes files there.
    refuse(folder, "/proc/self/x.pt", "file-write", "/proc/self")
    refuse(folder, "nowhere/x.pt", "file-write", "nowhere")
    refuse(folder, "m.safetensors/x.pt", "file-write", "m.safetensors")


@SUFFIXES
@pytest.mark.parametrize("length", [242, 255, 256, 5000])
def test_case_90_names_that_are_too_long(folder, length, suffix):
    name = "n" * (length - len(suffix)) + suffix
    refuse(folder, f"out/{name}", "file-write", f"the name has {length} bytes", "at most 255")


@SUFFIXES
def test_case_90_the_longest_name(folder, suffix):
    name = "n" * (255 - 14 - len(suffix)) + suffix
    assert migrate(folder, f"out/{name}").returncode == 0
    assert os.listdir(folder / "out") == [name] and is_whole(folder / "out" / name)


@pytest.mark.parametrize("length", [255, 256])
def test_case_90_long_names_of_inputs(folder, length):
    name = "n" * (length - len(".safetensors")) + ".safetensors"
    if length <= 255:
        (folder / "m.safetensors").rename(folder / name)
        assert migrate(folder, "out/x.pt", source=name).returncode == 0
    else:
        refuse(folder, "out/x.pt", "file-open", source=name)


# --- 91: ended from outside -----------------------------------------------------------------------------

SIZE = 256 << 20


@pytest.fixture
def large(folder):
    """A source of zeros that takes no room and long enough to be stopped at."""
    part = SIZE // 4
    head = with_header({f"t{i}": one(shape=(part,), begin=i * part, end=(i + 1) * part) for i in range(4)})
    with open(folder / "large.safetensors", "wb") as file:
        file.write(head)
        file.truncate(len(head) + SIZE)
    yield folder
    # pytest keeps the folders of its last runs, and they should be small.
    shutil.rmtree(folder / "out")


def start(folder, *arguments, **options):
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([PROGRAM, "apply", "spec.yaml", *arguments], cwd=folder, stdin=subprocess.DEVNULL,
                            **options)


@FORCE
@SUFFIXES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_case_91_a_signal_in_mid_write(large, number, suffix, force):
    output = large / f"out/x{suffix}"
    for _ in range(5):
        if force:
            output.write_bytes(b"precious")
        process = start(large, "large.safetensors", "-o", f"out/x{suffix}", "--no-sync", *force)
        while process.poll() is None and not any("part" in name for name in os.listdir(large / "out")):
            time.sleep(0.0005)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        if process.returncode != 0:
            assert process.returncode == 130 and "error[interrupted]" in err, err
            assert os.listdir(large / "out") == ([output.name] if force else [])
            assert not force or output.read_bytes() == b"precious"
            return
        output.unlink()
    raise AssertionError("the program was done before a signal could reach it")


@SUFFIXES
@pytest.mark.parametrize("more", [[], ["--json"], ["--verbose"]], ids=str)
@pytest.mark.parametrize("to", ["closed pipe", "full device"])
def test_case_91_a_stdout_that_takes_nothing(folder, to, more, suffix):
    """What stands in the output's place is complete, nothing else is left, and the status is not 0."""
    if to == "closed pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open("/dev/full", os.O_WRONLY)
    process = start(folder, "m.safetensors", "-o", f"out/x{suffix}", *more, stdout=writer)
    os.close(writer)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 3
    assert os.listdir(folder / "out") == [f"x{suffix}"] and is_whole(folder / f"out/x{suffix}")
    assert "error[file-write]: cannot write to stdout: " in err, err
    assert f"hint: the output 'out/x{suffix}' is complete" in err, err


@pytest.mark.parametrize("command", [["inspect", "m.safetensors"], ["check", "spec.yaml"], ["--help"],
                                     ["plan", "spec.yaml", "m.safetensors"], ["schema", "spec"]], ids=str)
def test_case_91_a_full_stdout_of_what_writes_no_file(folder, command):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, *command], cwd=folder, stdout=full, stderr=subprocess.PIPE, timeout=60,
                              check=False)
    assert done.returncode == 3
    assert done.stderr.decode() == "error[file-write]: cannot write to stdout: No space left on device\n"


def test_case_89_an_input_that_is_a_dangling_link(folder):
    (folder / "link.pt").symlink_to("gone/model.pt")
    done = subprocess.run([PROGRAM, "inspect", "link.pt"], cwd=folder, capture_output=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stderr.decode() == ("link.pt: error[file-open]: cannot open: No such file or directory\n"
                                    "  hint: it is a symbolic link to 'gone/model.pt', which is not there\n")


# --- 95: two at the same time -----------------------------------------------------------------------------


@SUFFIXES
@pytest.mark.parametrize("count", [2, 6])
def test_case_95_several_processes_and_one_output(large, count, suffix):
    processes = [start(large, "large.safetensors", "-o", f"out/x{suffix}", "--no-sync", "--digest", "none")
                 for _ in range(count)]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert [status for _, status in ends].count(0) == 1, ends
    for err, status in ends:
        assert status == 0 or (status == 3 and ("error[file-locked]" in err or "error[file-exists]" in err)), err
    assert os.listdir(large / "out") == [f"x{suffix}"]
    assert (large / f"out/x{suffix}").stat().st_size >= SIZE
    inspected = run("inspect", f"out/x{suffix}", "--json", cwd=large)
    assert inspected.returncode == 0 and len(json.loads(inspected.stdout)["tensors"]) == 4, said(inspected)


@SUFFIXES
def test_case_95_the_lock_is_held(folder, suffix):
    import fcntl

    with open(folder / f"out/.x{suffix}.regraft-part", "wb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        refuse(folder, f"out/x{suffix}", "file-locked", f"out/x{suffix}")
        refuse(folder, f"out/x{suffix}", "file-locked", f"out/x{suffix}", more=["--force"])
    assert migrate(folder, f"out/x{suffix}").returncode == 0
    assert os.listdir(folder / "out") == [f"x{suffix}"] and is_whole(folder / f"out/x{suffix}")
    assert stat.S_ISREG((folder / f"out/x{suffix}").stat().st_mode)
