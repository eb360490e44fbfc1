"""100,000 tensors of 512 bytes whose names change: beside torch.load and torch.save of the same in a .pt file."""
from data import many
from measure import Rounds, show
from migrations import RENAME, Runs


def run(options):
    commands, outputs = {}, []
    for suffix, source in many().items():
        one = Runs("rename", RENAME, source).ours(suffix[1:], ["--no-sync"])
        one.python("torch" if suffix == ".pt" else "Python with safetensors")
        del one.commands["cp"]
        commands |= one.commands
        outputs.append(one.output)
    rounds = Rounds(commands, outputs).run(options.repeats)
    comparisons = [rounds.compare(name, "torch", must=0.13, aim=0.05) for name in ("pt", "safetensors")]
    comparisons.append(rounds.compare("safetensors", "Python with safetensors"))
    show("many: 100,000 tensors of 512 bytes", comparisons)
    return {"comparisons": comparisons, "tensors": 100_000}
