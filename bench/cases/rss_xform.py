"""Memory that no file stands behind, of tensors of 64 MiB that are transposed, cast, and computed with LibTorch."""
from data import large
from memory import anonymous_mib
from migrations import Migration, Runs
from sizes import show

EACH = 64  # MiB
WAYS = {
    "transpose": "  - transpose: .\n    dims: [0, 1]\n",
    "cast to bfloat16": "  - cast: .\n    dtype: bfloat16\n",
    "cast to float64, by LibTorch": "  - cast: .\n    dtype: float64\n",
}


def run(options):
    source = large(min(options.size, 512), EACH)[".safetensors"]
    found = []
    for what, rule in WAYS.items():
        runs = Runs("xform", Migration("regraft: 1\nrules:\n" + rule, ""), source).ours("regraft", ["--no-sync"], check=False)
        most = max(anonymous_mib(runs.commands["regraft"], [runs.output]) for _ in range(3))
        runs.output.unlink()
        largest = EACH * (2 if "float64" in what else 1)
        found.append({"what": f"{what}; the largest tensor has {largest} MiB", "mib": round(most, 1), "must": 120 + 2 * largest,
                      "aim": 64 + EACH})
    show("rss-xform: anonymous memory of a transform, the most of 3 runs", found)
    return {"memory": found}
