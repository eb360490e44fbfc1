"""The counts of a report, derived again by a reading of source, target and output that knows nothing of the program.

Every element is a number that says where it comes from: 1000 to 1999 in a source, 3000 up in a target, and what policies make is
smaller. Interpolated numbers lie where those of the source do.
"""

import json
import math
import random
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import run, succeed

PREFIX = "module."
STATUSES = ("loaded", "transformed", "adapted", "kept", "initialised", "skipped", "omitted", "error", "unexpected")
DISPOSITIONS = ("used", "dropped", "skipped", "unexpected-dropped", "unexpected-kept", "error")


# --- a migration with every status ------------------------------------------------------------------------


class Numbers:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.of_source = self.random.sample(range(1000, 2000), 1000)

    def source(self, *shape, dtype=torch.float32):
        taken = [self.of_source.pop() for _ in range(math.prod(shape))]
        return torch.tensor(taken, dtype=dtype).reshape(shape)

    def target(self, *shape, dtype=torch.float32):
        taken = [self.random.randrange(3000, 4000) for _ in range(math.prod(shape))]
        return torch.tensor(taken, dtype=dtype).reshape(shape)

    def size(self):
        return self.random.randint(2, 5)


def draw(seed, ties, values):
    """The state dicts of a source and of a target, and the spec between them; `values`: the target has some."""
    numbers = Numbers(seed)
    size, dtypes = numbers.size, [torch.float32, torch.float32, torch.float64, torch.float16, torch.int64, torch.int32]
    source, target, policy = {}, {}, {"missing": [], "shape": [], "unexpected": [], "dtype": []}
    names = [f"layers.{number}.weight" for number in range(60)]
    numbers.random.shuffle(names)

    def meet(before, after, case=None, dtype=torch.float32, cast=None):
        """A name of both sides."""
        name = names.pop()
        source[PREFIX + name] = numbers.source(*before, dtype=dtype)
        target[name] = numbers.target(*after, dtype=cast or dtype)
        if case:
            policy["shape"].append({"match": {"exact": name}, **case})
        return name

    def lack(case, dtype=torch.float32):
        """A name of the target alone."""
        name = names.pop()
        target[name] = numbers.target(size(), size(), dtype=dtype)
        policy["missing"].append({"match": {"exact": name}, **case})
        return name

    for _ in range(numbers.random.randint(2, 4)):
        shape = [size() for _ in range(numbers.random.randint(1, 3))]
        meet(shape, shape, dtype=numbers.random.choice(dtypes))
    meet([], [])
    meet([1], [])
    meet([0, 3], [0, 3])
    for dtype, cast in ((torch.float32, torch.float16), (torch.float16, torch.float64), (torch.int32, torch.int64)):
        shape = [size(), size()]
        meet(shape, shape, dtype=dtype, cast=cast)
    shape = [size()]
    policy["dtype"].append({"match": {"exact": meet(shape, shape, cast=torch.float64)}, "do": "source"})

    a, b = size(), size()
    meet([a, b], [a + 2, b], {"do": "pad"})
    meet([a, b], [a, b + 1], {"do": "pad", "align": "end", "fill": 7}, dtype=torch.int64)
    meet([a + 2, b], [a, b], {"do": "slice", "align": "center"})
    meet([a, b + 2], [a + 1, b], {"do": "pad_slice", "dims": [0, -1], "fill": -1}, cast=torch.float16)
    meet([a, b], [b * a], {"do": "reshape"})
    meet([1, 10, 2], [1, 17, 2], {"do": "interpolate", "prefix_tokens": 1, "antialias": True})
    own = {} if values else {"or": "omit"}
    meet([a, b], [a + 3, b + 1], {"do": "pad", "align": "center", "fill": "keep", **own})
    meet([a], [a + 2], {"do": "pad", "fill": "keep", **own}, dtype=torch.float16)
    meet([a, b], [a, b, 2], {"do": "skip", **own})
    meet([a], [a + 1], {"do": "skip", **own}, dtype=torch.int64)

    for dtype in (torch.float32, torch.float16):
        lack({"do": "keep"}, dtype)
    for case in ({"do": "omit"}, {"do": "zeros"}, {"do": "ones"}, {"do": "arange"}, {"do": "normal", "std": 0.02}):
        lack(case)
    for do in ("keep", "drop", "drop"):
        name = names.pop()
        source[PREFIX + name] = numbers.source(size(), size())
        policy["unexpected"].append({"match": {"exact": name}, "do": do})
    dropped = [PREFIX + names.pop() for _ in range(3)]
    for name in dropped:
        source[name] = numbers.source(size())

    if ties:
        shape = [size(), size()]
        first, second, third, fourth = (meet(shape, shape) for _ in range(4))
        source[PREFIX + second] = source[PREFIX + first]      # in the source
        target[fourth] = target[third]                        # in the target, and nothing reaches the second
        del source[PREFIX + fourth]
    names = list(target)
    numbers.random.shuffle(names)
    rules = [{"drop": {"exact": dropped}}, {"rename": "^module\\.", "to": ""}]
    return source, {name: target[name] for name in names}, dropped, {"regraft": 1, "rules": rules, "policy": policy}


