"""Small files, looked at and computed from, beside what any torch script pays before its first line."""
import struct

from data import read_safetensors, write_safetensors, write_schema
from measure import IMPORT_TORCH, Rounds, once, output_of, show
from places import DATA, PROGRAM


def inspect():
    """A look at a small file."""
    small = DATA / "small.safetensors"
    names = [f"layers.{i}.weight" for i in range(20)]
    write_safetensors(small, {name: bytes(64) for name in names})
    if output_of([PROGRAM, "inspect", "--keys", str(small)]).split() != names:
        raise SystemExit("inspect shows other names")
    return [PROGRAM, "inspect", str(small)]


def migrations(output):
    """One tensor that is cast, for which LibTorch is loaded, and the same with its dtype left as it is."""
    source, spec, target = DATA / "one.safetensors", DATA / "empty.yaml", DATA / "one.json"
    numbers = (1, -2, 0.5, 0)
    values = struct.pack("<4f", *numbers)
    write_safetensors(source, {"weight": values})
    write_schema(target, {"weight": ("float64", [4])})
    spec.write_text("regraft: 1\n")
    ours = [PROGRAM, "apply", str(spec), str(source), "-t", str(target), "-o", str(output), "--no-sync", "--progress", "off"]
    commands = {"cast": [*ours, "--dtype", "cast"], "no cast": [*ours, "--dtype", "source"]}
    for name, wanted in (("cast", ("F64", struct.pack("<4d", *numbers))), ("no cast", ("F32", values))):
        once(commands[name], [output])
        if read_safetensors(output) != {"weight": wanted}:
            raise SystemExit(f"{name} gives other values")
    return commands


def run(options):
    output = DATA / "new-one.safetensors"
    rounds = Rounds({"inspect": inspect(), **migrations(output), "import torch": IMPORT_TORCH}, [output])
    rounds.run(options.repeats)
    comparisons = [rounds.compare(ours, baseline) for ours, baseline in
                   (("inspect", "import torch"), ("cast", "import torch"), ("cast", "no cast"))]
    for one, must in zip(comparisons, (20, 350)):
        one["must_ms"] = must
    comparisons[0]["aim_ms"] = 5
    show("startup: `regraft inspect` of 20 tensors and `regraft apply` that casts one of 4 elements, beside "
         "`python -c 'import torch'`", comparisons)
    return {"comparisons": comparisons}
