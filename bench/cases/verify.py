"""Checksums of the source and digests in the report, beside the same without them; two threads."""
from data import halves
from migrations import PLAIN, RENAME, Runs, TWO, size_of


def run(options):
    comparisons = []
    for source in halves(options.size).values():
        kind = source.suffix[1:]
        runs = Runs("rename", RENAME, source).ours(f"{kind}, on", ["--no-sync", *TWO]).ours(f"{kind}, off", PLAIN + TWO)
        runs.compare(f"{kind}, on", f"{kind}, off", must=1.25, aim=1.10)
        comparisons += runs.run(f"verify: {size_of(source)}", options)
    return {"comparisons": comparisons, "mib": options.size}
