"""All or nothing: an output is complete or it is not there, its folder holds nothing else of ours,
inputs never change, and the same inputs give the same bytes wherever and whenever."""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers import (PART, PROGRAM, Entry, assert_error, entries, environment, noise, parts_in, read_any,
                     read_safetensors, run, run_in_terminal, safetensors_header, snapshot, start, succeed, write_any,
                     write_pt, write_safetensors, write_sparse_safetensors, write_spec)

SHAPES = {"module.fc.weight": [300, 100], "module.fc.bias": [300], "module.norm.weight": [7], "epoch": ("I64", [])}


@pytest.fixture
def folder(tmp_path):
    write_safetensors(tmp_path / "source.safetensors", entries(SHAPES))
    write_spec(tmp_path / "spec.yaml", r"rules: [{rename: '^module\.', to: ''}]")
    (tmp_path / "out").mkdir()
    return tmp_path


def migrated(source):
    return {name.removeprefix("module."): one for name, one in read_any(source).items()}


def migrate(folder, output, *more, source="source.safetensors", **options):
    return run("apply", "spec.yaml", source, "-o", output, *more, cwd=folder, **options)


def refuse(folder, output, *more, code, words=(), status=3, **options):
    before = snapshot(folder)
    result = migrate(folder, output, *more, **options)
    found = assert_error(result, status, code, *words)
    assert snapshot(folder) == before, str(result)
    assert parts_in(folder) == []
    return found


# --- an output that exists ------------------------------------------------------------------------


def test_a_new_output_has_the_permissions_of_the_umask(folder):
    for mask, bits in ((0o022, 0o644), (0o077, 0o600)):
        result = migrate(folder, f"out/{bits:o}.safetensors", preexec_fn=lambda mask=mask: os.umask(mask))
        assert result.status == 0, str(result)
        assert stat.S_IMODE((folder / f"out/{bits:o}.safetensors").stat().st_mode) == bits


@pytest.mark.parametrize("name", ["new.safetensors", "new.pt"])
def test_an_existing_output_needs_force(folder, name):
    output = folder / "out" / name
    output.write_bytes(b"precious")
    output.chmod(0o640)
    refuse(folder, f"out/{name}", code="file-exists", words=["--force"])
    result = migrate(folder, f"out/{name}", "--force")
    assert result.status == 0, str(result)
    assert read_any(output) == migrated(folder / "source.safetensors")
    assert stat.S_IMODE(output.stat().st_mode) == 0o640
    assert sorted(os.listdir(folder / "out")) == [name]


def test_force_keeps_the_old_output_when_the_run_fails(folder):
    (folder / "out/new.safetensors").write_bytes(b"precious")
    write_spec(folder / "spec.yaml", "source: {require: ['nothing']}")
    refuse(folder, "out/new.safetensors", "--force", code="require-unmet", status=1)


def test_who_reads_the_old_output_keeps_it(folder):
    output = folder / "out/new.safetensors"
    output.write_bytes(b"precious")
    with open(output, "rb") as reader:
        assert migrate(folder, "out/new.safetensors", "--force").status == 0
        assert reader.read() == b"precious"


def test_force_replaces_one_name_of_a_hard_link_only(folder):
    (folder / "archive.safetensors").write_bytes(b"precious")
    os.link(folder / "archive.safetensors", folder / "out/new.safetensors")
    assert migrate(folder, "out/new.safetensors", "--force").status == 0
    assert (folder / "archive.safetensors").read_bytes() == b"precious"


# --- an output that is an input, or no file ---------------------------------------------------------


@pytest.fixture
def target(folder):
    shapes = {name.removeprefix("module."): shape for name, shape in SHAPES.items()}
    return write_safetensors(folder / "target.safetensors", entries(shapes, seed=1))


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("of", ["source.safetensors", "target.safetensors"])
def test_the_output_is_an_input(folder, target, of, force):
    for path in (of, f"./{of}", f"out/../{of}", str(folder / of)):
        refuse(folder, path, "-t", target, *force, code="file-is-input", words=[of])
    os.link(folder / of, folder / "out/hard.safetensors")
    refuse(folder, "out/hard.safetensors", "-t", target, *force, code="file-is-input", words=[of])
    (folder / "out/soft.safetensors").symlink_to(folder / of)
    refuse(folder, "out/soft.safetensors", "-t", target, *force, code="file-is-input", words=[of])


