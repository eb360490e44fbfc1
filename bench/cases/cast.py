"""A large file of float32 into a model of bfloat16, beside cp of the same file and beside torch."""
from data import tensors_of, write_schema
from migrations import measure_migration
from places import DATA

MIGRATE = """
    def migrate(state):
        return {name: tensor.to(torch.bfloat16) for name, tensor in state.items()}
"""


def run(options):
    spec, target = DATA / "cast.yaml", DATA / "bfloat16.json"
    spec.write_text("regraft: 1\npolicy:\n  dtype: cast\n")

    def arguments(source):
        write_schema(target, {name: ("bfloat16", shape) for name, (_, shape) in tensors_of(source).items()})
        return [spec, source, "-t", target]

    return measure_migration("every tensor from float32 to bfloat16", options, arguments, MIGRATE)
