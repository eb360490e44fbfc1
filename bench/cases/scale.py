"""Two threads beside one, of a pass-through: how many times as fast."""
from data import halves
from migrations import ONE, PLAIN, RENAME, Runs, TWO, size_of


def run(options):
    comparisons = []
    for source in halves(options.size).values():
        kind = source.suffix[1:]
        runs = Runs("rename", RENAME, source).ours(f"{kind}, 2 threads", PLAIN + TWO).ours(f"{kind}, 1 thread", PLAIN + ONE)
        runs.compare(f"{kind}, 2 threads", f"{kind}, 1 thread", must=round(1 / 1.5, 3), aim=round(1 / 1.75, 3))
        comparisons += runs.run(f"scale: {size_of(source)}", options)
    return {"comparisons": comparisons, "mib": options.size}
