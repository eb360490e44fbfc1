"""The memory of a command that no file stands behind, as Linux counts it."""
import subprocess
import threading
import time
from pathlib import Path

from measure import ENVIRONMENT


def anonymous_mib(command, cleans=()):
    """The most RssAnon of a run, looked at every half a millisecond; in MiB."""
    for path in cleans:
        path.unlink(missing_ok=True)
    most = 0
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, env=ENVIRONMENT) as run:
        status = Path(f"/proc/{run.pid}/status")
        ended = threading.Event()

        def wait():
            run.wait()
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        while not ended.is_set():
            try:
                line = next((one for one in status.read_text().splitlines() if one.startswith("RssAnon:")), None)
            except OSError:
                break
            most = max(most, int(line.split()[1]) if line else 0)
            time.sleep(0.0005)
        problem = run.stderr.read().decode()
        if run.wait() != 0:
            raise SystemExit(f"{' '.join(map(str, command))[:300]}\nends with {run.returncode}: {problem[-2000:]}")
    return most / 1024
