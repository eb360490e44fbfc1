"""The names of 100,000 tensors under 1,000 rename rules, from the start of the process to its end."""
import json
import subprocess

from data import write_safetensors
from measure import IMPORT_TORCH, Rounds, milliseconds, once, output_of, python, show, show_time
from places import DATA, PROGRAM

RULES, TENSORS = 1_000, 100_000
LOOP_SECONDS = 60  # the most that the loop in Python may take
LOOP = """
    import json, re, struct, sys
    with open(sys.argv[1], "rb") as file:
        names = list(json.loads(file.read(struct.unpack("<Q", file.read(8))[0])))
    rules = [line.rstrip("\\n").split("\\t") for line in open(sys.argv[2])]
    for pattern, to in rules:
        sub = re.compile(pattern).sub
        names = [sub(to, name, count=1) for name in names]
    if len(set(names)) != len(names):
        raise SystemExit("names collide")
"""


def run(options):
    source, spec, table = DATA / "names.safetensors", DATA / "names.yaml", DATA / "names.tsv"
    names = [f"layers.{i % RULES}.block.{i // RULES}.weight" for i in range(TENSORS)]
    write_safetensors(source, dict.fromkeys(names, bytes(4)))
    patterns = [(rf"^layers\.{i}\.", f"stages.{i}.") for i in range(RULES)]
    table.write_text("".join(f"{pattern}\t{to}\n" for pattern, to in patterns))
    spec.write_text("regraft: 1\nrules:\n" + "".join(f"  - rename: '{pattern}'\n    to: '{to}'\n"
                                                     for pattern, to in patterns))
    command = [PROGRAM, "plan", str(spec), str(source)]
    report = json.loads(output_of([*command, "--json"]))
    if [one["name"] for one in report["tensors"]] != [name.replace("layers", "stages", 1) for name in names]:
        raise SystemExit("the plan has other names")
    rounds = Rounds({"plan": command, "import torch": IMPORT_TORCH}).run(options.repeats)
    comparisons = [rounds.compare("plan", "import torch")]
    comparisons[0]["must_ms"], comparisons[0]["aim_ms"] = 500, 200
    show("plan: 100,000 tensors, 1,000 rename rules; the yardstick is `python -c 'import torch'`", comparisons)
    ours = comparisons[0]["ours_ms"]
    print(f"  goal: 500 ms; it takes {show_time(ours)}")
    # The same in Python takes too long to be repeated, so it is run once.
    try:
        loop = milliseconds(once(python(LOOP, source, table), limit=LOOP_SECONDS).wall)
        print(f"  a loop over `re`, rule by rule, run once: {show_time(loop)}, {loop / ours:.0f} times as long")
    except subprocess.TimeoutExpired:
        loop = None
        print(f"  a loop over `re`, rule by rule: not done after {LOOP_SECONDS} s")
    return {"comparisons": comparisons, "tensors": TENSORS, "rules": RULES,
            "python_loop_once_ms": loop, "python_loop_limit_ms": LOOP_SECONDS * 1000}
