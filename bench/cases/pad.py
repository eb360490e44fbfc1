"""Into a model whose matrices are larger both ways: beside cp of the same file, and beside Python."""
from data import halves, tensors_of, write_schema
from migrations import Migration, PLAIN, Runs, TWO, each_format
from places import DATA

MORE = 64  # rows, and columns
MIGRATE = f"""
    def migrate(state):
        new = {{}}
        for name, tensor in state.items():
            rows, columns = tensor.shape
            new[name] = tensor.new_zeros(rows + {MORE}, columns + {MORE})
            new[name][:rows, :columns] = tensor
        return new
"""


def runs_of(source, kind):
    target = DATA / "larger.json"
    write_schema(target, {name: (dtype, [size + MORE for size in shape])
                          for name, (dtype, shape) in tensors_of(source).items()})
    runs = Runs("pad", Migration("regraft: 1\npolicy:\n  shape: pad\n", MIGRATE, ["-t", target]), source).python()
    return runs.ours(kind, PLAIN + TWO).compare(kind).compare(kind, "Python")


def run(options):
    found = each_format(f"pad by {MORE} rows and columns", halves(options.size), options, runs_of)
    return {**found, "more_rows_and_columns": MORE}
