"""Mutated files: no crash, no hang, nothing left behind, and none that the program and Python both read with
different tensors. Each file is also read by torch, safetensors, or a YAML or JSON reader, in a process of its own.

What is left out of the comparison, all of it here:

- A file that only one of them reads. The torch column of docs/security.md says what is refused on purpose; what the
  program does not need (code and constants of TorchScript, functions that stay inert) it does not refuse. Counted.
- Strides, and which tensors share a storage: the output is compared by values, and views may be written out.
- What has no dotted name, in the program neither: tensors in sets, and below keys that are no text and no integer.
- Conjugate and negative bits: an output may hold the values instead, so that values are compared.
- Of schemas all but names, dtypes and shapes. Scalars of YAML are read as texts, since PyYAML has the older YAML 1.1,
  where 010 is eight (case 80); sizes are then decimal, and a size that is not fails the case.

usage: run.py PROGRAM [--cases N] [--seed N] [--only FORMAT/INDEX]"""

import argparse
import collections
import hashlib
import json
import multiprocessing
import os
import pathlib
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

import safetensors.torch
import torch
import yaml

import mutations

SECONDS = 10
MEMORY = 8 << 30
SUFFIX = {"pt": ".pt", "torchscript": ".ts", "safetensors": ".safetensors", "schema": ".yaml"}


def suffix_of(form, content):
    return ".json" if form == "schema" and content[:1] == b"{" else SUFFIX[form]


def flat(value, prefix="", above=()):
    """Tensors under the dotted names that the program gives them. A container that holds itself is entered once."""
    if isinstance(value, torch.Tensor):
        yield prefix, value
        return
    if id(value) in above:
        return
    if isinstance(value, dict):
        entries = [(key, one) for key, one in value.items() if type(key) in (str, int)]
    elif isinstance(value, (list, tuple)):
        entries = enumerate(value)
    else:
        return
    for key, one in entries:
        yield from flat(one, f"{prefix}.{key}" if prefix else str(key), (*above, id(value)))


def facts(tensor):
    assert tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu", tensor.layout
    # A clone, since one element of any stride is contiguous as it is, and no view of bytes.
    plain = tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format).reshape(-1)
    values = plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return str(tensor.dtype), tuple(tensor.shape), hashlib.sha256(values).hexdigest()


def dtype_name(text):
    """torch's own name: `float` is float32."""
    dtype = getattr(torch, text)
    assert isinstance(dtype, torch.dtype), text
    return str(dtype).removeprefix("torch.")


def size(text):
    """Of YAML every scalar comes as a text, so that 010 and yes are what they are here (docs/security.md, case 80)."""
    assert type(text) is int or re.fullmatch("[+-]?[0-9]+", text), text
    return int(text)


def document_of(path):
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except ValueError:
            pass  # the program takes what JSON is not as YAML
    return yaml.load(text, yaml.BaseLoader)


def read_by_python(form, path):
    """What the format's own reader gives; it may raise, die or hang."""
    if form == "pt":
        return torch.load(path, weights_only=True, mmap=False)
    if form == "torchscript":
        return dict(torch.jit.load(path, map_location="cpu").state_dict())
    if form == "safetensors":
        return safetensors.torch.load(path.read_bytes())
    return document_of(path)


def facts_of(form, value):
    """Names and what is compared of each; nothing in here may be taken for a refusal."""
    if form == "schema":
        return {name: (dtype_name(one["dtype"]), tuple(map(size, one["shape"])))
                for name, one in value["tensors"].items()}
    found = list(flat(value))
    names = {name for name, _ in found}
    assert len(names) == len(found), "Python has a name twice"
    return {name: facts(one) for name, one in found}


def difference(ours, theirs):
    if set(ours) != set(theirs):
        return f"names: only ours {sorted(set(ours) - set(theirs))[:3]}, Python's {sorted(set(theirs) - set(ours))[:3]}"
    return next((f"{name!r}: {ours[name]} here, {theirs[name]} in Python"[:400]
                 for name in ours if ours[name] != theirs[name]), "")


def compare(form, path, output, listed):
    """["refused"], ["read"], or ["read", what is wrong]; `output` and `listed` are what the program made of it."""
    try:
        value = read_by_python(form, pathlib.Path(path))
    except Exception:
        return ["refused"]
    if output is None and listed is None:
        return ["read"]
    try:
        if listed is not None:
            ours = {name: (dtype, tuple(shape)) for name, dtype, shape in listed}
        else:
            written = "safetensors" if form == "safetensors" else "pt"
            ours = facts_of(written, read_by_python(written, pathlib.Path(output)))
        return ["read", difference(ours, facts_of(form, value))]
    except Exception:
        return ["read", traceback.format_exc()[-800:]]


