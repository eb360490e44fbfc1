"""A migration of a file beside cp of it and beside the same by hand: what most cases are made of."""
import textwrap
from dataclasses import dataclass, field

from measure import Rounds, once, output_of, python, read_once, show
from places import DATA, PROGRAM

PLAIN = ["--no-sync", "--digest", "none", "--no-verify"]
ONE, TWO = ["--threads", "1"], ["--threads", "2"]


@dataclass
class Migration:
    """`spec`: its text. `migrate`: the same in Python, the text of a function of that name from a state dict to another."""
    spec: str
    migrate: str
    arguments: list = field(default_factory=list)  # of `apply`, behind the source


RENAME = Migration("regraft: 1\nrules:\n  - rename: '^module\\.'\n    to: ''\n", """
    def migrate(state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
""")

LOAD = {
    ".pt": "torch.load(sys.argv[1], weights_only=True)",
    ".safetensors": "safetensors.torch.load_file(sys.argv[1])",
}
LOAD_MAPPED = LOAD | {".pt": "torch.load(sys.argv[1], weights_only=True, mmap=True)"}  # safetensors always does
SAVE = {
    ".pt": "torch.save(migrate(state), sys.argv[2])",
    ".safetensors": "safetensors.torch.save_file(migrate(state), sys.argv[2])",
}
IMPORTS = {".pt": "import sys, torch", ".safetensors": "import sys, torch, safetensors.torch"}
SAME = """
    import sys, torch, safetensors.torch
    def load(path):
        if path.endswith(".pt"):
            return torch.load(path, weights_only=True, mmap=True)
        return safetensors.torch.load_file(path)
    def bytes_of(tensor):
        return tensor.reshape(-1).view(torch.uint8)
    wanted, found = migrate(load(sys.argv[1])), load(sys.argv[2])
    assert sorted(found) == sorted(wanted), "other names"
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape, name
        assert torch.equal(bytes_of(found[name]), bytes_of(tensor)), name
"""


def imports(suffix):
    return python(IMPORTS[suffix])


def by_hand(migration, source, output, load=None):
    """Python with the libraries that a person would take."""
    a, b = source.suffix, output.suffix
    needed = IMPORTS[".pt"] if a == b == ".pt" else IMPORTS[".safetensors"]
    return python("\n".join((needed, textwrap.dedent(migration.migrate), f"state = {(load or LOAD)[a]}", SAVE[b])), source,
                  output)


class Runs:
    """The commands of one source and one output, in turns; the output of ours is compared with what Python makes first."""

    def __init__(self, name, migration, source, suffix=None):
        self.migration, self.source = migration, source
        self.output = DATA / f"new{suffix or source.suffix}"
        self.spec = DATA / f"{name}.yaml"
        self.spec.write_text(migration.spec)
        read_once(source)
        self.commands = {"cp": ["cp", str(source), str(self.output)]}
        self.comparisons = []

    def ours(self, name, flags, check=True):
        command = [PROGRAM, "apply", str(self.spec), str(self.source), *map(str, self.migration.arguments), "-o",
                   str(self.output), "--progress", "off", *flags]
        self.commands[name] = command
        if check:
            once(command, [self.output])
            output_of(python(textwrap.dedent(self.migration.migrate) + textwrap.dedent(SAME), self.source, self.output))
        return self

    def beside(self, name, command):
        self.commands[name] = command
        return self

    def python(self, name="Python", load=None):
        return self.beside(name, by_hand(self.migration, self.source, self.output, load))

    def compare(self, ours, baseline="cp", must=None, aim=None, **more):
        self.comparisons.append((ours, baseline, must, aim, more))
        return self

    def run(self, title, options):
        """What a case returns."""
        rounds = Rounds(self.commands, [self.output]).run(options.repeats)
        found = [rounds.compare(ours, baseline, must, aim, **more) for ours, baseline, must, aim, more in self.comparisons]
        show(title, found)
        return found


def size_of(path):
    return f"{path.stat().st_size / 2**20:.0f} MiB of {path.suffix[1:]}"


def each_format(title, files, options, runs_of):
    """What a case returns that measures the same of every file. `runs_of`: source, and its kind as a name -> Runs."""
    comparisons = []
    for source in files.values():
        comparisons += runs_of(source, source.suffix[1:]).run(f"{title}: {size_of(source)}", options)
    return {"comparisons": comparisons, "mib": options.size}
