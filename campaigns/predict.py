"""What a model says of a user's own candidates: a file in, the same file with predictions out."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from activelearn.shards import written_whole
from campaigns.report import UNKNOWN
from campaigns.row_models import choose_row_model, written_columns
from surrogates.errors import InputError, Problem
from surrogates.model_directories import check_place
from surrogates.text_tables import TextTable, read_text, read_usable


@dataclass(frozen=True)
class Predicted:
    """What was predicted and where it stands.

    Attributes:
        targets: What the model predicts.
        rows: How many rows were predicted.
        in_domain: How many of them the model knows.
        out: The predictions.
        bad: How many rows were left out.
        bad_file: Where they stand.
    """

    targets: tuple[str, ...]
    rows: int
    in_domain: int
    out: Path
    bad: int
    bad_file: Path


def predict_to_file(
    model: str,
    candidates: Path,
    out: Path,
    columns: Mapping[str, str],
    units: Mapping[str, str],
    skip_bad: bool,
    console: Console,
) -> Predicted:
    """Predict the rows of a file and write its own columns, then those of a screen's list.

    Args:
        model: See `choose_row_model`.
        candidates: CSV or Parquet, see `surrogates.tables.read_mixtures` and, of cathodes,
            `surrogates.composition_tables.read_compositions`; no target is needed.
        out: `.csv` or `.parquet`, new, written whole.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit for each of our column names that is in another.
        skip_bad: Leave out bad rows and write them to `STEM.bad.csv` beside `out`.
        console: Where it is told what was read.

    Raises:
        InputError: If the model, the file or the place of the predictions cannot be used; nothing is written.
    """
    check_suffix(out)
    bad_file = _bad_file(out)
    check_all_free([out, bad_file] if skip_bad else [out])
    table = read_text(candidates, skip_bad)
    asked = choose_row_model(model)
    check_names(table, written_columns(asked))
    rows, table = read_usable(table, lambda part: asked.read(part, False, columns, units), skip_bad)
    for line in rows.report:
        console.print(line, markup=False, soft_wrap=True)
    said = rows.predict().columns(asked.targets)
    write_predictions(candidates, table, said, out)
    known = int(said["in_domain"].sum())
    return Predicted(asked.targets, len(said), known, out, len(table.bad_rows), bad_file)


def write_predictions(candidates: Path, table: TextTable, said: pd.DataFrame, out: Path) -> None:
    """Write a file's own columns, then what was said of its rows; beside it the bad rows if there are any.

    Args:
        candidates: The file.
        table: Its rows that are written, in any order.
        said: A row for each of them.
        out: `.csv` or `.parquet`, written whole.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(out) as temporary, ExitStack() as before:  # neither is there if one fails
            if table.bad_rows:
                write_bad_rows(table, before.enter_context(written_whole(_bad_file(out))))
            if out.suffix == ".parquet":
                pq.write_table(_as_parquet(candidates, table, said), temporary)
            else:
                write_csv(pd.concat([table.cells.reset_index(drop=True), said], axis=1), temporary)
    except OSError as error:
        wrong = f"the predictions cannot be written here: {os.strerror(error.errno or 0)}"
        raise InputError(Problem(str(out), wrong, "Give another --out.")) from None


def print_predicted(done: Predicted, console: Console) -> None:
    """Print how much was predicted and where it stands."""
    known = f"{done.in_domain:,} of them in the model's domain"
    lines = [f"{done.rows:,} rows predicted, {known}: {', '.join(done.targets)}"]
    if done.in_domain < done.rows:
        lines.append(UNKNOWN)
    lines.append(f"The predictions: {done.out}")
    if done.bad:
        lines.append(skipped_words(done.bad, done.bad_file))
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def skipped_words(bad: int, file: Path) -> str:
    """Return how many bad rows were left out and where they stand, a line."""
    return f"Bad rows, {bad:,} left out: {file}"


