"""All defaults but --no-sync, so with checksums and digests, two threads: beside cp of the same file."""
from data import halves
from migrations import RENAME, Runs, TWO, size_of


def run(options):
    comparisons = []
    for source in halves(options.size).values():
        name = f"{source.suffix[1:]}, defaults"
        runs = Runs("rename", RENAME, source).ours(name, ["--no-sync", *TWO]).compare(name, must=0.8, aim=0.65)
        comparisons += runs.run(f"default: {size_of(source)}", options)
    return {"comparisons": comparisons, "mib": options.size}
