"""Nine of ten tensors are dropped: what is dropped should cost nothing. Beside 0.15 of cp of the whole file and 20 ms."""
from data import halves
from migrations import Migration, PLAIN, Runs, TWO, each_format

DROP = Migration("regraft: 1\nrules:\n  - drop: '[1-9]\\.weight$'\n", """
    def migrate(state):
        return {name: tensor for name, tensor in state.items() if name.endswith("0.weight")}
""")


def runs_of(source, kind):
    return Runs("drop90", DROP, source).ours(kind, PLAIN + TWO).compare(
        kind, must=1.0, than=lambda seconds: 0.15 * seconds["cp"].wall + 0.020, note=" x 0.15 + 20 ms")


def run(options):
    return each_format("drop90", halves(options.size), options, runs_of)
