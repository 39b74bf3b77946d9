"""Small files of mixtures, and what `read_mixtures` says of bad ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from surrogates.errors import InputError
from surrogates.tables import read_mixtures

TARGET = "log10_conductivity_S_cm"


def mixture_file(directory: Path, *lines: str) -> Path:
    """Write `mine.csv`, the header first."""
    path = directory / "mine.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(
    path: Path,
    target: str = TARGET,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the lines of the error that reading the file ends with."""
    with pytest.raises(InputError) as caught:
        read_mixtures(path, target, columns or {}, units or {})
    return str(caught.value).splitlines()
