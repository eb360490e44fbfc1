"""Runs the engine on a case and says where it differs from the reference."""
import json
import subprocess

import numpy
import safetensors.torch
import torch

import reports
from regraft_reference import addresses, agrees, read_safetensors
from reports import text

REPORT = "report.json"
DECIDED = {"policy", "expect", "dtype", "shape", "initial", "no-values"}       # aims of which the failing report has decisions
TIMEOUT = 120
TILES = ["1", "0", "512KiB"]  # the smallest that there can be, none, and what is taken without being asked


def differences(program, case, folder):
    before = {path.name: path.stat().st_size for path in folder.iterdir()}
    sources = [case.source] + [f"{alias}={file}" for alias, file in case.others.items()]
    shared = ["spec.yaml", *sources] + (["-t", case.target] if case.target else []) + case.flags
    shared += [part for setting in case.settings for part in ("--set", setting)]
    apply = [program, "apply", *shared, "-o", case.output, "--report", REPORT, "--no-sync", "--progress", "off",
             "--threads", "4" if int(folder.name) % 2 else "1", "--tile-size", TILES[int(folder.name) % len(TILES)]]
    plan = [program, "plan", *shared, "--json"]
    applied = run(apply, folder)
    if applied is None:
        return ["apply does not end"]
    problems = []
    expected = case.outcome.exits or {0}
    if applied.returncode not in expected:
        problems.append(f"apply exits {applied.returncode}, the reference says {text(expected)} {case.outcome.messages}: "
                        f"{applied.stderr.decode(errors='replace').strip()[:2000]}")
    said = applied.stderr.decode(errors="replace")
    problems += [f"{code} is not reported: {said.strip()[:2000]}" for code in sorted(case.outcome.codes) if f"error[{code}]" not in said]
    left = {path.name for path in folder.iterdir()} - set(before) - {REPORT}
    if applied.returncode == 0:
        left -= {case.output}
    if left:
        problems.append(f"left behind: {sorted(left)}")
    if problems:
        return problems
    report, outcome = read_report(folder), case.outcome
    planned = run(plan, folder)
    if planned is None:
        return ["plan does not end"]
    if planned.returncode not in (outcome.plan_exits or {0}):
        problems.append(f"plan exits {planned.returncode}, the reference says {text(outcome.plan_exits or {0})}: "
                        f"{planned.stderr.decode(errors='replace').strip()[:2000]}")
        return problems
    try:
        plan_report = json.loads(planned.stdout) if planned.returncode < 2 else None
    except ValueError as error:
        return [f"plan --json: {error}"]
    if not outcome.plan_exits and planned.returncode == 0:
        problems += [f"plan: {problem}" for problem in reports.report_problems(outcome, plan_report)]
    if outcome.exits:
        if report is not None and report.get("verdict") != "failed":
            problems.append(f"verdict {report.get('verdict')!r}")
        if outcome.overflows:
            return problems + reports.overflow_problems(outcome, report, applied.stderr.decode(errors="replace"))
        if outcome.exits == {1}:
            # A report of a run that no policy was asked about need not have decisions.
            if report is not None and case.aim in DECIDED:
                problems += reports.report_problems(outcome, report, failed=True)
            problems += reports.refusal_problems(outcome, report)
            problems += [f"plan: {problem}" for problem in reports.refusal_problems(outcome, plan_report)]
        return problems
    if report is None:
        return problems + ["no report"]
    problems += reports.report_problems(outcome, report)
    file = folder / case.output
    reader = flat_problems if case.output.endswith(".safetensors") else pt_problems
    return problems + reader(outcome, file)


def run(command, folder):
    try:
        return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return None


def read_report(folder):
    file = folder / REPORT
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


# Outputs

