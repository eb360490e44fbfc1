"""A large file of which all names change and no value, beside cp of the same file and beside torch."""
from migrations import measure_migration
from places import DATA

MIGRATE = """
    def migrate(state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
"""


def run(options):
    spec = DATA / "rename.yaml"
    spec.write_text("regraft: 1\nrules:\n  - rename: '^module\\.'\n    to: ''\n")
    return measure_migration("every name changes", options, lambda source: [spec, source], MIGRATE)
