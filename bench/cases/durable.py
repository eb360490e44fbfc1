"""All defaults, so with the data on the disk at the end: beside cp and sync of the same file."""
from data import halves
from migrations import RENAME, Runs, TWO, size_of


def run(options):
    comparisons = []
    for source in halves(options.size).values():
        name = f"{source.suffix[1:]}, defaults"
        runs = Runs("rename", RENAME, source).ours(name, TWO)
        runs.beside("cp and sync", ["sh", "-c", 'cp "$0" "$1" && sync "$1"', str(source), str(runs.output)])
        runs.compare(name, "cp and sync", must=0.8, aim=0.7)
        comparisons += runs.run(f"durable: {size_of(source)}", options)
    return {"comparisons": comparisons, "mib": options.size}
