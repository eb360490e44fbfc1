"""Checksums of the source and digests in the report, beside the same without them; two threads."""
from data import halves
from migrations import PLAIN, RENAME, Runs, TWO, each_format


def runs_of(source, kind):
    runs = Runs("rename", RENAME, source).ours(f"{kind}, on", ["--no-sync", *TWO]).ours(f"{kind}, off", PLAIN + TWO)
    return runs.compare(f"{kind}, on", f"{kind}, off", must=1.25, aim=1.10)


def run(options):
    return each_format("verify", halves(options.size), options, runs_of)