class Reader:
    """Reads in a process of its own, which a file may kill or keep; the next file then has a new one."""

    CASES = 500  # then a new one too: what torch.jit.load leaves behind grows

    def __init__(self):
        self.child, self.left = None, 0

    def start(self):
        requests, self.to = os.pipe()
        self.reply, replies = os.pipe()
        self.child, self.left = os.fork(), self.CASES
        if self.child:
            os.close(requests)
            os.close(replies)
            return
        try:
            os.close(self.to)
            os.close(self.reply)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            warnings.simplefilter("ignore")
            with os.fdopen(requests) as lines:
                for line in lines:
                    os.write(replies, json.dumps(compare(*json.loads(line))).encode() + b"\n")
        finally:
            os._exit(1)

    def stop(self):
        if self.child:
            os.close(self.to)
            os.close(self.reply)
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            self.child = None

    def ask(self, *question):
        if not self.left:
            self.stop()
        if not self.child:
            self.start()
        self.left -= 1
        answer, end = b"", time.monotonic() + SECONDS
        os.write(self.to, json.dumps(question).encode() + b"\n")
        while not answer.endswith(b"\n"):
            ready = select.select([self.reply], [], [], max(0, end - time.monotonic()))[0]
            more = os.read(self.reply, 1 << 16) if ready else b""
            if not more:  # dead, or too slow
                self.stop()
                return None
            answer += more
        return json.loads(answer)


class Runner:
    def __init__(self, program, form, seed, folder):
        self.program, self.form, self.folder = program, form, pathlib.Path(folder)
        self.drawer, self.reader = mutations.Drawer(form, seed), Reader()

    def regraft(self, *arguments):
        result = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, timeout=SECONDS,
                                check=False)
        if result.returncode not in (0, 1, 2, 3):
            raise AssertionError(f"exit status {result.returncode}: {result.stderr[-500:]}")
        if result.returncode and b"error[" not in result.stderr:
            raise AssertionError(f"exit status {result.returncode} and no error: {result.stderr[-500:]}")
        return result

    def case(self, index):
        """Who reads the file: "both", "program", "python" or "neither". Raises AssertionError."""
        content = self.drawer.draw(index)
        path = self.folder / f"m{suffix_of(self.form, content)}"
        path.write_bytes(content)
        output = self.folder / ("out.safetensors" if self.form == "safetensors" else "out.pt")
        try:
            return self.judge(path, output)
        finally:
            for one in self.folder.iterdir():
                one.unlink()

    def judge(self, path, output):
        inspected = self.regraft("inspect", "--json", path.name)
        accepted, listed, written = inspected.returncode == 0, None, None
        if self.form != "schema":
            result = self.regraft("apply", path.name, "-o", output.name, "--root", "", "--extras", "drop", "--no-sync")
            assert accepted or result.returncode, "apply takes what inspect refuses"
            accepted = result.returncode == 0
            written = output if accepted else None
        elif accepted:
            listed = [(one["name"], one["dtype"], one["shape"]) for one in json.loads(inspected.stdout)["tensors"]]
        left = sorted(one.name for one in self.folder.iterdir())
        assert left == sorted(one.name for one in (path, written) if one), f"left behind: {left}"
        return self.both(path, written, listed, accepted)

    def both(self, path, written, listed, accepted):
        question = (self.form, str(path), str(written) if written else None, listed)
        said = self.reader.ask(*question)
        if accepted and (said is None or said[1:] not in ([], [""])):
            # A reader that a former file broke has no say: the same in a new one. What it dies of is either the
            # input, which Python then does not read, or the comparison, which has to hold.
            self.reader.stop()
            alone = self.reader.ask(self.form, str(path), None, None)
            said = self.reader.ask(*question) if alone == ["read"] else ["refused"]
            assert said is not None, "Python reads the input and dies of the output"
        reads = said is not None and said[0] == "read"
        if accepted and reads:
            assert not said[1], said[1]
        if accepted:
            return "both" if reads else "program"
        return "python" if reads else "neither"


def run_cases(arguments):
    program, form, seed, indexes = arguments
    torch.set_num_threads(1)
    outcomes, failures = collections.Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(program, form, seed, folder)
        for index in indexes:
            try:
                outcomes[runner.case(index)] += 1
            except subprocess.TimeoutExpired:
                failures.append((index, f"no end in {SECONDS} s"))
            except AssertionError as fault:
                failures.append((index, str(fault)))
            except Exception:
                failures.append((index, traceback.format_exc()))
        runner.reader.stop()
    return form, outcomes, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=lambda text: str(pathlib.Path(text).absolute()))
    parser.add_argument("--cases", type=int, default=20_000, help="of each format")
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--only", help="FORMAT/INDEX; its file is kept")
    options = parser.parse_args()
    if options.only:
        form, index = options.only.split("/")
        content = mutations.Drawer(form, options.seed).draw(int(index))
        path = pathlib.Path(f"mutated-{form}-{index}{suffix_of(form, content)}")
        path.write_bytes(content)
        print(f"kept as {path}")
        chunks = [(options.program, form, options.seed, [int(index)])]
    else:
        print(f"seed {options.seed}, {options.cases} files of each format")
        chunks = [(options.program, form, options.seed, range(begin, min(begin + 250, options.cases)))
                  for begin in range(0, options.cases, 250) for form in mutations.FORMATS]
    outcomes, failed = {form: collections.Counter() for form in mutations.FORMATS}, 0
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for form, counts, failures in pool.imap_unordered(run_cases, chunks):
            outcomes[form] += counts
            for index, why in failures:
                failed += 1
                print(f"FAILED {form}/{index}: {why}\n  again: build/venv/bin/python tests/mutate/run.py build/regraft "
                      f"--seed {options.seed} --only {form}/{index}", flush=True)
    for form, counts in outcomes.items():
        print(f"{form}: {counts['both']} read by both alike, {counts['program']} by the program alone, "
              f"{counts['python']} by Python alone, {counts['neither']} by neither")
    passed = sum(sum(counts.values()) for counts in outcomes.values())
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
