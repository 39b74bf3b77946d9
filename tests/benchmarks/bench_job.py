"""Where the time of the bundled screens goes.

    python -m tests.benchmarks.bench_job

Runs `activelearn screen` of each job in a process of its own, with the model that ships, and reads its
`run.json`. What the workers spend on computing and writing, side by side, is divided by their number.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

WORKERS = 2
JOBS = ("electrolytes", "drx-high-entropy")
ASKED_S = 180.0
"""In which the screen of high-entropy cathodes is to end on two cores."""


def main() -> None:
    """Print the share of each part of each screen."""
    for job in JOBS:
        whole = print_shares(job)
    print(f"{JOBS[-1]}: {whole / ASKED_S:.0%} of the three minutes that are asked for")


def print_shares(job: str) -> float:
    """Print the share of each part of a screen; return what it took, s."""
    with tempfile.TemporaryDirectory() as out:
        start = perf_counter()
        command = [sys.executable, "-m", "campaigns.cli", "screen", job, "--workers", str(WORKERS)]
        subprocess.run([*command, "--out", out], check=True, capture_output=True)
        whole = perf_counter() - start
        part = json.loads(Path(out, "run.json").read_text(encoding="utf-8"))["timings_s"]
    compute, write = part["workers_computing"] / WORKERS, part["workers_writing"] / WORKERS
    shares = {
        "load the model": part["load_model"],
        "start Ray": part["start_engine"],
        "start the workers, pass chunks": part["all_chunks"] - compute - write,
        "compute": compute,
        "write shards": write,
        "stop Ray": part["stop_engine"],
        "write the list": part["write_ranked"],
    }
    shares["start Python, import, print"] = whole - sum(shares.values())
    table = Table("part", "share", title=job)
    for name, seconds in shares.items():
        table.add_row(name, f"{seconds / whole:.0%}")
    Console().print(table)
    return whole


if __name__ == "__main__":
    main()
