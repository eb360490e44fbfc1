"""Nine of ten tensors are dropped: what is dropped should cost nothing. Beside 0.15 of cp of the whole file and 20 ms."""
from data import halves
from migrations import Migration, PLAIN, Runs, TWO, size_of

DROP = Migration("regraft: 1\nrules:\n  - drop: '[1-9]\\.weight$'\n", """
    def migrate(state):
        return {name: tensor for name, tensor in state.items() if name.endswith("0.weight")}
""")


def run(options):
    comparisons = []
    for source in halves(options.size).values():
        name = source.suffix[1:]
        runs = Runs("drop90", DROP, source).ours(name, PLAIN + TWO)
        runs.compare(name, must=1.0, than=lambda seconds: 0.15 * seconds["cp"].wall + 0.020, note=" x 0.15 + 20 ms")
        comparisons += runs.run(f"drop90: {size_of(source)}", options)
    return {"comparisons": comparisons, "mib": options.size}
