"""Two threads beside one, of a pass-through: how many times as fast."""
from data import halves
from migrations import ONE, PLAIN, RENAME, Runs, TWO, each_format


def runs_of(source, kind):
    runs = Runs("rename", RENAME, source).ours(f"{kind}, 2 threads", PLAIN + TWO).ours(f"{kind}, 1 thread", PLAIN + ONE)
    return runs.compare(f"{kind}, 2 threads", f"{kind}, 1 thread", must=round(1 / 1.5, 3), aim=round(1 / 1.75, 3))


def run(options):
    return each_format("scale", halves(options.size), options, runs_of)