def test_a_source_that_is_given_through_a_link(folder):
    (folder / "link.safetensors").symlink_to("source.safetensors")
    refuse(folder, "source.safetensors", "--force", source="link.safetensors", code="file-is-input")
    refuse(folder, "link.safetensors", "--force", source="link.safetensors", code="file-is-input")
    assert migrate(folder, "out/new.safetensors", source="link.safetensors").status == 0


def test_the_output_is_the_spec(folder):
    (folder / "spec.yaml").rename(folder / "spec.pt")
    before = snapshot(folder)
    result = run("apply", "spec.pt", "source.safetensors", "-o", "spec.pt", "--force", cwd=folder)
    assert result.status in (2, 3), str(result)
    assert snapshot(folder) == before


def test_an_input_stands_where_the_part_file_would(folder):
    os.link(folder / "source.safetensors", folder / f".new.safetensors{PART}")
    before = snapshot(folder)
    assert_error(migrate(folder, "new.safetensors"), 3, "file-is-input")
    assert_error(migrate(folder, "new.safetensors", source=f".new.safetensors{PART}"), 3, "file-is-input")
    assert snapshot(folder) == before


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_the_output_is_no_file(folder, force):
    (folder / "out/folder.pt").mkdir()
    refuse(folder, "out/folder.pt", *force, code="file-write", words=["folder"])
    os.mkfifo(folder / "out/fifo.pt")
    refuse(folder, "out/fifo.pt", *force, code="file-write", words=["FIFO"], timeout=20)
    (folder / "elsewhere.pt").write_bytes(b"precious")
    (folder / "out/link.pt").symlink_to(folder / "elsewhere.pt")
    refuse(folder, "out/link.pt", *force, code="file-write", words=["symbolic link"])
    (folder / "out/dangling.pt").symlink_to(folder / "nothing.pt")
    refuse(folder, "out/dangling.pt", *force, code="file-write", words=["symbolic link"])
    refuse(folder, "source.safetensors/new.pt", *force, code="file-write", words=["source.safetensors"])


def test_a_part_file_that_is_a_link_is_not_followed(folder):
    (folder / "elsewhere").write_bytes(b"precious")
    (folder / f"out/.new.pt{PART}").symlink_to(folder / "elsewhere")
    before = snapshot(folder)
    result = migrate(folder, "out/new.pt")
    if result.status == 0:  # the link was taken away
        assert read_any(folder / "out/new.pt") == migrated(folder / "source.safetensors")
    else:
        assert result.status == 3 and snapshot(folder) == before, str(result)
    assert (folder / "elsewhere").read_bytes() == b"precious"


def test_a_missing_folder_and_how_to_make_it(folder):
    found = refuse(folder, "runs/new one/x.pt", code="file-write", words=["runs/new one"])
    subprocess.run(found.hint, shell=True, cwd=folder, check=True)
    assert migrate(folder, "runs/new one/x.pt").status == 0


@contextlib.contextmanager
def nobody_may_write(folder):
    """A folder that is read only, also for root; where nothing makes one, a file in its place."""
    folder.chmod(0o555)
    immutable = os.access(folder, os.W_OK) and shutil.which("chattr") is not None \
        and subprocess.run(["chattr", "+i", folder], capture_output=True, check=False).returncode == 0
    try:
        (folder / "try").touch()
    except OSError:
        pass
    else:
        (folder / "try").unlink()
        folder.rmdir()
        folder.write_bytes(b"")
    try:
        yield
    finally:
        if immutable:
            subprocess.run(["chattr", "-i", folder], check=True)
        folder.chmod(0o755)


def test_a_folder_that_is_read_only(folder):
    (folder / "closed").mkdir()
    with nobody_may_write(folder / "closed"):
        refuse(folder, "closed/new.pt", code="file-write", words=["closed"])


