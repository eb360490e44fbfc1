"""Every matrix is transposed: beside cp of the same file, and beside Python."""
from data import halves
from migrations import Migration, ONE, PLAIN, Runs, TWO, each_format

TRANSPOSE = Migration("regraft: 1\nrules:\n  - transpose: .\n    dims: [0, 1]\n", """
    def migrate(state):
        return {name: tensor.T.contiguous() for name, tensor in state.items()}
""")


def runs_of(source, kind):
    runs = Runs("transpose", TRANSPOSE, source).python()
    for threads, flags, must, aim in (("1 thread", ONE, 2.0, 1.6), ("2 threads", TWO, 1.2, 1.0)):
        runs.ours(f"{kind}, {threads}", PLAIN + flags).compare(f"{kind}, {threads}", must=must, aim=aim)
    return runs.compare(f"{kind}, 2 threads", "Python")


def run(options):
    return each_format("transpose", halves(options.size), options, runs_of)
