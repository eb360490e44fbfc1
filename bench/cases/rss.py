"""Memory that no file stands behind, of a pass-through with all defaults, at --size and at four times of it."""
from data import halves
from memory import anonymous_mib
from migrations import RENAME, Runs
from sizes import show


def run(options):
    found = []
    for suffix in (".safetensors", ".pt"):
        for mib in (options.size, 4 * options.size):
            source = halves(mib)[suffix]
            runs = Runs("rename", RENAME, source).ours("regraft", ["--no-sync"], check=False)
            most = max(anonymous_mib(runs.commands["regraft"], [runs.output]) for _ in range(3))
            runs.output.unlink()
            found.append({"what": f"{suffix[1:]}, {mib} MiB", "mib": round(most, 1), "must": 48, "aim": 16})
            if mib != options.size:
                for path in halves(mib).values():  # large, and soon made again
                    path.unlink()
    show("rss: anonymous memory of a pass-through, the most of 3 runs", found)
    return {"memory": found}