def test_names_as_long_as_they_can_be(folder):
    longest = "n" * (255 - len(".pt")) + ".pt"
    before = snapshot(folder)
    result = migrate(folder, f"out/{longest}")
    if result.status == 0:
        assert read_any(folder / "out" / longest) == migrated(folder / "source.safetensors")
    else:
        assert_error(result, 3, "file-write", "255")
        assert snapshot(folder) == before
    refuse(folder, f"out/n{longest}", code="file-write")


@pytest.mark.parametrize("output", ["", "out/", "out/..", ".", "/"])
def test_paths_without_a_name(folder, output):
    before = snapshot(folder)
    result = migrate(folder, output)
    assert result.status in (2, 3) and "error[" in result.err, str(result)
    assert snapshot(folder) == before


def test_strange_names_are_names(folder):
    for name in ("with space.pt", "-dash.pt", "'quote'.pt", "new\nline.pt", "ümlaut.pt", ".hidden.pt"):
        result = migrate(folder, f"out/{name}")
        assert result.status == 0, str(result)
        assert read_any(folder / "out" / name) == migrated(folder / "source.safetensors")


# --- no room ----------------------------------------------------------------------------------------


def unshare_and_mount(folder):
    """A function for the child: a small tmpfs at `folder`, which only the child sees."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare():
        clone_newns, ms_rec, ms_private = 0x20000, 0x4000, 0x40000
        if libc.unshare(clone_newns) != 0 or libc.mount(b"none", b"/", None, ms_rec | ms_private, None) != 0 \
                or libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=1m") != 0:
            raise OSError(ctypes.get_errno(), "no mount")

    return prepare


LIST_BEHIND = """
import os, subprocess, sys
done = subprocess.run(sys.argv[2:])
print("left:", sorted(os.listdir(sys.argv[1])), flush=True)
sys.exit(done.returncode)
"""


def run_on_a_small_disk(folder, output, *more):
    """Status, stderr and what is left in the folder, with 1 MiB in it; None: nothing can be mounted."""
    command = [sys.executable, "-c", LIST_BEHIND, str(folder / "out"), str(PROGRAM), "apply", "spec.yaml",
               "source.safetensors", "-o", output, *more]
    try:
        done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False,
                              timeout=120, preexec_fn=unshare_and_mount(folder / "out"))
    except (subprocess.SubprocessError, OSError):
        return None
    return done.returncode, done.stderr, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["new.safetensors", "new.pt"])
def test_a_full_disk(folder, name):
    write_safetensors(folder / "source.safetensors", {"module.w": Entry("U8", (3 << 20,), noise("w", 3 << 20))})
    before = snapshot(folder)
    on_disk = run_on_a_small_disk(folder, f"out/{name}")
    if on_disk is not None:
        status, err, left = on_disk
        assert status == 3 and "error[file-write]" in err and "No space left" in err, err
        assert left == "left: []"
        status, _, left = run_on_a_small_disk(folder, f"out/{name}", "--report", "out/report.json")
        assert status == 3 and PART not in left and name not in left
    # Where nothing may be mounted, a limit on the size of files stands for the disk.
    limit = 1 << 20
    result = migrate(folder, f"out/{name}", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert_error(result, 3, "file-write", "out/")
    assert snapshot(folder) == before


def test_a_full_disk_leaves_the_old_output(folder):
    (folder / "out/new.pt").write_bytes(b"precious")
    write_safetensors(folder / "source.safetensors", {"module.w": Entry("U8", (3 << 20,), noise("w", 3 << 20))})
    limit = 1 << 20
    refuse(folder, "out/new.pt", "--force", code="file-write",
           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))


# --- interrupted ------------------------------------------------------------------------------------

LARGE = 2 << 30


@pytest.fixture
def large(folder):
    """A source whose migration takes long enough to be caught at it."""
    room = shutil.disk_usage(folder).free
    write_sparse_safetensors(folder / "large.safetensors", min(LARGE, room // 3))
    return folder


def wait_for_part(folder, process, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if parts_in(folder):
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    raise AssertionError("no part file and no end")


def caught_writing(folder, number, output, *more):
    """A run that gets a signal while it writes: its status and stderr. A run that was too fast is taken again."""
    for pause in (0.05, 0.01, 0, 0, 0):
        process = start("apply", "spec.yaml", "large.safetensors", "-o", output, "--no-sync", *more, cwd=folder)
        if wait_for_part(folder / "out", process):
            time.sleep(pause)
            process.send_signal(number)
        _, err = process.communicate(timeout=120)
        if process.returncode != 0:
            return process.returncode, err.decode()
        (folder / output).unlink()
    raise AssertionError("the program was done before a signal could reach it")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("name", ["new.safetensors", "new.pt"])
def test_interrupted_while_it_writes(large, number, name):
    before = snapshot_of_small(large)
    status, err = caught_writing(large, number, f"out/{name}")
    assert status == 130 and "error[interrupted]" in err, err
    assert os.listdir(large / "out") == []
    assert snapshot_of_small(large) == before


def snapshot_of_small(folder):
    """snapshot() without the contents of the large file, which would take long to read."""
    status = (folder / "large.safetensors").stat()
    return sorted(os.listdir(folder)), status.st_size, status.st_mtime_ns, (folder / "spec.yaml").read_text()


def test_interrupted_with_force_keeps_the_old_output(large):
    (large / "out/new.pt").write_bytes(b"precious")
    process = start("apply", "spec.yaml", "large.safetensors", "-o", "out/new.pt", "--no-sync", "--force", cwd=large)
    caught = wait_for_part(large / "out", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert os.listdir(large / "out") == ["new.pt"]
    if caught and process.returncode == 130:
        assert (large / "out/new.pt").read_bytes() == b"precious"
    else:
        assert process.returncode == 0


def test_killed_and_taken_over(large):
    status, _ = caught_writing(large, signal.SIGKILL, "out/new.pt")
    assert status == -signal.SIGKILL
    assert os.listdir(large / "out") in ([], [f".new.pt{PART}"])
    # The next run is another one, so nothing of the first may shine through.
    assert migrate(large, "out/new.pt").status == 0
    assert os.listdir(large / "out") == ["new.pt"]
    assert read_any(large / "out/new.pt") == migrated(large / "source.safetensors")


@pytest.mark.parametrize("left", [b"", b"left over" * 100_000])
def test_a_stale_part_file_is_taken_over(folder, left):
    (folder / f"out/.new.safetensors{PART}").write_bytes(left)
    (folder / f"out/.new.safetensors{PART}").chmod(0o600)
    assert migrate(folder, "out/new.safetensors").status == 0
    assert os.listdir(folder / "out") == ["new.safetensors"]
    assert migrate(folder, "out/again.safetensors").status == 0
    assert (folder / "out/new.safetensors").read_bytes() == (folder / "out/again.safetensors").read_bytes()


def test_a_stale_part_file_that_is_a_link_to_an_old_output(folder):
    """A run that was killed between link and unlink leaves two names of one file."""
    (folder / "out/old.pt").write_bytes(b"precious")
    os.link(folder / "out/old.pt", folder / f"out/.new.pt{PART}")
    assert migrate(folder, "out/new.pt").status == 0
    assert (folder / "out/old.pt").read_bytes() == b"precious"


# --- at the same time -------------------------------------------------------------------------------


def test_another_process_holds_the_output(folder):
    """The lock is flock on the part file, so any process can hold it."""
    part = folder / f"out/.new.pt{PART}"
    with open(part, "wb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        before = snapshot(folder)
        assert_error(migrate(folder, "out/new.pt"), 3, "file-locked", "out/new.pt")
        assert snapshot(folder) == before
    assert migrate(folder, "out/new.pt").status == 0
    assert os.listdir(folder / "out") == ["new.pt"]


def test_a_run_is_refused_while_another_writes(large):
    process = start("apply", "spec.yaml", "large.safetensors", "-o", "out/new.pt", "--no-sync", cwd=large)
    caught = wait_for_part(large / "out", process)
    result = migrate(large, "out/new.pt")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    if caught and process.returncode == 130:
        assert_error(result, 3, "file-locked", "another process")
        assert os.listdir(large / "out") == []
    else:  # the first was done before the second began
        assert_error(result, 3, "file-exists")


def race(folder, runs, *more):
    for i in range(runs):
        write_safetensors(folder / f"racer{i}.safetensors",
                          {"module.w": Entry("U8", (1 << 20,), noise("w", 1 << 20, seed=i))})
    processes = [start("apply", "spec.yaml", f"racer{i}.safetensors", "-o", "out/new.safetensors", *more, cwd=folder)
                 for i in range(runs)]
    ends = [(process.communicate(timeout=120)[1].decode(), process.returncode) for process in processes]
    assert os.listdir(folder / "out") == ["new.safetensors"], ends
    new = read_safetensors(folder / "out/new.safetensors")
    return ends, [new == migrated(folder / f"racer{i}.safetensors") for i in range(runs)]


def test_a_race_for_one_output_has_one_winner(folder):
    for _ in range(3):
        ends, whose = race(folder, 6)
        assert [status for _, status in ends].count(0) == 1, ends
        for (err, status), won in zip(ends, whose):
            assert won == (status == 0), ends
            assert won or (status == 3 and re.search(r"error\[file-(exists|locked)\]", err)), err
        (folder / "out/new.safetensors").unlink()


def test_a_race_with_force_has_a_whole_output(folder):
    for _ in range(3):
        ends, whose = race(folder, 6, "--force")
        assert whose.count(True) == 1 and ends[whose.index(True)][1] == 0, ends
        for err, status in ends:
            assert status == 0 or (status == 3 and "error[file-locked]" in err), err


def test_two_outputs_at_the_same_time(folder):
    processes = [start("apply", "spec.yaml", "source.safetensors", "-o", f"out/{i}.pt", cwd=folder) for i in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4
    for process in processes:
        process.stderr.close()
    assert len({(folder / f"out/{i}.pt").read_bytes() for i in range(4)}) == 1


def test_a_source_that_shrinks_while_it_is_read(large):
    process = start("apply", "spec.yaml", "large.safetensors", "-o", "out/new.pt", "--no-sync", cwd=large)
    caught = wait_for_part(large / "out", process)
    os.truncate(large / "large.safetensors", 1 << 20)
    _, err = process.communicate(timeout=120)
    if not caught or process.returncode == 0:
        return  # it was read before
    assert process.returncode == 3, err.decode()
    assert re.search(r"error\[file-(read|changed)\]", err.decode()), err.decode()
    assert "large.safetensors" in err.decode()
    assert os.listdir(large / "out") == []


# --- stdout and its friends --------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["schema", "spec"], ["inspect", "source.safetensors"],
                                       ["plan", "spec.yaml", "source.safetensors"],
                                       ["plan", "spec.yaml", "source.safetensors", "--json"],
                                       ["plan", "spec.yaml", "source.safetensors", "--print", "plan"],
                                       ["check", "spec.yaml"], ["check", "spec.yaml", "--json"], ["--help"],
                                       ["--version"]], ids=" ".join)
def test_stdout_is_full(folder, arguments):
    with open("/dev/full", "wb") as full:
        result = run(*arguments, cwd=folder, stdout=full)
    assert result.status == 3, str(result)
    assert "stdout" in result.err and os.strerror(errno.ENOSPC) in result.err, str(result)


@pytest.mark.parametrize("arguments", [["schema", "spec"], ["plan", "spec.yaml", "source.safetensors"],
                                       ["check", "spec.yaml"]], ids=" ".join)
def test_nobody_reads_stdout(folder, arguments):
    """`regraft ... | head`: no crash, no complaint."""
    reader, writer = os.pipe()
    os.close(reader)
    result = run(*arguments, cwd=folder, stdout=writer)
    os.close(writer)
    assert result.status >= 0 and "rror" not in result.err, str(result)


@pytest.mark.parametrize("name", ["new.safetensors", "new.pt"])
@pytest.mark.parametrize("broken", ["full", "pipe", "closed"])
def test_apply_without_a_stdout_writes_a_whole_output_or_none(folder, broken, name):
    if broken == "full":
        with open("/dev/full", "wb") as stdout:
            result = migrate(folder, f"out/{name}", stdout=stdout)
    elif broken == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
        result = migrate(folder, f"out/{name}", stdout=writer)
        os.close(writer)
    else:
        result = migrate(folder, f"out/{name}", preexec_fn=lambda: os.close(1))
    assert result.status in (0, 3), str(result)
    assert os.listdir(folder / "out") in ([], [name])
    if os.listdir(folder / "out"):
        assert read_any(folder / "out" / name) == migrated(folder / "source.safetensors")
    else:
        assert result.status == 3


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("spec", ["rules: []", "rules: [{drop: 'nothing'}]", "rules: [{rename: '^nothing', to: ''}]"])
def test_no_message_gets_into_a_file(folder, closed, spec):
    """The numbers of closed descriptors go to the next files that are opened."""
    write_spec(folder / "spec.yaml", spec)
    assert migrate(folder, "out/right.pt").status == 0
    before = (folder / "source.safetensors").read_bytes()

    def close():
        for fd in closed:
            os.close(fd)

    migrate(folder, "out/new.pt", "--progress", "plain", "--report", "out/new.json", preexec_fn=close)
    assert (folder / "source.safetensors").read_bytes() == before
    assert not (folder / "out/new.pt").exists() \
        or (folder / "out/new.pt").read_bytes() == (folder / "out/right.pt").read_bytes()
    assert not (folder / "out/new.json").exists() or json.loads((folder / "out/new.json").read_text())
    assert parts_in(folder) == []


# --- reports and specs that are written ---------------------------------------------------------------


def test_a_report_replaces_an_old_one_whole(folder):
    (folder / "report.json").write_bytes(b"x" * 1_000_000)
    assert migrate(folder, "out/new.pt", "--report", "report.json").status == 0
    assert json.loads((folder / "report.json").read_text())["verdict"] == "ok"
    assert parts_in(folder) == []


@pytest.mark.parametrize("which", ["source.safetensors", "target.safetensors", "spec.yaml"])
def test_a_report_is_never_written_over_an_input(folder, target, which):
    os.link(folder / which, folder / "hard.json")
    (folder / "soft.json").symlink_to(which)
    for report in ("hard.json", "soft.json"):
        refuse(folder, "out/new.pt", "-t", target, "--report", report, code="usage", status=2, words=[report])
    refuse(folder, "out/new.pt", "-t", target, "--force", "--write-spec", which, code="usage", status=2, words=[which])


def test_a_report_that_is_a_symlink(folder):
    (folder / "old.json").write_text("precious\n")
    (folder / "report.json").symlink_to("old.json")
    result = migrate(folder, "out/new.pt", "--report", "report.json")
    if result.status == 0:
        assert json.loads((folder / "report.json").read_text())["verdict"] == "ok"
        old = (folder / "old.json").read_text()
        assert old == "precious\n" or json.loads(old)
    else:
        assert result.status in (2, 3) and (folder / "old.json").read_text() == "precious\n", str(result)
    assert parts_in(folder) == []


def test_a_report_part_that_is_a_symlink_is_not_followed(folder):
    (folder / "precious").write_text("precious\n")
    for name in (f"report.json{PART}", f".report.json{PART}"):
        (folder / name).symlink_to("precious")
    migrate(folder, "out/new.pt", "--report", "report.json")
    assert (folder / "precious").read_text() == "precious\n"


def test_the_report_is_the_output(folder):
    refuse(folder, "out/new.pt", "--report", "out/new.pt", code="usage", status=2)
    result = migrate(folder, "./out/new.json", "--report", "out/new.json")
    assert result.status == 2 and parts_in(folder) == [], str(result)


@pytest.mark.parametrize("report", ["nowhere/report.json", "out", "out/folder.json", "source.safetensors/report.json"])
@pytest.mark.parametrize("option", ["--report", "--write-spec"])
def test_a_place_where_no_report_can_be_is_noticed_before_anything_is_written(folder, option, report):
    (folder / "out/folder.json").mkdir()
    before = snapshot(folder)
    result = migrate(folder, "out/new.pt", option, report)
    assert result.status in (2, 3) and Path(report).name in result.err, str(result)
    assert snapshot(folder) == before, str(result)


def test_report_and_written_spec_may_not_be_one_file(folder):
    before = snapshot(folder)
    result = migrate(folder, "out/new.pt", "--report", "out/x.json", "--write-spec", "out/x.json")
    assert result.status == 2, str(result)
    assert snapshot(folder) == before


@pytest.mark.parametrize("option, name", [("--report", "x.json"), ("--write-spec", "x.yaml")])
@pytest.mark.parametrize("kind, words", [("FIFO", "it is a FIFO"), ("socket", "it is a socket"), ("folder", "it is a folder")])
def test_a_side_file_that_is_none(folder, option, name, kind, words):
    path = folder / "out" / name
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:  # its path is to be short
            made.bind(name)
    else:
        path.mkdir()
    refuse(folder, "out/new.pt", option, f"out/{name}", code="file-write", words=[words], timeout=20)


def test_a_report_to_a_pipe_without_a_reader(folder):
    os.mkfifo(folder / "pipe")
    (folder / "pipe.json").symlink_to("pipe")
    result = migrate(folder, "out/new.pt", "--report", "pipe.json", timeout=20)
    assert result.status == 3 and "No such device" in result.err, str(result)


@pytest.mark.parametrize("option", ["--report", "--write-spec"])
def test_a_side_file_without_a_name(folder, option):
    assert migrate(folder, "out/new.pt", option, "").status == 2
    assert not (folder / "out/new.pt").exists()


def test_a_report_to_a_pipe(folder):
    result = migrate(folder, "out/new.pt", "--report", "/dev/stdout")
    assert result.status == 2, str(result)  # no suffix, no format
    (folder / "stdout.json").symlink_to("/dev/stdout")
    result = migrate(folder, "out/new.pt", "--report", "stdout.json")
    assert result.status == 0 and '"regraft_report": 1' in result.out, str(result)


def test_a_spec_that_is_there_is_not_written_over(folder):
    (folder / "typed.yaml").write_text("precious\n")
    refuse(folder, "out/new.pt", "--write-spec", "typed.yaml", code="file-exists", words=["--force"])
    assert migrate(folder, "out/new.pt", "--write-spec", "typed.yaml", "--force").status == 0
    assert "rename" in (folder / "typed.yaml").read_text()


# --- the same inputs, the same bytes --------------------------------------------------------------------


def everything(folder, name, report, env=None, absolute=False):
    """A run's output and all its reports."""
    out = folder / "out"
    made = {}
    for i, kind in enumerate(("json", "html")):
        arguments = ["spec.yaml", "source.safetensors", "-o", f"out/{name}", "--force", "--report", f"{report}.{kind}"]
        if absolute:
            arguments = [str(folder / word) if Path(word).suffix and not word.startswith("-") else word
                         for word in arguments]
        result = run("apply", *arguments, *(["--json"] if i else []), cwd=folder, env=env)
        assert result.status == 0, str(result)
        made[f"stdout {i}"] = result.out
        made[kind] = (folder / f"{report}.{kind}").read_bytes()
    made["output"] = (out / name).read_bytes()
    return made


