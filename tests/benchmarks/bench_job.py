"""Where the time of the bundled screen goes.

    python -m tests.benchmarks.bench_job

Runs `activelearn screen` in a process of its own, with the model that ships, and reads its `run.json`.
What the workers spend on computing and writing, side by side, is divided by their number.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

WORKERS = 2


def main() -> None:
    """Print the share of each part of the screen."""
    if not Path(str(files("surrogates"))).joinpath("pretrained", "molsets-conductivity").is_dir():
        print("Skipped: no model ships yet.")
        return
    with tempfile.TemporaryDirectory() as out:
        start = perf_counter()
        command = [sys.executable, "-m", "campaigns.cli", "screen", "--workers", str(WORKERS), "--out", out]
        subprocess.run(command, check=True, capture_output=True)
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
    table = Table("part", "share")
    for name, seconds in shares.items():
        table.add_row(name, f"{seconds / whole:.0%}")
    Console().print(table)


if __name__ == "__main__":
    main()
