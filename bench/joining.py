"""Tensors that become one, which is bytes after bytes."""
from migrations import PLAIN, Runs, TWO, size_of


def measure(case, migration, files, options, must, aim):
    comparisons = []
    for source in files.values():
        kind = source.suffix[1:]
        runs = Runs(case, migration, source).python().ours(kind, PLAIN + TWO)
        runs.compare(kind, must=must, aim=aim).compare(kind, "Python")
        comparisons += runs.run(f"{case}: {size_of(source)}", options)
    return {"comparisons": comparisons, "mib": options.size}