def flat_problems(outcome, file):
    metadata, tensors = read_safetensors(file.read_bytes())
    problems = value_problems(outcome, {name.encode(): tensor for name, tensor in tensors.items()}, "safetensors")
    if metadata != outcome.metadata:
        problems.append(f"metadata {metadata}, the reference says {outcome.metadata}")
    if all(output.data.dtype != torch.float8_e8m0fnu for output in outcome.outputs.values()):
        try:                                           # torch's own loader does not know that one dtype of the format
            safetensors.torch.load_file(file)
        except Exception as error:                     # whatever a reader of the file stumbles over is a finding
            problems.append(f"safetensors cannot load the output: {error!r}")
    return problems


def pt_problems(outcome, file):
    try:
        loaded = torch.load(file, weights_only=True)
        mapped = torch.load(file, weights_only=True, mmap=True)
    except Exception as error:
        return [f"torch cannot load the output: {error!r}"]
    if not isinstance(loaded, dict):
        return [f"the output is a {type(loaded).__name__}"]
    tensors = {name.encode(): tensor for name, tensor in loaded.items()}
    problems = value_problems(outcome, tensors, "torch.load")
    problems += value_problems(outcome, {name.encode(): tensor for name, tensor in mapped.items()}, "torch.load(mmap=True)")
    return problems or sharing_problems(outcome, tensors)


def value_problems(outcome, tensors, reader):
    if list(tensors) != list(outcome.outputs):
        return [f"{reader}: names {list(tensors)}, the reference says {list(outcome.outputs)}"]
    problems = []
    for name, output in outcome.outputs.items():
        tensor = tensors[name]
        if tensor.dtype != output.data.dtype or list(tensor.shape) != output.shape:
            problems.append(f"{reader}: {name} is {tensor.dtype} {list(tensor.shape)}, the reference says "
                            f"{output.data.dtype} {output.shape}")
            continue
        right = agrees(output.data, tensor, output.close)
        if not right.all():
            place = tuple((~right).nonzero()[0].tolist())
            problems.append(f"{reader}: {name} has other values, {int((~right).sum())} of {right.numel()}; at {list(place)} "
                            f"{number(tensor[place])}, the reference says {number(output.data[place])}")
    return problems


def number(element):
    if element.dtype.is_floating_point or element.dtype.is_complex:
        element = element.to(torch.complex128 if element.dtype.is_complex else torch.float64)
    return element.item()


def sharing_problems(outcome, tensors):
    """Ties stay ties; overlapping views overlap as they did; what had nothing in common shares nothing. Views of one storage that
    do not overlap may or may not share it: that depends on how much of the storage is used."""
    problems = []
    known = [(name, output) for name, output in outcome.outputs.items() if tensors[name].numel()]
    places = {name: addresses(output.data) for name, output in known}
    for at, (first, one) in enumerate(known):
        for second, other in known[at + 1:]:
            shares = tensors[first].untyped_storage()._cdata == tensors[second].untyped_storage()._cdata
            if one.tie == other.tie:
                if not shares or layout(tensors[first]) != layout(tensors[second]):
                    problems.append(f"{first} and {second} are no longer tied")
            elif one.alike == other.alike:
                continue                               # whether these are tied the page does not say
            elif not one.storages & other.storages:
                if shares:
                    problems.append(f"{first} and {second} share a storage now")
            elif one.changed or other.changed:
                # Where a policy has taken a tie apart, the changed one stands alone.
                apart = shares and (one.made_of or other.made_of) in (one.tie[0], other.tie[0]) and one.tie[0] == other.tie[0]
                if apart and numpy.intersect1d(addresses(tensors[first]), addresses(tensors[second])).size:
                    problems.append(f"{first} and {second} overlap still")
            elif not overlaps_kept(places[first], places[second], tensors[first], tensors[second], shares):
                problems.append(f"{first} and {second} do not overlap as they did")
    return problems


def layout(tensor):
    return tensor.storage_offset(), tensor.stride()


def overlaps_kept(first, second, first_out, second_out, shares):
    common = numpy.intersect1d(first, second)
    if not len(common):
        return True
    if not shares:
        return False
    first_map = dict(zip(first.tolist(), addresses(first_out).tolist()))
    second_map = dict(zip(second.tolist(), addresses(second_out).tolist()))
    return all(first_map[address] == second_map[address] for address in common.tolist())
