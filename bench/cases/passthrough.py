"""Every name changes and nothing else, in the same format: beside cp of the same file, with one thread and with two."""
from data import halves
from migrations import ONE, PLAIN, RENAME, Runs, TWO, each_format


def runs_of(source, kind):
    runs = Runs("rename", RENAME, source).ours(f"{kind}, 1 thread", PLAIN + ONE).ours(f"{kind}, 2 threads", PLAIN + TWO)
    return runs.compare(f"{kind}, 1 thread", must=1.0, aim=0.65).compare(f"{kind}, 2 threads", must=0.65, aim=0.5)


def run(options):
    return each_format(f"passthrough, {' '.join(PLAIN)}", halves(options.size), options, runs_of)
