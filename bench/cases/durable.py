"""All defaults, so with the data on the disk at the end: beside cp and sync of the same file."""
from data import halves
from migrations import RENAME, Runs, TWO, each_format


def runs_of(source, kind):
    runs = Runs("rename", RENAME, source).ours(f"{kind}, defaults", TWO)
    runs.beside("cp and sync", ["sh", "-c", 'cp "$0" "$1" && sync "$1"', str(source), str(runs.output)])
    return runs.compare(f"{kind}, defaults", "cp and sync", must=0.8, aim=0.7)


def run(options):
    return each_format("durable", halves(options.size), options, runs_of)
