"""q, k and v of 32 layers become one tensor a layer: beside cp of the same file, and beside Python."""
from data import attention
from joining import measure
from migrations import Migration

FUSE = Migration(
    "regraft: 1\nrules:\n  - cat: ['\\.q\\.', '\\.k\\.', '\\.v\\.']\n    to: .qkv.\n    dim: 0\n", """
    def migrate(state):
        return {name.replace(".q.", ".qkv."): torch.cat([state[name.replace(".q.", f".{one}.")] for one in "qkv"])
                for name in state if ".q." in name}
""")


def run(options):
    return measure("qkv", FUSE, attention(options.size), options, must=1.1, aim=0.7)
