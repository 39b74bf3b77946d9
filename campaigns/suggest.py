"""What to measure to align a model with a laboratory: a file of candidates in, a few of them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from campaigns.align import alignable
from campaigns.predict import check_all_free, check_names, check_suffix, write_predictions
from campaigns.row_models import MixtureRows, check_finite, check_salts, written_columns
from surrogates.aligned_model import compare
from surrogates.errors import InputError, Problem
from surrogates.laboratories import default_laboratories
from surrogates.tables import candidate_mixtures
from surrogates.telling_rows import telling_rows
from surrogates.text_tables import read_text

MOST = 2000
"""Candidates that are compared at most, each with each."""
_SEED = 0


def suggest_to_file(
    model: str,
    candidates: Path,
    count: int,
    out: Path,
    columns: Mapping[str, str],
    units: Mapping[str, str],
    console: Console,
) -> tuple[int, int]:
    """Choose the candidates whose measurement tells an alignment most, and write them as `predict` would.

    What is left to be known counts by the property that the model predicts, as errors do in its training.

    Args:
        model: The name of a model of mixtures that ships, or a model directory.
        candidates: CSV or Parquet, see `surrogates.tables.read_mixtures`; no target is needed. Of more than
            2,000, so many are drawn.
        count: How many to choose.
        out: `.csv` or `.parquet`, new, written whole: the rows chosen, the most telling first.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit for each of our column names that is in another.
        console: Where it is told what was read.

    Returns:
        How many were chosen, and how many the file holds.

    Raises:
        InputError: If the model, the file or the place cannot be used; nothing is written.
    """
    check_suffix(out)
    check_all_free([out])
    table = read_text(candidates)
    card, fitted = alignable(model)
    asked = MixtureRows(fitted, {})
    check_names(table, written_columns(asked))
    found = candidate_mixtures(table, columns, units)
    check_salts(fitted, found.batch, found.rows, table.file)
    n = len(found.rows)
    most = min(n, MOST)
    if count > most:
        compared = f", of which {most:,} are compared" if most < n else ""
        wrong = f"{n:,} candidate{'s' * (n != 1)} came{compared}; {count:,} are to be chosen"
        mend = "Give a smaller --count." if compared else "Add candidates, or give a smaller --count."
        raise InputError(Problem(table.file, wrong, mend))
    for line in found.report:
        console.print(line, markup=False, soft_wrap=True)
    drawn = torch.arange(n)
    if n > MOST:
        drawn = torch.randperm(n, generator=torch.Generator().manual_seed(_SEED))[:MOST].sort().values
        console.print(f"{MOST:,} of {n:,} candidates drawn; the others are not compared", soft_wrap=True)
    batch, rows = found.batch[drawn], found.rows["row"].iloc[drawn.numpy()]
    check_finite(fitted.bind(found.table).predict(batch.to(torch.float32)), rows, asked.targets, table.file)
    said = compare(fitted, found.table, batch)
    log10 = fitted.scale * (said.z - said.z.max())
    laboratories = card.laboratories or default_laboratories()
    chosen = drawn[telling_rows(said, laboratories, count, 10**log10)]
    part = replace(table, cells=table.cells.iloc[chosen.numpy()])
    predicted = asked.read(part, False, columns, units).predict().columns(asked.targets)
    write_predictions(candidates, part, predicted, out)
    return count, n