def save(state, path):
    if path.suffix == ".pt":
        torch.save(state, path)
    elif path.suffix == ".safetensors":
        save_file(state, path)
    else:
        entries = {name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
                   for name, tensor in state.items()}
        path.write_text(json.dumps({"regraft_schema": 1, "tensors": entries}))


def load(path):
    return torch.load(path, weights_only=True) if path.suffix == ".pt" else load_file(path)


# --- what the files say -----------------------------------------------------------------------------------


def amount(tensors):
    """As the report counts: each name, whatever shares its storage."""
    tensors = list(tensors)
    return {"tensors": len(tensors), "parameters": sum(one.numel() for one in tensors),
            "bytes": sum(one.numel() * one.element_size() for one in tensors)}


def origins(tensor):
    """How many elements come from a source, from a target, from neither."""
    numbers = tensor.double()
    of_source = int(((500 < numbers) & (numbers < 2500)).sum())
    of_target = int((numbers >= 2500).sum())
    return of_source, of_target, tensor.numel() - of_source - of_target


def derive(source, target, output, dropped):
    """Target name -> status, source name -> disposition, and the elements that sources fill."""
    statuses, covered = {}, 0
    for name, wanted in target.items():
        if name not in output:
            statuses[name] = "omitted"
            continue
        tensor, origin = output[name], source.get(PREFIX + name)
        assert tensor.shape == wanted.shape, name
        of_source, of_target, made = origins(tensor)
        if origin is None:
            assert tensor.numel() in (of_source, of_target, made), name
            statuses[name] = "loaded" if of_source else "kept" if of_target else "initialised"
        elif origin.numel() == tensor.numel() and origin.shape in (tensor.shape, (1,)):
            assert torch.equal(tensor, origin.reshape(tensor.shape).to(tensor.dtype)), name
            statuses[name] = "loaded"
        elif of_source:
            statuses[name] = "adapted"
        else:
            assert of_target == tensor.numel() and torch.equal(tensor, wanted), name
            statuses[name] = "skipped"
        covered += of_source
    statuses |= {name: "unexpected" for name in output if name not in target}

    fates = {}
    for full, tensor in source.items():
        name = full.removeprefix(PREFIX)
        if full in dropped:
            fates[full] = "dropped"
        elif name not in target:
            assert name not in output or torch.equal(output[name], tensor)
            fates[full] = "unexpected-kept" if name in output else "unexpected-dropped"
        else:
            fates[full] = "used" if statuses[name] in ("loaded", "adapted") else "skipped"
    return statuses, fates, covered


MIGRATIONS = [(source, target, output) for source in (".pt", ".safetensors") for output in (".pt", ".safetensors")
              for target in (".pt", ".safetensors", ".json")]


