"""Every tensor from float16 to bfloat16: beside cp of the same file, and beside Python."""
from data import halves
from migrations import Migration, ONE, PLAIN, Runs, TWO, size_of

CAST = Migration("regraft: 1\nrules:\n  - cast: .\n    dtype: bfloat16\n", """
    def migrate(state):
        return {name: tensor.to(torch.bfloat16) for name, tensor in state.items()}
""")


def run(options):
    comparisons = []
    for source in halves(options.size).values():
        kind = source.suffix[1:]
        runs = Runs("cast", CAST, source).python()
        for threads, flags in (("1 thread", ONE), ("2 threads", TWO)):
            runs.ours(f"{kind}, {threads}", PLAIN + flags).compare(f"{kind}, {threads}", must=1.5, aim=1.15)
        runs.compare(f"{kind}, 2 threads", "Python")
        comparisons += runs.run(f"cast: {size_of(source)}, float16 to bfloat16", options)
    return {"comparisons": comparisons, "mib": options.size}
