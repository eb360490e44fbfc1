"""A rename beside the Python that a person would write, and beside a tool from PyPI that does it."""
import peers
from data import halves
from measure import python
from migrations import RENAME, Runs, TWO, imports, size_of

BY_PEER = {
    "torch_state_bridge": """
        import sys, torch
        from torch_state_bridge import state_bridge
        state = torch.load(sys.argv[1], weights_only=True)
        torch.save(state_bridge(state, "module.layers.{n}.weight, layers.{n}.weight"), sys.argv[2])
    """,
    # Its loader takes a tensor at a time, its writer those of a shard; a single shard has this name.
    "mergekit": """
        import os, sys, torch
        from mergekit.io import LazyTensorLoader, ShardedTensorIndex, TensorWriter
        loader = LazyTensorLoader(ShardedTensorIndex.from_file(sys.argv[1]))
        folder = sys.argv[2] + ".shards"
        writer = TensorWriter(folder, max_shard_size=-1)
        for name in loader.index.tensor_paths:
            writer.save_tensor(name.removeprefix("module."), loader.get_tensor(name))
        writer.finalize()
        os.replace(os.path.join(folder, "model.safetensors"), sys.argv[2])
    """,
}


def against_python(case, suffix, options, ways, first, whole, without, peer):
    """`ways`: name -> how it loads. `whole`, `without`: must and aim beside `first`, with and without its imports."""
    source = halves(options.size)[suffix]
    runs = Runs("rename", RENAME, source).ours("regraft", ["--no-sync", *TWO])
    runs.beside("imports", imports(suffix))
    for name, load in ways.items():
        runs.python(name, load)
        runs.compare("regraft", name, *(whole if name == first else (None, None)))
    runs.compare("regraft", first, *without, than=lambda seconds: seconds[first].wall - seconds["imports"].wall,
                 note=" without imports")
    if peers.folder():
        runs.beside(peer, peers.with_path(python(BY_PEER[peer], source, runs.output)))
        runs.compare("regraft", peer)
    return {"comparisons": runs.run(f"{case}: {size_of(source)}, as the person who runs the command waits", options),
            "mib": options.size}
