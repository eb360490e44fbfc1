"""A .pt file whose names change: beside torch.load, a dict comprehension and torch.save, with and without Python's imports."""
from migrations import LOAD_MAPPED
from versus import against_python


def run(options):
    return against_python("vs-torch", ".pt", options, {"torch": None, "torch, mmap": LOAD_MAPPED}, "torch",
                          whole=(1 / 7, 1 / 10), without=(1 / 4.5, 1 / 7), peer="torch_state_bridge")
