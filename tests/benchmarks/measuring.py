"""How the benchmarks measure: in turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter


def public_data() -> tuple[Path, Path]:
    """Return the directories of public data and of published models; without them, say so and exit."""
    variables = ("ACTIVELEARN_DATA", "ACTIVELEARN_REFERENCE")
    missing = [f"${name}" for name in variables if not Path(os.environ.get(name, "-")).is_dir()]
    if missing:
        print(f"Skipped: {' and '.join(missing)} must name the directories of public data.")
        raise SystemExit(0)
    data, reference = (Path(os.environ[name]) for name in variables)
    return data, reference


def in_turns(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time of each job, s; all run once in each round, and once before to warm up."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds + 1):
        for name, job in jobs.items():
            start = perf_counter()
            job()
            times[name].append(perf_counter() - start)
    return {name: median(taken[1:]) for name, taken in times.items()}
