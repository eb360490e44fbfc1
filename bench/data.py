"""Checkpoints and schemas to measure with."""
import json
import shutil
import struct

from measure import once, output_of, python
from places import DATA, PROGRAM, ROOT

FORMATS = (".pt", ".safetensors")


def write_safetensors(path, tensors):
    """`tensors`: name -> bytes of float32 in one dimension."""
    header, offset = {}, 0
    for name, data in tensors.items():
        header[name] = {"dtype": "F32", "shape": [len(data) // 4], "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for data in tensors.values():
            file.write(data)


def read_safetensors(path):
    """name -> (dtype, bytes)"""
    content = path.read_bytes()
    begin = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:begin])
    header.pop("__metadata__", None)
    return {name: (one["dtype"], content[begin + one["data_offsets"][0]:begin + one["data_offsets"][1]])
            for name, one in header.items()}


def write_schema(path, tensors):
    """A target without values. `tensors`: name -> (dtype, shape)."""
    path.write_text(json.dumps({"regraft_schema": 1, "tensors": {
        name: {"dtype": dtype, "shape": shape} for name, (dtype, shape) in tensors.items()}}))


def tensors_of(path):
    """What write_schema takes, of a checkpoint that is there."""
    report = json.loads(output_of([PROGRAM, "inspect", "--json", str(path)]))
    return {one["name"]: (one["dtype"], one["shape"]) for one in report["tensors"]}


def made(stem, mib, program, *arguments):
    """suffix -> a file of about so many MiB; `program` makes `state`, a state dict, in Python."""
    files = {suffix: DATA / f"{stem}-{mib}{suffix}" for suffix in FORMATS}
    if not all(path.exists() for path in files.values()):
        # The two, what is made of one, and some more.
        if shutil.disk_usage(DATA).free < mib * 4 * 2**20:
            raise SystemExit(f"{mib * 4} MiB are needed below {DATA.relative_to(ROOT)}; try --size")
        once(python(program + SAVE_BOTH, *files.values(), mib, *arguments))
    return files


SAVE_BOTH = """
    torch.save(state, sys.argv[1])
    safetensors.torch.save_file(state, sys.argv[2])
"""
MAKE_HALVES = """
    import sys, torch, safetensors.torch
    torch.manual_seed(0)
    mib = int(sys.argv[3])
    count = max(1, mib // 5)
    rows = mib * 2**20 // count // 2 // 1024
    state = {f"module.layers.{i}.weight": torch.randn(rows, 1024).half() for i in range(count)}
"""
MAKE_ATTENTION = """
    import sys, torch, safetensors.torch
    torch.manual_seed(0)
    layers, size = 32, int((int(sys.argv[3]) * 2**20 / 32 / 3 / 2) ** 0.5)
    state = {f"layers.{i}.{name}.weight": torch.randn(size, size).half() for i in range(layers) for name in "qkv"}
"""
MAKE_EXPERTS = """
    import sys, torch, safetensors.torch
    torch.manual_seed(0)
    layers, experts, rows = 16, 64, 256
    columns = int(sys.argv[3]) * 2**20 // (layers * experts * rows * 2)
    state = {f"layers.{i}.experts.{j}.weight": torch.randn(rows, columns).half()
             for i in range(layers) for j in range(experts)}
"""
MAKE_MIXTRAL = """
    import os, sys, torch, safetensors.torch, transformers
    torch.manual_seed(0)
    path, mib = sys.argv[1], int(sys.argv[2])
    size, wide, experts = 1024, 2048, 8
    config = transformers.MixtralConfig(
        hidden_size=size, intermediate_size=wide, num_local_experts=experts, num_attention_heads=16, num_key_value_heads=16,
        num_hidden_layers=max(1, mib // (experts * 12 + 8)), vocab_size=4096, dtype="float16",
        architectures=["MixtralForCausalLM"])
    def half(*shape):
        return torch.randn(shape).half()
    state = {"model.embed_tokens.weight": half(4096, size), "lm_head.weight": half(4096, size), "model.norm.weight": half(size)}
    for i in range(config.num_hidden_layers):
        layer = f"model.layers.{i}."
        state |= {layer + f"self_attn.{one}_proj.weight": half(size, size) for one in "qkvo"}
        state |= {layer + f"{one}_layernorm.weight": half(size) for one in ("input", "post_attention")}
        state[layer + "block_sparse_moe.gate.weight"] = half(experts, size)
        for j in range(experts):
            state |= {layer + f"block_sparse_moe.experts.{j}.w{one}.weight": half(*((size, wide) if one == 2 else (wide, size)))
                      for one in (1, 2, 3)}
    config.save_pretrained(os.path.dirname(path))
    safetensors.torch.save_file(state, path, {"format": "pt"})
"""
MAKE_LARGE = """
    import sys, torch, safetensors.torch
    torch.manual_seed(0)
    large = int(sys.argv[4])
    state = {f"module.layers.{i}.weight": torch.randn(large * 2**20 // 4 // 1024, 1024)
             for i in range(int(sys.argv[3]) // large)}
"""
MAKE_MANY = """
    import sys, torch, safetensors.torch
    state = {f"module.layers.{i}.weight": torch.full((128,), float(i)) for i in range(100_000)}
"""


def halves(mib):
    """float16 matrices of about 5 MiB each, the same in each format."""
    return made("float16", mib, MAKE_HALVES)


def attention(mib):
    """q, k and v of 32 layers."""
    return made("attention", mib, MAKE_ATTENTION)


def experts(mib):
    """64 experts of 16 layers."""
    return made("experts", mib, MAKE_EXPERTS)


def large(mib, each):
    """float32 matrices of `each` MiB."""
    return made(f"float32-{each}", mib, MAKE_LARGE, each)


def many():
    """100,000 tensors of 512 bytes."""
    return made("many", 50, MAKE_MANY)


def mixtral(mib):
    """A model.safetensors of transformers 4, in a folder with its configuration."""
    path = DATA / f"mixtral-{mib}" / "model.safetensors"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        once(python(MAKE_MIXTRAL, path, mib))
    return path
