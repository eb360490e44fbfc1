"""Tensors that become one, which is bytes after bytes."""
from migrations import PLAIN, Runs, TWO, each_format


def measure(case, migration, files, options, must, aim):
    def runs_of(source, kind):
        runs = Runs(case, migration, source).python().ours(kind, PLAIN + TWO)
        return runs.compare(kind, must=must, aim=aim).compare(kind, "Python")

    return each_format(case, files, options, runs_of)