@pytest.mark.parametrize("name", ["new.safetensors", "new.pt"])
def test_two_runs_give_the_same_bytes(tmp_path_factory, name):
    runs = []
    for environment_of_run in (environment(), environment(TZ="Asia/Tokyo", LC_ALL="de_DE.UTF-8"),
                               environment(TZ="America/Lima", LC_ALL="C", HOME="/nonexistent", USER="somebody")):
        folder = tmp_path_factory.mktemp("somewhere")
        (folder / "out").mkdir()
        write_safetensors(folder / "source.safetensors", entries(SHAPES))
        write_spec(folder / "spec.yaml", r"""
            name: once more
            rules:
              - {rename: '^module\.', to: ''}
              - {copy: '^fc\.weight$', to: 'head.weight'}
              - {drop: '^nothing'}
            """)
        runs.append(everything(folder, name, "report", environment_of_run))
        runs.append(everything(folder, name, "report", environment_of_run))  # replaces the first
    for key, value in runs[0].items():
        assert all(one[key] == value for one in runs), key


@pytest.mark.parametrize("name", ["new.safetensors", "new.pt"])
def test_absolute_paths_stand_in_no_output_and_no_report(tmp_path_factory, name):
    runs = []
    for _ in range(2):
        folder = tmp_path_factory.mktemp("elsewhere")
        (folder / "out").mkdir()
        write_safetensors(folder / "source.safetensors", entries(SHAPES))
        write_spec(folder / "spec.yaml", r"rules: [{rename: '^module\.', to: ''}, {drop: '^nothing'}]")
        runs.append(everything(folder, name, "report", absolute=True))
        for key, value in runs[-1].items():
            text = value if isinstance(value, str) else value.decode("utf-8", "replace")
            assert str(folder) not in text and str(folder.parent) not in text, key
    assert runs[0] == runs[1]


