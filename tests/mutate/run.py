"""Mutated files: no crash, no hang, nothing left behind, and none that the program and Python both read with
different tensors. What the program accepts is read by torch, safetensors or a YAML reader in a process of its own.

usage: run.py PROGRAM [--cases N] [--seed N] [--only FORMAT/INDEX]"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings

import safetensors.torch
import torch
import yaml

import mutations

SECONDS = 10
SUFFIX = {"pt": ".pt", "torchscript": ".ts", "safetensors": ".safetensors", "schema": ".yaml"}


class Unreadable(Exception):
    """What Python reads is no mapping of names to tensors as the program has it."""


def flat(value, prefix=""):
    """Tensors under the dotted names that the program gives them."""
    if isinstance(value, torch.Tensor):
        yield prefix, value
    elif isinstance(value, dict):
        for key, one in value.items():
            if type(key) not in (str, int):
                continue
            yield from flat(one, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, (list, tuple)):
        for i, one in enumerate(value):
            yield from flat(one, f"{prefix}.{i}" if prefix else str(i))


def raw(tensor):
    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return bytes(tensor.reshape(-1).view(torch.uint8).tolist()) if tensor.numel() else b""


def facts(tensor):
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise Unreadable
    return tensor.dtype, tuple(tensor.shape), raw(tensor)


def dtype_name(text):
    """torch's own name: `float` is float32."""
    dtype = getattr(torch, text)
    if not isinstance(dtype, torch.dtype):
        raise Unreadable
    return str(dtype).removeprefix("torch.")


def read_by_python(form, path):
    if form == "pt":
        return {name: facts(one) for name, one in flat(torch.load(path, weights_only=True))}
    if form == "torchscript":
        return {name: facts(one) for name, one in torch.jit.load(path, map_location="cpu").state_dict().items()}
    if form == "safetensors":
        return {name: facts(one) for name, one in safetensors.torch.load(path.read_bytes()).items()}
    # BaseLoader: every scalar is a text, so that 010 and yes are what they are here.
    document = yaml.load(path.read_text("utf-8"), yaml.BaseLoader)
    return {name: (dtype_name(one["dtype"]), tuple(int(size, 10) for size in one["shape"])) for name, one in document["tensors"].items()}


def difference(ours, theirs):
    if set(ours) != set(theirs):
        return f"names: only ours {sorted(set(ours) - set(theirs))[:3]}, only Python's {sorted(set(theirs) - set(ours))[:3]}"
    return next((f"{name!r}: {ours[name]} here, {theirs[name]} in Python"[:400] for name in ours if ours[name] != theirs[name]), "")


def in_a_child(work):
    """What `work` returns, or None if it raises, dies, or takes too long."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            signal.alarm(SECONDS)
            resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                os.write(writer, json.dumps(work()).encode()[:60_000])
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    return json.loads(said) if status == 0 else None


class Runner:
    def __init__(self, program, form, seed, folder):
        self.program, self.form, self.folder = program, form, pathlib.Path(folder)
        self.drawer = mutations.Drawer(form, seed)

    def regraft(self, *arguments):
        result = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, timeout=SECONDS, check=False)
        if result.returncode not in (0, 1, 2, 3):
            raise AssertionError(f"exit status {result.returncode}: {result.stderr[-500:]}")
        if result.returncode and b"error[" not in result.stderr:
            raise AssertionError(f"exit status {result.returncode} and no error: {result.stderr[-500:]}")
        return result

    def case(self, index):
        """What became of the case: "refused", "same", "python-refuses". Raises AssertionError."""
        content = self.drawer.draw(index)
        suffix = ".json" if self.form == "schema" and content[:1] == b"{" else SUFFIX[self.form]
        path = self.folder / f"m{suffix}"
        path.write_bytes(content)
        output = self.folder / ("out.safetensors" if self.form == "safetensors" else "out.pt")
        try:
            return self.judge(path, output)
        finally:
            for one in self.folder.iterdir():
                one.unlink()

    def judge(self, path, output):
        inspected = self.regraft("inspect", "--json", path.name)
        if self.form == "schema":
            if inspected.returncode:
                return "refused"
            listed = json.loads(inspected.stdout)["tensors"]
            ours = {one["name"]: (one["dtype"], tuple(one["shape"])) for one in listed}
            said = in_a_child(lambda: difference(ours, read_by_python(self.form, path)))
        else:
            result = self.regraft("apply", path.name, "-o", output.name, "--root", "", "--extras", "drop", "--no-sync")
            left = sorted(one.name for one in self.folder.iterdir())
            if result.returncode:
                assert left == [path.name], f"left behind: {left}"
                return "refused"
            assert left == sorted([path.name, output.name]), f"left behind: {left}"
            assert inspected.returncode == 0, "apply takes what inspect refuses"
            written = "safetensors" if self.form == "safetensors" else "pt"
            if in_a_child(lambda: len(read_by_python(self.form, path))) is None:
                return "python-refuses"
            assert in_a_child(lambda: len(read_by_python(written, output))) is not None, "Python cannot read the output"
            said = in_a_child(lambda: difference(read_by_python(written, output), read_by_python(self.form, path)))
        if said is None:
            return "python-refuses"
        assert not said, said
        return "same"


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
        path = pathlib.Path(f"mutated-{form}-{index}{SUFFIX[form]}")
        path.write_bytes(mutations.Drawer(form, options.seed).draw(int(index)))
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
                print(f"FAILED {form}/{index}: {why}\n  again: tests/mutate/run.py PROGRAM --seed {options.seed} --only {form}/{index}",
                      flush=True)
    for form, counts in outcomes.items():
        print(f"{form}: {counts['same']} read by both alike, {counts['python-refuses']} by the program alone, {counts['refused']} refused")
    passed = sum(sum(counts.values()) for counts in outcomes.values())
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
