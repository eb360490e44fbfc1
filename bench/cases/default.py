"""All defaults but --no-sync, so with checksums and digests, two threads: beside cp of the same file."""
from data import halves
from migrations import RENAME, Runs, TWO, each_format


def runs_of(source, kind):
    return Runs("rename", RENAME, source).ours(f"{kind}, defaults", ["--no-sync", *TWO]).compare(f"{kind}, defaults", must=0.8, aim=0.65)


def run(options):
    return each_format("default", halves(options.size), options, runs_of)
