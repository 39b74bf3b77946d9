"""Tables of measurements from Olympus: files without a header, the measured number last."""

from __future__ import annotations

from pathlib import Path

from surrogates.number_tables import NumberTable, read_number_table
from surrogates.text_tables import read_text

OER_PLATE = ("Ni_load", "Fe_load", "Co_load", "Mn_load", "Ce_load", "La_load", "overpotential_V")
P3HT = (
    "p3ht_content_percent",
    "d1_content_percent",
    "d2_content_percent",
    "d6_content_percent",
    "d8_content_percent",
    "conductivity_S_cm",
)
"""Columns of the published files, in their order, in our words."""


def load_olympus(path: Path, columns: tuple[str, ...]) -> NumberTable:
    """Return the measurements of a published file.

    Args:
        path: `data.csv`.
        columns: Its columns, `OER_PLATE` or `P3HT`; the last is what was measured.

    Raises:
        InputError: If it is not that file.
    """
    *inputs, target = columns
    return read_number_table(read_text(path, names=columns), inputs, target)
