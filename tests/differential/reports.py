"""What a JSON report has to say, by the reference."""
import math
from collections import Counter

from regraft_reference import dtypes

POLICY_CODES = {"missing", "unexpected", "shape-mismatch", "dtype-mismatch", "no-values", "tie-conflict"}


def text(values):
    return " or ".join(map(str, sorted(values)))


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
        elif entry["status"] not in wanted:
            problems.append(f"{name} is {entry['status']}, the reference says {text(wanted)}")
        else:
            problems += [f"{name}: {problem}" for problem in entry_problems(outcome, name, entry, failed)]
    sources = {entry["name"].encode(): entry["disposition"] for entry in report["sources"]}
    if sources.keys() != outcome.dispositions.keys() or len(sources) != len(report["sources"]):
        problems.append(f"sources: {sorted(sources)}, the reference says {sorted(outcome.dispositions)}")
    for name in sources.keys() & outcome.dispositions.keys():
        if sources[name] not in outcome.dispositions[name]:
            problems.append(f"source {name} is {sources[name]}, the reference says {text(outcome.dispositions[name])}")
    matches = [entry["matches"] for entry in sorted(report["rules"], key=lambda entry: entry["rule"])]
    if matches != outcome.matches:
        problems.append(f"rules match {matches}, the reference says {outcome.matches}")
    return problems or totals_problems(outcome, report)


def entry_problems(outcome, name, entry, failed):
    """One target tensor of which the status is right."""
    wanted = dict(outcome.expected.get(name, {}))
    status = entry["status"]
    if not failed:
        if outcome.sources.get(name) is not None:
            wanted["sources"] = [source.decode() for source in outcome.sources[name]]
        if name in outcome.outputs:
            wanted |= {"shape": outcome.outputs[name].shape, "dtype": outcome.outputs[name].dtype}
        elif len(outcome.statuses[name]) == 1:         # else it may be a tied name that a format leaves out
            wanted |= {"shape": None, "dtype": None}
    problems = [f"{key} {entry[key]}, the reference says {value}" for key, value in wanted.items() if entry[key] != value]
    if status == "error":
        return problems
    if outcome.lossy.get(name, False) is not None and bool(entry.get("lossy")) != bool(outcome.lossy.get(name, False)):
        problems.append(f"lossy is {entry.get('lossy')}")
    region = outcome.copied.get(name)
    copied = region and {"from": [list(pair) for pair in region.source], "to": [list(pair) for pair in region.target]}
    if entry.get("copied") != copied:
        problems.append(f"copied {entry.get('copied')}, the reference says {copied}")
    words = outcome.words.get(name)
    if words is not None and (entry["policy"] or {}).get("word") not in (words or {None}):
        problems.append(f"policy {entry['policy']}, the reference says {text(words)}")
    if name in outcome.untied and entry["untied"] != outcome.untied[name]:
        problems.append(f"untied is {entry['untied']}")
    tied_to = None if entry["tied_to"] is None else entry["tied_to"].encode()
    if name in outcome.tied_to and tied_to not in outcome.tied_to[name]:
        problems.append(f"tied to {tied_to}, the reference says {outcome.tied_to[name]}")
    return problems


def totals_problems(outcome, report):
    """Tensors, elements and bytes by status, each name counted: as written, or as the target has it where nothing is written."""
    problems = []
    if all(len(statuses) == 1 for statuses in outcome.statuses.values()):
        counts = Counter()
        for name, (status,) in outcome.statuses.items():
            if name in outcome.outputs:
                size = amount(outcome.outputs[name].shape, outcome.outputs[name].dtype)
            else:
                size = amount(outcome.expected[name]["target_shape"], outcome.expected[name]["target_dtype"])
            for key, value in size.items():
                counts[status, key] += value
        problems += tally_problems(counts, report["totals"], ("target",))
    if all(len(fates) == 1 for fates in outcome.dispositions.values()):
        counts = Counter()
        for name, (fate,) in outcome.dispositions.items():
            for key, value in amount(*outcome.source_tensors[name]).items():
                counts[fate, key] += value
        problems += tally_problems(counts, report["sources_totals"], ("sources",))
    coverage = report["coverage"]
    if outcome.coverage and (coverage["elements_loaded"], coverage["elements"]) != outcome.coverage:
        problems.append(f"coverage {coverage}, the reference says {outcome.coverage}")
    return problems


def amount(shape, dtype):
    elements = math.prod(shape)
    return {"tensors": 1, "parameters": elements, "bytes": elements * dtypes.torch_dtype(dtype).itemsize}


def tally_problems(counts, totals, others):
    return [f"totals: {status} has {value} {key}, the reference says {counts[status, key]}" for status, tally in totals.items()
            if status not in others for key, value in tally.items() if value != counts[status, key]]


# Refusals

def refusal_problems(outcome, report):
    """The codes of a run that the policies stop, and the names that each is raised for. A message may cut a long list of names."""
    if report is None or not report["complete"]:
        return []
    said = errors_of(report)
    problems = []
    for name, codes in outcome.refused.items():
        found = [code for code, words in said if f"'{name.decode()}'" in words or (code in codes and " more" in words)]
        if not codes & set(found):
            problems.append(f"{name} is refused with {found}, the reference says {text(codes)}")
    allowed = set().union(*outcome.refused.values())
    for code, words in said:
        if code in POLICY_CODES and code not in allowed:
            problems.append(f"{code}, which the reference does not have: {words}")
    return problems


def overflow_problems(outcome, report, messages):
    """A run that stops at a value. `messages` is what was printed."""
    said = [("cast-overflow", messages)] if "error[cast-overflow]" in messages else []
    if report is not None and report["diagnostics"]:
        said = errors_of(report)
    if [code for code, _ in said] != ["cast-overflow"] * len(said) or not said:
        return [f"codes {[code for code, _ in said]}, the reference says cast-overflow"]
    if not any(f"'{name.decode()}'" in words for name in outcome.overflows for _, words in said):
        return [f"cast-overflow for {said}, the reference says for {sorted(outcome.overflows)}"]
    return []


def errors_of(report):
    return [(diagnostic["code"], words_of(diagnostic)) for diagnostic in report["diagnostics"] if diagnostic["severity"] == "error"]


def words_of(diagnostic):
    notes = [part for note in diagnostic["notes"] for part in (note["message"], note["key"])]
    key = diagnostic["key"] and f"'{diagnostic['key']}'"
    return "\n".join(part for part in (diagnostic["message"], key, *notes) if part)
