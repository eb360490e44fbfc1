"""A migration of a large file: ours beside cp of the same file, and beside torch that does the same by hand."""
import textwrap

from data import weights
from measure import Rounds, once, output_of, python, read_once, show
from places import DATA, PROGRAM

DIGEST = ["--no-sync"]
BARE = ["--no-sync", "--digest", "none", "--no-verify"]

# What follows `def migrate(state)` in a script, for each format.
BY_HAND = {
    ".pt": {
        "Python": """
            import sys, torch
            state = torch.load(sys.argv[1], weights_only=True)
            torch.save(migrate(state), sys.argv[2])
        """,
        "Python mmap": """
            import sys, torch
            state = torch.load(sys.argv[1], weights_only=True, mmap=True)
            torch.save(migrate(state), sys.argv[2])
        """,
    },
    ".safetensors": {
        "Python": """
            import sys, torch
            from safetensors.torch import load_file, save_file
            save_file(migrate(load_file(sys.argv[1])), sys.argv[2])
        """,
    },
}
SAME = """
    import sys, torch, safetensors.torch
    def load(path):
        if path.endswith(".pt"):
            return torch.load(path, weights_only=True, mmap=True)
        return safetensors.torch.load_file(path)
    def bytes_of(tensor):
        return tensor.reshape(-1).view(torch.uint8)
    wanted, found = migrate(load(sys.argv[1])), load(sys.argv[2])
    assert list(found) == list(wanted), "other names"
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape, name
        assert torch.equal(bytes_of(found[name]), bytes_of(tensor)), name
"""


def measure_migration(title, options, arguments, migrate):
    """What a case of this kind returns. `arguments`: source -> what follows `regraft apply`; `migrate`: the same
    migration in Python, as the text of a function of that name, from a state dict to a new one."""
    comparisons = []
    for suffix, source in weights(options.size).items():
        kind, output = suffix[1:], DATA / f"new{suffix}"
        ours = [PROGRAM, "apply", *map(str, arguments(source)), "-o", str(output), "--progress", "off"]

        def script(body, function=textwrap.dedent(migrate), files=(source, output)):
            return python(function + textwrap.dedent(body), *files)

        read_once(source)
        for flags in (BARE, DIGEST):
            once([*ours, *flags], [output])
            output_of(script(SAME))
        by_hand = {f"{kind} {name}": script(body) for name, body in BY_HAND[suffix].items()}
        rounds = Rounds({f"{kind} bare": [*ours, *BARE], f"{kind} cp": ["cp", str(source), str(output)],
                         f"{kind} digest": [*ours, *DIGEST], **by_hand}, [output]).run(options.repeats)
        found = [rounds.compare(f"{kind} {flags}", f"{kind} cp") for flags in ("bare", "digest")]
        found += [rounds.compare(f"{kind} digest", name) for name in by_hand]
        show(f"{options.size} MiB of {kind}: {title}", found)
        comparisons += found
    print(f"  bare: {' '.join(BARE)}; digest: {' '.join(DIGEST)} and else the defaults")
    return {"comparisons": comparisons, "mib": options.size, "bare": BARE, "digest": DIGEST}