@pytest.mark.parametrize("seed", range(len(MIGRATIONS)))
def test_counts(tmp_path, seed):
    suffixes = MIGRATIONS[seed]
    files = [tmp_path / (name + suffix) for name, suffix in zip(("source", "target", "output"), suffixes)]
    ties = set(suffixes[:2]) == {".pt"}
    source, target, dropped, spec = draw(seed, ties, suffixes[1] != ".json")
    save(source, files[0])
    save(target, files[1])
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    shared = ["spec.yaml", files[0].name, "-t", files[1].name]
    text = succeed("apply", *shared, "-o", files[2].name, "--report", "report.json", "--no-sync", cwd=tmp_path).out
    report = json.loads((tmp_path / "report.json").read_text())
    output = load(files[2])
    statuses, fates, covered = derive(source, target, output, dropped)
    assert set(statuses.values()) == {"loaded", "adapted", "initialised", "omitted", "unexpected"} | (
        set() if suffixes[1] == ".json" else {"kept", "skipped"})
    assert set(fates.values()) == {*DISPOSITIONS} - {"error"}

    assert {one["name"]: one["status"] for one in report["tensors"]} == statuses
    assert {one["name"]: one["disposition"] for one in report["sources"]} == fates
    expected = {status: amount(output[name] if name in output else target[name] for name, one in statuses.items()
                               if one == status) for status in STATUSES}
    assert report["totals"] == {**expected, "target": amount(target.values())}
    expected = {fate: amount(source[name] for name, one in fates.items() if one == fate) for fate in DISPOSITIONS}
    assert report["sources_totals"] == {**expected, "sources": amount(source.values())}
    whole = sum(tensor.numel() for tensor in target.values())
    assert (report["coverage"]["elements_loaded"], report["coverage"]["elements"]) == (covered, whole)
    assert report["coverage"]["fraction"] == pytest.approx(covered / whole)
    loaded = re.search(r"^ loaded +(\d+) tensors +(\d+) of (\d+) parameters", text, re.MULTILINE)
    assert [int(number) for number in loaded.groups()] == [list(statuses.values()).count("loaded"), covered, whole]

    # The regions that were copied hold the source's numbers, and nothing else does.
    for one in report["tensors"]:
        if one.get("copied"):
            place = tuple(slice(*range_) for range_ in one["copied"]["to"])
            part = source[one["sources"][0]][tuple(slice(*range_) for range_ in one["copied"]["from"])]
            assert torch.equal(output[one["name"]][place], part.to(output[one["name"]].dtype)), one
            assert origins(output[one["name"]])[0] == part.numel(), one

    planned = json.loads(succeed("plan", *shared, "--json", cwd=tmp_path).out)
    for key in ("totals", "sources_totals", "coverage"):
        assert planned[key] == report[key], key


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_counts_of_what_is_refused(tmp_path, suffix):
    """Without a policy there is no output: names and shapes alone say what is an error."""
    source, target, dropped, spec = draw(100, False, True)
    save(source, tmp_path / f"source{suffix}")
    save(target, tmp_path / f"target{suffix}")
    (tmp_path / "spec.yaml").write_text(json.dumps({**spec, "policy": {}}))
    result = run("apply", "spec.yaml", f"source{suffix}", "-t", f"target{suffix}", "-o", "new.pt", "--json", cwd=tmp_path)
    assert result.status == 1 and not (tmp_path / "new.pt").exists(), str(result)
    report = json.loads(result.out)

    def fits(name):
        shape = source[PREFIX + name].shape if PREFIX + name in source else None
        return shape == target[name].shape or (shape == (1,) and target[name].shape == ())

    wrong = {name for name in target if not fits(name)}
    statuses = {name: "error" if name in wrong else "loaded" for name in target}
    assert {one["name"]: one["status"] for one in report["tensors"]} == statuses
    expected = {status: amount(target[name] for name, one in statuses.items() if one == status) for status in STATUSES}
    assert report["totals"] == {**expected, "target": amount(target.values())}
    assert {one["name"] for one in report["unexpected"]} == {
        full.removeprefix(PREFIX) for full in source if full not in dropped} - set(target)
    fates = {}
    for full in source:
        name = full.removeprefix(PREFIX)
        fates[full] = "dropped" if full in dropped else "error" if name not in target or name in wrong else "used"
    assert {one["name"]: one["disposition"] for one in report["sources"]} == fates
    assert report["sources_totals"] == {
        "sources": amount(source.values()),
        **{fate: amount(source[name] for name, one in fates.items() if one == fate) for fate in DISPOSITIONS}}
    covered = sum(target[name].numel() for name in target if name not in wrong)
    assert report["coverage"]["elements_loaded"] == covered
    assert report["coverage"]["elements"] == sum(tensor.numel() for tensor in target.values())
