"""Every name changes and nothing else, in the same format: beside cp of the same file, with one thread and with two."""
from data import halves
from migrations import ONE, PLAIN, RENAME, Runs, TWO, size_of


def run(options):
    comparisons = []
    for source in halves(options.size).values():
        kind = source.suffix[1:]
        runs = Runs("rename", RENAME, source).ours(f"{kind}, 1 thread", PLAIN + ONE).ours(f"{kind}, 2 threads", PLAIN + TWO)
        runs.compare(f"{kind}, 1 thread", must=1.0, aim=0.65).compare(f"{kind}, 2 threads", must=0.65, aim=0.5)
        comparisons += runs.run(f"passthrough: {size_of(source)}, {' '.join(PLAIN)}", options)
    return {"comparisons": comparisons, "mib": options.size}
