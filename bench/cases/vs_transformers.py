"""A Mixtral checkpoint whose experts become one tensor a layer: beside transformers, which does that while it loads a model."""
from data import mixtral
from measure import python
from migrations import Migration, Runs, TWO, size_of

# A torchvision from PyPI beside a CPU torch has none of the operators that its last step of importing is about.
IMPORTS = """
import os, sys, types
sys.modules["torchvision._meta_registrations"] = types.ModuleType("left out")
import torch, transformers.models.mixtral.modeling_mixtral as mixtral
def load_mixtral(source):
    return mixtral.MixtralForCausalLM.from_pretrained(os.path.dirname(source), dtype=torch.float16)
"""
# What transformers makes of the folder is what ours is compared with too.
MIGRATION = Migration("""regraft: 1
rules:
  - rename: \\.block_sparse_moe\\.
    to: .mlp.
  - stack: \\.experts\\.(\\d+)\\.w([123])\\.weight$
    to: .experts.w\\2
  - cat: [\\.experts\\.w1$, \\.experts\\.w3$]
    to: .experts.gate_up_proj
    dim: 1
  - rename: \\.experts\\.w2$
    to: .experts.down_proj
""", IMPORTS + """
def migrate(state):
    return load_mixtral(sys.argv[1]).state_dict()
""")
BY_TRANSFORMERS = IMPORTS + """
folder = sys.argv[2] + ".model"
load_mixtral(sys.argv[1]).save_pretrained(folder, save_original_format=False, max_shard_size="1TB")
os.replace(os.path.join(folder, "model.safetensors"), sys.argv[2])
"""


def run(options):
    source = mixtral(options.size)
    runs = Runs("mixtral", MIGRATION, source).ours("regraft", ["--no-sync", *TWO])
    runs.beside("transformers", python(BY_TRANSFORMERS, source, runs.output)).beside("imports", python(IMPORTS))
    runs.compare("regraft", "transformers")
    runs.compare("regraft", "transformers", than=lambda seconds: seconds["transformers"].wall - seconds["imports"].wall,
                 note=" without imports")
    return {"comparisons": runs.run(f"vs-transformers: {size_of(source)}, its experts merged", options), "mib": options.size}
