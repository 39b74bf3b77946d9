"""What the benchmarks share: how they measure, and where public data are."""

from __future__ import annotations

import os
from pathlib import Path

from campaigns.timing import in_turns

__all__ = ["in_turns", "public_data"]


def public_data() -> tuple[Path, Path]:
    """Return the directories of public data and of published models; without them, say so and exit."""
    variables = ("ACTIVELEARN_DATA", "ACTIVELEARN_REFERENCE")
    missing = [f"${name}" for name in variables if not Path(os.environ.get(name, "-")).is_dir()]
    if missing:
        print(f"Skipped: {' and '.join(missing)} must name the directories of public data.")
        raise SystemExit(0)
    data, reference = (Path(os.environ[name]) for name in variables)
    return data, reference
