"""From one format to the other: beside cp of the source."""
from data import halves
from migrations import ONE, PLAIN, RENAME, Runs, TWO, size_of


def run(options):
    files = halves(options.size)
    comparisons = []
    for a, b, must, aim in ((".pt", ".safetensors", 1.0, 0.7), (".safetensors", ".pt", 1.2, 0.8)):
        runs = Runs("rename", RENAME, files[a], b)
        for threads, flags in (("1 thread", ONE), ("2 threads", TWO)):
            name = f"{a[1:]} to {b[1:]}, {threads}"
            runs.ours(name, PLAIN + flags).compare(name, must=must, aim=aim)
        comparisons += runs.run(f"cross: {size_of(files[a])} to {b[1:]}, {' '.join(PLAIN)}", options)
    return {"comparisons": comparisons, "mib": options.size}
