"""64 experts of 16 layers are stacked: beside cp of the same file, and beside Python."""
from data import experts
from joining import measure
from migrations import Migration

STACK = Migration(
    "regraft: 1\nrules:\n  - stack: '\\.experts\\.(\\d+)\\.'\n    to: .experts.\n", """
    def migrate(state):
        return {f"layers.{i}.experts.weight": torch.stack([state[f"layers.{i}.experts.{j}.weight"] for j in range(64)])
                for i in range(16)}
""")


def run(options):
    return measure("experts", STACK, experts(options.size), options, must=1.1, aim=0.7)
