"""A .safetensors file whose names change: beside load_file, a dict comprehension and save_file, with and without the imports."""
from versus import against_python


def run(options):
    return against_python("vs-safetensors", ".safetensors", options, {"safetensors": None}, "safetensors",
                          whole=(1 / 4.5, 1 / 7), without=(1 / 1.8, 1 / 3), peer="mergekit")