def pairs(option: str, given: Sequence[str], example: str) -> dict[str, str]:
    """Return what an option such as `--column temperature_K=T` maps, ours to theirs.

    Raises:
        InputError: With each that is no such pair, and each of ours that stands twice.
    """
    problems: list[Problem] = []
    found: dict[str, str] = {}
    for text in given:
        ours, equals, theirs = (part.strip() for part in text.partition("="))
        if not (ours and equals and theirs):
            wrong = f'"{text}" came; a name of ours, an equals sign and the file\'s were expected'
            problems.append(Problem(option, wrong, f"Write it as {option} {example}."))
        elif ours in found:
            wrong = f'"{ours}" is given twice, as "{found[ours]}" and as "{theirs}"'
            problems.append(Problem(option, wrong, "Keep one of them."))
        found.setdefault(ours, theirs)
    if problems:
        raise InputError(problems)
    return found


def write_bad_rows(table: TextTable, path: Path) -> None:
    """Write the rows that were left out: number, cells as they came, and all that is wrong, as CSV."""
    header = renamed([str(name) for name in table.cells], ["row", "problem"])
    longest = max(len(bad.cells) for bad in table.bad_rows)
    width = max(longest, len(header))
    surplus = [f"surplus_{number}" for number in range(1, width - len(header) + 1)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", *header, *surplus, "problem"])
        for bad in table.bad_rows:
            blank = [""] * (width - len(bad.cells))
            writer.writerow([bad.row, *bad.cells, *blank, " ".join(map(str, bad.problems))])


def renamed(names: Sequence[str], taken: Collection[str]) -> list[str]:
    """Return the names of a file's columns, those marked that are taken here."""
    return [f"{name} (file)" if name in taken else name for name in names]


def write_table(table: pd.DataFrame, out: Path, float_format: str | None = "%.6g") -> None:
    """Write a table as CSV or, by its suffix, as Parquet, whole or not at all.

    Args:
        table: What to write.
        out: `.csv` or `.parquet`.
        float_format: Of numbers in CSV; None for all their digits.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(out) as temporary:
            if out.suffix == ".parquet":
                table.to_parquet(temporary, index=False)
            else:
                table.to_csv(temporary, index=False, float_format=float_format, lineterminator="\n")
    except OSError as error:
        wrong = f"the table cannot be written here: {os.strerror(error.errno or 0)}"
        raise InputError(Problem(str(out), wrong, "Give another --out.")) from None


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, numbers with six digits."""
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def check_suffix(out: Path) -> None:
    """Check that a table is to be written as CSV or Parquet.

    Raises:
        InputError: If not.
    """
    if out.suffix not in (".csv", ".parquet"):
        wrong = f'the suffix "{out.suffix}" came; .csv or .parquet was expected'
        stem = out.stem.strip(".") or "predicted"  # "." and "/" have none
        raise InputError(Problem(str(out), wrong, f"Write it as {stem}.csv."))


def check_all_free(files: Sequence[Path], option: str = "--out") -> None:
    """Check that files can be written, and that none stands there.

    Args:
        files: Which.
        option: By which another place is given.

    Raises:
        InputError: With each that cannot.
    """
    for file in files:
        check_place(file, f"Give another {option}.")
    problems = [
        Problem(str(file), "something stands here already", f"Give another {option}, or move it away.")
        for file in files
        if file.exists()
    ]
    if problems:
        raise InputError(problems)


def check_names(table: TextTable, ours: Collection[str]) -> None:
    """Refuse a file with a column that the predictions bring.

    Raises:
        InputError: With each of them.
    """
    problems = [
        Problem(table.file, f'its column "{name}" is one that is written here', "Rename or remove it.")
        for name in table.cells
        if name in ours
    ]
    if problems:
        raise InputError(problems)


def _bad_file(out: Path) -> Path:
    return out.with_name(f"{out.stem}.bad.csv")


def _as_parquet(candidates: Path, table: TextTable, said: pd.DataFrame) -> pa.Table:
    """Return a file's own columns with the types they have there, text if it is CSV, then the predictions."""
    if candidates.suffix == ".parquet":
        own = pq.ParquetFile(candidates).read().replace_schema_metadata(None)
        own = own.take(pa.array(table.cells.index.to_numpy(dtype=np.int64) - 2))  # row 2 is the first
    else:
        own = pa.Table.from_pandas(table.cells, preserve_index=False).replace_schema_metadata(None)
    for name in said:
        own = own.append_column(str(name), pa.array(said[name]))
    return own
