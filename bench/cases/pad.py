"""A large file into a model whose matrices are larger both ways, beside cp of the same file and beside torch."""
from data import tensors_of, write_schema
from migrations import measure_migration
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


def run(options):
    spec, target = DATA / "pad.yaml", DATA / "larger.json"
    spec.write_text("regraft: 1\npolicy:\n  shape: pad\n")

    def arguments(source):
        write_schema(target, {name: (dtype, [size + MORE for size in shape])
                              for name, (dtype, shape) in tensors_of(source).items()})
        return [spec, source, "-t", target]

    result = measure_migration(f"every matrix gets {MORE} rows and {MORE} columns", options, arguments, MIGRATE)
    return {**result, "more_rows_and_columns": MORE}
