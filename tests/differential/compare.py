"""Runs the engine on a case and says where it differs from the reference."""
import json
import struct
import subprocess

import numpy
import safetensors.torch
import torch

from regraft_reference import addresses, raw_bytes, read_safetensors

REPORT = "report.json"
TIMEOUT = 120


def differences(program, case, folder):
    before = {path.name: path.stat().st_size for path in folder.iterdir()}
    shared = ["spec.yaml", case.source] + (["-t", case.target] if case.target else [])
    shared += [part for setting in case.settings for part in ("--set", setting)]
    apply = [program, "apply", *shared, "-o", case.output, "--report", REPORT, "--no-sync", "--progress", "off"]
    plan = [program, "plan", *shared, "--json"]
    applied = run(apply, folder)
    if applied is None:
        return ["apply does not end"]
    problems = []
    expected = case.outcome.exits or {0}
    if applied.returncode not in expected:
        problems.append(f"apply exits {applied.returncode}, the reference says {text(expected)} {case.outcome.messages}: "
                        f"{applied.stderr.decode(errors='replace').strip()[:2000]}")
    left = {path.name for path in folder.iterdir()} - set(before) - {REPORT}
    if applied.returncode == 0:
        left -= {case.output}
    if left:
        problems.append(f"left behind: {sorted(left)}")
    if problems:
        return problems
    report = read_report(folder)
    planned = run(plan, folder)
    if planned is None:
        return ["plan does not end"]
    if planned.returncode not in (case.outcome.plan_exits or {0}):
        problems.append(f"plan exits {planned.returncode}, the reference says {text(case.outcome.plan_exits or {0})}: "
                        f"{planned.stderr.decode(errors='replace').strip()[:2000]}")
    if case.outcome.exits:
        if report is not None and report.get("verdict") != "failed":
            problems.append(f"verdict {report.get('verdict')!r}")
        # A report of a run that no policy was asked about need not have decisions.
        if report is not None and case.outcome.exits == {1} and case.aim in ("policy", "expect", "dtype"):
            problems += report_problems(case.outcome, report, failed=True)
        return problems
    if report is None:
        return problems + ["no report"]
    problems += report_problems(case.outcome, report)
    try:
        plan_report = json.loads(planned.stdout)
    except ValueError as error:
        problems.append(f"plan --json: {error}")
    else:
        for key, part in (("tensors", "status"), ("sources", "disposition")):
            if [(e["name"], e[part]) for e in plan_report[key]] != [(e["name"], e[part]) for e in report[key]]:
                # Which of tied names a format leaves out is only known with the output.
                if "first" not in case.spec.get("output", {}).get("ties", ""):
                    problems.append(f"plan and apply differ in {key}")
    file = folder / case.output
    reader = flat_problems if case.output.endswith(".safetensors") else pt_problems
    return problems + reader(case.outcome, file)


def run(command, folder):
    try:
        return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return None


def text(values):
    return " or ".join(map(str, sorted(values)))


def read_report(folder):
    file = folder / REPORT
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def report_problems(outcome, report, failed=False):
    problems = []
    if not failed and report.get("verdict") != "ok":
        problems.append(f"verdict {report.get('verdict')!r}")
    tensors = {entry["name"].encode(): entry for entry in report["tensors"]}
    if len(tensors) != len(report["tensors"]):
        problems.append("a tensor twice in the report")
    for name in sorted(tensors.keys() | outcome.statuses.keys()):
        wanted, entry = outcome.statuses.get(name), tensors.get(name)
        if wanted is None and failed and entry["status"] in ("unexpected", "error"):
            continue                                   # results that have no place, in a run that fails over them
        if wanted is None or entry is None:
            problems.append(f"tensors: {name} is {'not expected' if wanted is None else 'not there'}")
        elif entry["status"] not in wanted and wanted:
            problems.append(f"{name} is {entry['status']}, the reference says {text(wanted)}")
        elif not failed and name in outcome.sources and [source.encode() for source in entry["sources"]] != outcome.sources[name]:
            problems.append(f"{name} comes from {entry['sources']}, the reference says {outcome.sources[name]}")
    sources = {entry["name"].encode(): entry["disposition"] for entry in report["sources"]}
    if sources.keys() != outcome.dispositions.keys() or len(sources) != len(report["sources"]):
        problems.append(f"sources: {sorted(sources)}, the reference says {sorted(outcome.dispositions)}")
    for name in sources.keys() & outcome.dispositions.keys():
        if sources[name] not in outcome.dispositions[name]:
            problems.append(f"source {name} is {sources[name]}, the reference says {text(outcome.dispositions[name])}")
    matches = [entry["matches"] for entry in sorted(report["rules"], key=lambda entry: entry["rule"])]
    if matches != outcome.matches:
        problems.append(f"rules match {matches}, the reference says {outcome.matches}")
    return problems


# Outputs

def flat_problems(outcome, file):
    metadata, tensors = read_safetensors(file.read_bytes())
    problems = value_problems(outcome, {name.encode(): tensor for name, tensor in tensors.items()}, "safetensors")
    if metadata != outcome.metadata:
        problems.append(f"metadata {metadata}, the reference says {outcome.metadata}")
    if all(output.origin.data.dtype != torch.float8_e8m0fnu for output in outcome.outputs.values()):
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
        if tensor.dtype != output.origin.data.dtype or list(tensor.shape) != output.shape:
            problems.append(f"{reader}: {name} is {tensor.dtype} {list(tensor.shape)}, the reference says "
                            f"{output.origin.data.dtype} {output.shape}")
        elif raw_bytes(tensor) != raw_bytes(output.origin.data):
            problems.append(f"{reader}: {name} has other values")
    return problems


def sharing_problems(outcome, tensors):
    """Ties stay ties; overlapping views overlap as they did; what had nothing in common shares nothing. Views of one storage that
    do not overlap may or may not share it: that depends on how much of the storage is used."""
    problems = []
    known = [(name, output) for name, output in outcome.outputs.items() if tensors[name].numel()]
    places = {name: addresses(output.origin.data) for name, output in known}
    for at, (first, one) in enumerate(known):
        for second, other in known[at + 1:]:
            shares = tensors[first].untyped_storage()._cdata == tensors[second].untyped_storage()._cdata
            if one.tie == other.tie:
                if not shares or layout(tensors[first]) != layout(tensors[second]):
                    problems.append(f"{first} and {second} are no longer tied")
            elif one.origin.storage != other.origin.storage:
                if shares:
                    problems.append(f"{first} and {second} share a storage now")
            elif one.changed or other.changed:
                continue
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