def test_the_same_tensors_in_another_container_give_the_same_digest(folder):
    write_pt(folder / "source.pt", entries(SHAPES))
    digests = set()
    for source in ("source.safetensors", "source.pt"):
        for output in ("a.safetensors", "a.pt"):
            result = run("apply", "spec.yaml", source, "-o", f"out/{output}", "--force", "--json", cwd=folder)
            digests.add(json.loads(result.out)["output"]["digest"])
    assert len(digests) == 1 and None not in digests


def test_a_file_read_again_gives_the_same_bytes(folder):
    """A migration that changes nothing, twice: from its own output on, the bytes stay."""
    write_spec(folder / "spec.yaml", "rules: []")
    for suffix in ("safetensors", "pt"):
        assert migrate(folder, f"out/1.{suffix}").status == 0
        assert migrate(folder, f"out/2.{suffix}", source=f"out/1.{suffix}").status == 0
        assert (folder / f"out/1.{suffix}").read_bytes() == (folder / f"out/2.{suffix}").read_bytes()


def test_what_does_not_change_the_output(folder):
    outputs = set()
    for i, options in enumerate(([], ["--no-sync"], ["--no-verify"], ["--digest", "none"], ["--digest", "sha256"],
                                 ["--verify-output"], ["--digest-inputs"], ["--progress", "plain"], ["--json"])):
        result = migrate(folder, f"out/{i}.pt", *options)
        assert result.status == 0, str(result)
        outputs.add((folder / f"out/{i}.pt").read_bytes())
    status, _ = run_in_terminal("apply", "spec.yaml", "source.safetensors", "-o", "out/terminal.pt", cwd=folder)
    assert status == 0
    outputs.add((folder / "out/terminal.pt").read_bytes())
    assert len(outputs) == 1


