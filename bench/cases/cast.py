"""Every tensor from float16 to bfloat16: beside cp of the same file, and beside Python."""
from data import halves
from migrations import Migration, ONE, PLAIN, Runs, TWO, each_format

CAST = Migration("regraft: 1\nrules:\n  - cast: .\n    dtype: bfloat16\n", """
    def migrate(state):
        return {name: tensor.to(torch.bfloat16) for name, tensor in state.items()}
""")


def runs_of(source, kind):
    runs = Runs("cast", CAST, source).python()
    for threads, flags in (("1 thread", ONE), ("2 threads", TWO)):
        runs.ours(f"{kind}, {threads}", PLAIN + flags).compare(f"{kind}, {threads}", must=1.5, aim=1.15)
    return runs.compare(f"{kind}, 2 threads", "Python")


def run(options):
    return each_format("cast from float16 to bfloat16", halves(options.size), options, runs_of)