@pytest.mark.parametrize("source, output", [("safetensors", "pt"), ("pt", "safetensors"), ("pt", "pt"),
                                            ("safetensors", "safetensors")])
def test_every_way_gives_the_source_under_new_names(folder, source, output):
    write_any(folder / f"from.{source}", entries(SHAPES))
    assert migrate(folder, f"out/to.{output}", source=f"from.{source}").status == 0
    assert read_any(folder / f"out/to.{output}") == migrated(folder / f"from.{source}")


def test_nothing_is_written_by_what_only_looks(folder):
    before = snapshot(folder)
    for arguments in (["plan", "spec.yaml", "source.safetensors"],
                      ["plan", "spec.yaml", "source.safetensors", "-o", "out/new.pt"],
                      ["plan", "spec.yaml", "source.safetensors", "-o", "out/new.pt", "--print", "schedule"],
                      ["apply", "spec.yaml", "source.safetensors", "-o", "out/new.pt", "--dry-run"],
                      ["inspect", "source.safetensors"], ["check", "spec.yaml"], ["schema", "report"]):
        succeed(*arguments, cwd=folder)
        assert snapshot(folder) == before


def test_a_header_alone_takes_no_data(folder):
    """A plan reads headers: a terabyte behind one makes no difference."""
    head = safetensors_header({"module.w": ("U8", (1 << 40,), 1 << 40)})
    path = folder / "huge.safetensors"
    path.write_bytes(head)
    try:
        os.truncate(path, len(head) + (1 << 40))
    except OSError:  # a file system with smaller files
        size = 1 << 32
        head = safetensors_header({"module.w": ("U8", (size,), size)})
        path.write_bytes(head)
        os.truncate(path, len(head) + size)
    assert struct.unpack("<Q", path.open("rb").read(8))[0] == len(head) - 8
    succeed("plan", "spec.yaml", "huge.safetensors", "-o", "out/new.pt", cwd=folder, timeout=30)
